/*
 * Sweep: see sweep.h.
 */
#include "daemon/core/sweep.h"

#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"
#include "daemon/core/stage.h"
#include "daemon/core/sync-block.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* What the current version of a region, or its sync block, is called in its directory; sorted, so
 * that a sweep of many segments is quick. */
struct current {
    uint64_t id;
    uint32_t version;
    enum backing backing;
};

struct inventory {
    struct current *current;
    size_t count;
};

static int compare_current(const void *a, const void *b) {
    const struct current *x = a, *y = b;

    if (x->id != y->id)
        return x->id > y->id ? 1 : -1;
    return (x->version > y->version) - (x->version < y->version);
}

static void add_segment(struct inventory *inventory, const struct segment *segment) {
    inventory->current[inventory->count++] = (struct current){
        .id = segment->id,
        .version = segment->version,
        .backing = segment->backing,
    };
}

static int add_current(void *data, struct region *region) {
    struct inventory *inventory = data;

    add_segment(inventory, region->segment);
    if (region->sync_block)
        add_segment(inventory, region->sync_block);
    return 0;
}

static bool is_staged(const struct manager *manager, const struct current *key) {
    const struct client *client;
    const struct stage *stage;

    TAILQ_FOREACH (client, &manager->clients, link) {
        stage = client_find_stage(client, key->id);
        if (stage)
            return key->version == stage->segment->version &&
                   key->backing == stage->segment->backing;
    }
    return false;
}

static bool is_current(const struct inventory *inventory, const struct current *key) {
    const struct current *found =
        bsearch(key, inventory->current, inventory->count, sizeof(*key), compare_current);

    return found && found->backing == key->backing;
}

/* A segment without a region is an orphan only if no record of it was set aside. */
static bool is_doubtful(const struct manager *manager, const struct current *segment) {
    char key[RECORD_KEY_MAX];

    region_record_key(segment->id, key);
    if (registry_may_have_quarantined(manager_registry(manager, segment->backing), REGISTRY_REGIONS,
                                      key))
        return true;
    /* A file region's block is a shm object. */
    return segment->version == SYNC_BLOCK_VERSION &&
           registry_may_have_quarantined(manager->durable_registry, REGISTRY_REGIONS, key);
}

static int sweep_directory(struct manager *manager, const struct inventory *inventory,
                           int directory, enum backing backing, struct error *error) {
    int fd = openat(directory, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    _cleanup_closedir_ DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!stream) {
        int r = error_set(error, -errno, "cannot list the segments: %s", strerror(errno));

        close_fd(&fd);
        return r;
    }
    while ((entry = readdir(stream))) {
        struct current key = {.backing = backing};

        if (!segment_name_parse(manager->instance, entry->d_name, &key.id, &key.version) ||
            is_current(inventory, &key) || is_staged(manager, &key))
            continue;
        if (is_doubtful(manager, &key)) {
            log_write(LOG_WARNING, ABOUT(.kind = LOG_RECORD_QUARANTINED),
                      "segment %s is left alone: its record may be in quarantine", entry->d_name);
            continue;
        }
        log_write(LOG_NOTICE, ABOUT(.kind = LOG_ORPHAN_REAPED),
                  "segment %s, left over by the last daemon, removed", entry->d_name);
        unlinkat(directory, entry->d_name, 0);
    }
    return 0;
}

/* A memfd that nobody took is kept by the service manager alone. */
static void sweep_fdstore(struct manager *manager, const struct fdstore *fdstore) {
    for (size_t i = 0; i < fdstore->n_stored; i++) {
        const struct stored_fd *stored = &fdstore->stored[i];
        struct current key = {.backing = BACKING_MEMFD};

        if (stored->fd < 0 ||
            !segment_name_parse(manager->instance, stored->name, &key.id, &key.version) ||
            is_doubtful(manager, &key))
            continue;
        log_write(LOG_NOTICE, ABOUT(.kind = LOG_ORPHAN_REAPED),
                  "memfd %s, left over by the last daemon, removed", stored->name);
        fdstore_drop(stored->name);
    }
}

int sweep(struct manager *manager, const struct fdstore *fdstore, struct error *error) {
    _cleanup_free_ struct current *current =
        calloc(2 * (size_t)manager->n_regions + 1, sizeof(*current));
    struct inventory inventory = {.current = current};
    int r;

    if (!current)
        return error_set(error, -ENOMEM, "no memory to list the segments");
    manager_each_region(manager, add_current, &inventory);
    sweep_fdstore(manager, fdstore);
    qsort(current, inventory.count, sizeof(*current), compare_current);
    r = sweep_directory(manager, &inventory, manager->places.shm_directory, BACKING_SHM, error);
    if (r == 0)
        r = sweep_directory(manager, &inventory, manager->places.file_directory, BACKING_FILE,
                            error);
    return r;
}
