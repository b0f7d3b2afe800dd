/*
 * Inventory: see inventory.h.
 */
#include "daemon/core/inventory.h"

#include "daemon/core/record.h"
#include "daemon/core/sync-block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROOM_MIN 64u

static struct item item_of(const struct segment *segment) {
    return (struct item){segment->id, segment->version, segment->backing, segment->suffix};
}

int inventory_add(struct inventory *inventory, const struct segment *segment) {
    if (inventory->n_items == inventory->room) {
        size_t room = inventory->room ? inventory->room * 2 : ROOM_MIN;
        struct item *items = reallocarray(inventory->items, room, sizeof(*items));

        if (!items)
            return -ENOMEM;
        inventory->items = items;
        inventory->room = room;
    }
    inventory->items[inventory->n_items++] = item_of(segment);
    inventory->sorted = false;
    return 0;
}

int inventory_doubt(struct inventory *inventory, uint64_t id) {
    uint64_t *doubtful =
        reallocarray(inventory->doubtful, inventory->n_doubtful + 1, sizeof(*doubtful));

    if (!doubtful)
        return -ENOMEM;
    doubtful[inventory->n_doubtful++] = id;
    inventory->doubtful = doubtful;
    return 0;
}

void inventory_deinit(struct inventory *inventory) {
    free(inventory->items);
    free(inventory->doubtful);
    *inventory = (struct inventory){0};
}

static int compare(const void *a, const void *b) {
    const struct item *x = a, *y = b;

    if (x->id != y->id)
        return x->id > y->id ? 1 : -1;
    if (x->version != y->version)
        return x->version > y->version ? 1 : -1;
    if (x->backing != y->backing)
        return x->backing > y->backing ? 1 : -1;
    return (x->suffix > y->suffix) - (x->suffix < y->suffix);
}

/* Sorted, so that a look at many segments is quick. */
static bool has(struct inventory *inventory, const struct segment *segment) {
    const struct item item = item_of(segment);

    if (inventory->n_items == 0)
        return false;
    if (!inventory->sorted)
        qsort(inventory->items, inventory->n_items, sizeof(item), compare);
    inventory->sorted = true;
    return bsearch(&item, inventory->items, inventory->n_items, sizeof(item), compare);
}

static bool may_be_in(const struct registry *registry, uint64_t id) {
    char key[RECORD_KEY_MAX];

    region_record_key(id, key);
    return registry && registry_may_have_quarantined(registry, REGISTRY_REGIONS, key);
}

bool inventory_is_doubtful(const struct inventory *inventory, const struct segment *segment) {
    for (size_t i = 0; i < inventory->n_doubtful; i++)
        if (inventory->doubtful[i] == segment->id)
            return true;
    if (may_be_in(segment->backing == BACKING_FILE ? inventory->durable_registry
                                                   : inventory->volatile_registry,
                  segment->id))
        return true;
    /* A file region's block is a shm object. */
    return segment->version == SYNC_BLOCK_VERSION &&
           may_be_in(inventory->durable_registry, segment->id);
}

/* What the daemon makes is as segment_check() wants it. */
static bool is_foreign(int directory, const char *name) {
    struct stat status;

    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode != (S_IFREG | SEGMENT_MODE) || status.st_uid != geteuid());
}

static int each_in(struct inventory *inventory, struct stray *stray,
                   int (*each)(void *data, const struct stray *stray), void *data,
                   struct error *error) {
    int fd = openat(stray->directory, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), r = 0;
    _cleanup_closedir_ DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!stream) {
        r = error_set(error, -errno, "cannot list the segments: %s", strerror(errno));
        close_fd(&fd);
        return r;
    }
    while (r == 0 && (entry = readdir(stream))) {
        struct segment segment;

        if (!segment_name_parse(inventory->places, stray->backing, entry->d_name, &segment) ||
            has(inventory, &segment))
            continue;
        stray->name = entry->d_name;
        stray->kind = is_foreign(stray->directory, entry->d_name)  ? STRAY_FOREIGN
                      : inventory_is_doubtful(inventory, &segment) ? STRAY_DOUBTFUL
                                                                   : STRAY_ORPHAN;
        r = each(data, stray);
    }
    return r;
}

int inventory_each_stray(struct inventory *inventory,
                         int (*each)(void *data, const struct stray *stray), void *data,
                         struct error *error) {
    struct stray places[] = {
        {.backing = BACKING_SHM, .directory = inventory->places->shm_directory},
        {.backing = BACKING_FILE, .directory = inventory->places->file_directory},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++)
        if (places[i].directory >= 0)
            r = each_in(inventory, &places[i], each, data, error);
    return r;
}
