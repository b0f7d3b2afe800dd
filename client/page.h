/*
 * Pages: the status pages that this connection has ever mapped
 *
 * A daemon that comes back goes on with the same page, and then so does its map. Only one that
 * lost its runtime directory comes with another; the old map stays until the connection ends, so
 * that who looks at a slot needs neither a lock nor a thought of its life.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "proto/status-slot.h"

struct page {
    const struct status_slot *slots;
    uint32_t n_slots;
    dev_t device; /* with the inode: which file it is, as long as it is mapped */
    ino_t inode;
    SLIST_ENTRY(page) link;
};

SLIST_HEAD(page_list, page);

/* The map of this descriptor's file: one that is there already, or a new one in the list. -EPROTO
 * for a file that is smaller than its slots, or what mmap(2) says, with the sentence kept. */
int page_list_get(struct page_list *pages, int fd, uint32_t n_slots, const struct page **ret);

void page_list_deinit(struct page_list *pages);
