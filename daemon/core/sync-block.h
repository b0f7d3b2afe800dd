/*
 * Sync block: the page of locks and counters that belongs to a region, not to a version
 *
 * A segment of its own, version 0 of the region's id: a memfd for memfd regions, else a shm object,
 * also for files, since what it holds means nothing to the processes after a reboot. proto/
 * sync-block.h has its layout. The daemon makes it and hands it out, and never looks at it again.
 */
#pragma once

#include "daemon/core/manager.h"

#define SYNC_BLOCK_VERSION 0u

/* What the block of a region of that backing is made of. */
static inline enum backing sync_block_backing(enum backing backing) {
    return backing == BACKING_MEMFD ? BACKING_MEMFD : BACKING_SHM;
}

/* Makes the block of a region that has its segment but no record yet: charged to the owner, and
 * whole before it returns. */
int sync_block_make(struct manager *manager, struct region *region, struct error *error);

/* The block of a region that was recorded with one. One that is not there is made anew (a file
 * region's after a reboot), but -ENODATA for a memfd. */
int sync_block_restore(struct manager *manager, struct region *region, struct fdstore *fdstore,
                       struct error *error);

/* A new open file description, for RIGHT_READ or RIGHT_WRITE; -1 in *ret if the region has none. */
int sync_block_open(const struct region *region, uint32_t access, int *ret, struct error *error);
