/*
 * Blocks: mapping, sharing, giving back: see block.h.
 */
#include "client/block.h"

#include "client/connection.h"
#include "client/failure.h"
#include "client/region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The id alone is not enough: a daemon that has lost everything begins again with the first. */
static struct block *find(const struct block_list *blocks, uint64_t region_id,
                          const struct stat *status, bool writable) {
    struct block *block;

    LIST_FOREACH (block, blocks, link)
        if (block->region_id == region_id && block->device == status->st_dev &&
            block->inode == status->st_ino && block->writable == writable)
            return block;
    return NULL;
}

static int check(const struct mapping *mapping, const struct sync_block *memory) {
    if (memory->magic == SYNC_BLOCK_MAGIC && memory->layout == SYNC_BLOCK_LAYOUT)
        return 0;
    return fail(-EPROTO, "region '%s': its sync block is damaged, or made for another C library",
                mapping->name);
}

static int map(const struct mapping *mapping, int fd, const struct stat *status, bool writable,
               struct sync_block **ret) {
    void *memory;
    int r;

    if (status->st_size < (off_t)SYNC_BLOCK_SIZE)
        return fail(-EIO, "region '%s': a writer cut its sync block to %jd bytes", mapping->name,
                    (intmax_t)status->st_size);
    memory = mmap(NULL, SYNC_BLOCK_SIZE, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                  fd, 0);
    if (memory == MAP_FAILED)
        return fail(-errno, "region '%s': cannot map its sync block: %s", mapping->name,
                    strerror(errno));
    r = check(mapping, memory);
    if (r < 0)
        munmap(memory, SYNC_BLOCK_SIZE);
    else
        *ret = memory;
    return r;
}

static int add(struct mapping *mapping, int fd, const struct stat *status, bool writable) {
    _cleanup_free_ struct block *block = calloc(1, sizeof(*block));
    int r;

    if (!block)
        return fail(-ENOMEM, "region '%s': no memory for its sync block", mapping->name);
    block->region_id = mapping->id;
    block->device = status->st_dev;
    block->inode = status->st_ino;
    block->writable = writable;
    r = map(mapping, fd, status, writable, &block->memory);
    if (r < 0)
        return r;
    LIST_INSERT_HEAD(&mapping->conn->blocks, block, link);
    mapping->block = steal_pointer(block);
    return 0;
}

int block_attach(struct mapping *mapping, int fd) {
    bool writable = mapping_right(mapping) == WIRE_WRITE;
    struct shmreg_conn *conn = mapping->conn;
    struct stat status;
    int r = 0;

    if (fstat(fd, &status) < 0)
        return fail(-errno, "region '%s': its sync block: %s", mapping->name, strerror(errno));
    pthread_mutex_lock(&conn->state);
    mapping->block = find(&conn->blocks, mapping->id, &status, writable);
    if (!mapping->block)
        r = add(mapping, fd, &status, writable);
    if (r == 0)
        mapping->block->references++;
    pthread_mutex_unlock(&conn->state);
    return r;
}

/* The C library has a list of the robust locks a thread holds, which leads through their memory: so
 * that of one that is held stays. */
static void end(struct block *block) {
    LIST_REMOVE(block, link);
    if (atomic_load(&block->owner) == 0)
        munmap(block->memory, SYNC_BLOCK_SIZE);
    free(block);
}

void block_detach(struct mapping *mapping) {
    struct shmreg_conn *conn = mapping->conn;
    struct block *block = mapping->block;

    if (!block)
        return;
    pthread_mutex_lock(&conn->state);
    mapping->block = NULL;
    if (--block->references == 0)
        end(block);
    pthread_mutex_unlock(&conn->state);
}

void block_list_deinit(struct block_list *blocks) {
    struct block *block;

    while ((block = LIST_FIRST(blocks)))
        end(block);
}

void block_list_forget_owners(struct block_list *blocks) {
    struct block *block;

    LIST_FOREACH (block, blocks, link) {
        atomic_store(&block->owner, 0);
        block->writing = false;
    }
}

int block_of(const struct shmreg_region *region, bool writes, struct block **ret) {
    const struct mapping *mapping = region_mapping(region);

    *ret = mapping->block;
    if (!*ret)
        return fail(-EOPNOTSUPP,
                    "region '%s' has no sync block: it was created without SHMREG_SYNC_BLOCK",
                    mapping->name);
    if (writes && !(*ret)->writable)
        return fail(-EACCES,
                    "region '%s' is open for reading: lock, sequence and event are its writers'",
                    mapping->name);
    return 0;
}

/* Its address is another in each thread. */
static _Thread_local char thread_mark;

bool block_is_mine(const struct block *block) {
    return atomic_load_explicit(&block->owner, memory_order_relaxed) == (uintptr_t)&thread_mark;
}

void block_set_mine(struct block *block) {
    atomic_store_explicit(&block->owner, (uintptr_t)&thread_mark, memory_order_relaxed);
}
