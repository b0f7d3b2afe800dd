/*
 * Sync block: see sync-block.h.
 */
#include "daemon/core/sync-block.h"

#include "daemon/core/manager-private.h"
#include "daemon/ground/log.h"
#include "proto/rights.h"
#include "proto/sync-block.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

static enum backing backing_of(const struct region *region) {
    return sync_block_backing(region->segment->backing);
}

static int init_lock(pthread_mutex_t *lock) {
    pthread_mutexattr_t kind;
    int r = pthread_mutexattr_init(&kind);

    if (r != 0)
        return -r;
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    r = pthread_mutex_init(lock, &kind);
    pthread_mutexattr_destroy(&kind);
    return -r;
}

/* Made here and copied there: a mutex that nobody has used yet is the same at any address. */
static int write_block(struct manager *manager, const struct segment *segment,
                       struct error *error) {
    struct sync_block block = {.magic = SYNC_BLOCK_MAGIC, .layout = SYNC_BLOCK_LAYOUT};
    int r = init_lock(&block.lock);

    if (r < 0)
        return error_set(error, r, "cannot make a lock: %s", strerror(-r));
    return manager_write_segment(manager, segment, 0, &block, sizeof(block), error);
}

int sync_block_make(struct manager *manager, struct region *region, struct error *error) {
    struct payer payer = charge_payer(region->charge);
    int r =
        manager_new_segment(manager, &payer, backing_of(region), 0, region->id, SYNC_BLOCK_VERSION,
                            SYNC_BLOCK_SIZE, SYNC_BLOCK_SIZE, &region->sync_block, error);

    return r < 0 ? r : write_block(manager, region->sync_block, error);
}

static int take_block(struct manager *manager, struct region *region, struct fdstore *fdstore,
                      struct error *error) {
    struct payer payer = charge_payer(region->charge);
    enum backing backing = backing_of(region);
    int r;

    r = segment_new_existing(&manager->places, backing, region->id, SYNC_BLOCK_VERSION,
                             SYNC_BLOCK_SIZE, SYNC_BLOCK_SIZE, -1, &region->sync_block);
    if (r == 0)
        r = quota_charge_existing(manager->quota, &payer, LIMIT_BYTES, SYNC_BLOCK_SIZE,
                                  &region->sync_block->charge);
    if (r < 0)
        return error_set(error, r, "no memory for a sync block");
    if (backing == BACKING_MEMFD && kept_take(region->sync_block, fdstore) < 0)
        return error_set(error, -ENODATA, "its sync block ended with the last daemon");
    return segment_check(region->sync_block, error);
}

/* Another object with the same charge. */
static int replace_block(struct manager *manager, struct region *region, struct error *error) {
    struct charge *charge = steal_pointer(region->sync_block->charge);

    segment_unref(steal_pointer(region->sync_block));
    log_write(LOG_NOTICE, ABOUT(.region = region->name),
              "region '%s': its sync block has gone, so it gets a new one", region->name);
    return segment_new(&manager->places, backing_of(region), 0, region->id, SYNC_BLOCK_VERSION,
                       SYNC_BLOCK_SIZE, SYNC_BLOCK_SIZE, charge, &region->sync_block, error);
}

/* A daemon killed in here leaves a block that is empty, and that no client has taken for one. */
static int complete_block(struct manager *manager, const struct segment *segment,
                          struct error *error) {
    uint64_t magic;
    int r = segment_read(segment, offsetof(struct sync_block, magic), &magic, sizeof(magic), error);

    return r < 0 || magic == SYNC_BLOCK_MAGIC ? r : write_block(manager, segment, error);
}

int sync_block_restore(struct manager *manager, struct region *region, struct fdstore *fdstore,
                       struct error *error) {
    int r = take_block(manager, region, fdstore, error);

    if (r == -ENOENT)
        r = replace_block(manager, region, error);
    if (r == -EUCLEAN) {
        log_write(LOG_WARNING, ABOUT(.region = region->name),
                  "region '%s': a writer resized its sync block: %s", region->name, error->text);
        return 0;
    }
    return r < 0 ? r : complete_block(manager, region->sync_block, error);
}

int sync_block_open(const struct region *region, uint32_t access, int *ret, struct error *error) {
    *ret = -1;
    if (!region->sync_block)
        return 0;
    *ret = segment_open(region->sync_block, access == RIGHT_WRITE ? O_RDWR : O_RDONLY, error);
    return *ret < 0 ? *ret : 0;
}
