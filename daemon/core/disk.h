/*
 * Disk: the loop goes there only while it answers
 *
 * What takes long is synced by workers. A change of a `file` region has short steps of its own on
 * the loop, which end on the disk, too: a name in the directory, its sync, the record. While a worker
 * waits for the disk nobody knows when it will answer, so the loop stays away: what would lead there
 * is refused with -EINPROGRESS, before anything has changed, and is asked for again when the disk has
 * answered a worker.
 */
#pragma once

#include "daemon/ground/worker.h"
#include "proto/error.h"

struct disk;
struct disk_wait;

int disk_new(struct event_base *base, struct disk **ret);
/* Waits for the workers, but not for ever: see workers_free(). */
void disk_free(struct disk *disk);
DEFINE_CLEANUP(struct disk *, disk_free);

/* As workers_start(), of what may be stuck with the disk. */
int disk_start(struct disk *disk, struct job *job);

/* 0, or -EINPROGRESS while a worker waits for the disk. */
int disk_check(const struct disk *disk, struct error *error);

/* Around what follows on a job that is done: the disk has just answered, so disk_check() is 0. */
void disk_enter(struct disk *disk);
void disk_leave(struct disk *disk);

/* Has a worker sync a change of the directory, and calls @answered once, from the loop, when that has
 * come back: disk_check() is 0 then, and the wait is over. */
int disk_await(struct disk *disk, int directory, void (*answered)(void *data), void *data,
               struct disk_wait **ret);
void disk_wait_cancel(struct disk_wait *wait);
