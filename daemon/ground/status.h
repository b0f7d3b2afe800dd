/*
 * Status page
 *
 * A file in the runtime directory that every client maps read-only: one slot of two words for each
 * region. The version of a slot moves on with every change of its region and never goes back, not
 * even when the slot is given to another region, so a client that remembers what it saw knows with
 * one load whether anything has changed, and can sleep on the word with futex(2). The file outlives
 * the daemon's process: a restarted daemon goes on with the same page, and no sleeper is left
 * behind.
 */
#pragma once

#include <stdint.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/status-slot.h"

struct status_page;

/* Opens or makes @runtime_directory/status, of STATUS_SLOTS slots (a sparse file). Every slot
 * counts as free until status_slot_claim() or status_slot_take(). */
int status_page_open(const char *runtime_directory, struct status_page **ret, struct error *error);
void status_page_close(struct status_page *page);
DEFINE_CLEANUP(struct status_page *, status_page_close);

/* A copy of the page of @runtime_directory for who only inspects it: STATUS_SLOTS slots, to be freed.
 * -ENOENT; -EUCLEAN: a file that no daemon would go on with is in its place. */
int status_page_copy(const char *runtime_directory, struct status_slot **ret);

/* An O_RDONLY descriptor for clients; it belongs to the page. */
int status_page_fd(const struct status_page *page);

/* Takes a free slot for a new region: its turn begins, and the words say nothing of it before
 * status_slot_change(). -ENOSPC when all are in use or the file system is full. The next slot after
 * the last one taken is tried first. */
int status_slot_take(struct status_page *page, uint32_t *ret_slot);

/* Marks a slot as in use by a region that was loaded from the registry, and wakes its sleepers, as
 * the last daemon may have been killed between a change and that; -EINVAL, -EBUSY, or -ENOSPC
 * when the page was made anew and the file system is full. */
int status_slot_claim(struct status_page *page, uint32_t slot);

/* What the slot says; the flags without the turn. */
uint32_t status_slot_version(const struct status_page *page, uint32_t slot);
uint32_t status_slot_flags(const struct status_page *page, uint32_t slot);

/* Stores what a slot says from now on, and wakes everybody who sleeps on it. */
void status_slot_change(struct status_page *page, uint32_t slot, uint32_t version, uint32_t flags);

/* The slot is free for the next region. */
void status_slot_release(struct status_page *page, uint32_t slot);

/* After the registry was loaded: every slot that is marked live and was not claimed belonged to a
 * region that ended with the last daemon; it is changed to SLOT_DESTROYED. Sleepers are woken. */
void status_page_settle(struct status_page *page);
