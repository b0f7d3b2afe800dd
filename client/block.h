/*
 * Block: a region's sync block in the memory of this process
 *
 * It belongs to the region and not to a version, so all mappings of one region that this connection
 * has with the same right share it. It is found and given back with the connection's `state` held;
 * what happens in its memory is the business of who uses it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/sync-block.h"

struct mapping;
struct shmreg_conn;
struct shmreg_region;

struct block {
    unsigned references; /* of mappings */
    uint64_t region_id;
    dev_t device; /* with the inode: which object it is, as long as it is mapped */
    ino_t inode;
    bool writable;
    struct sync_block *memory;
    _Atomic uintptr_t owner; /* which thread of this process has the lock through it; 0 for none */
    bool writing;            /* the owner's: between write_begin and write_end */
    LIST_ENTRY(block) link;
};

LIST_HEAD(block_list, block);

/* Maps the block that the descriptor leads to, which stays the caller's, or finds it mapped
 * already, and makes it the mapping's. */
int block_attach(struct mapping *mapping, int fd);
void block_detach(struct mapping *mapping);

/* At the end of a connection: unmaps and frees them all. */
void block_list_deinit(struct block_list *blocks);

/* In the child of a fork(2): what the parent's threads hold is not the child's. */
void block_list_forget_owners(struct block_list *blocks);

/* The block that a handle leads to: -EOPNOTSUPP if its region has none, -EACCES if the caller
 * would write to it and may not. */
int block_of(const struct shmreg_region *region, bool writes, struct block **ret);

bool block_is_mine(const struct block *block);
void block_set_mine(struct block *block);

/* With the lock held. */
void block_write_end(struct block *block);
