/*
 * Inventory: which segments there should be, and what is there besides
 *
 * Segments of shm and file regions, their sync blocks and the stages are known by name. Whatever
 * else bears this instance's name is a stray: an orphan that a killed daemon has left, unless there
 * is a doubt.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/segment.h"
#include "daemon/ground/registry.h"

/* One segment that there should be. */
struct item {
    uint64_t id;
    uint32_t version;
    enum backing backing;
    uint64_t suffix; /* of its name */
};

struct inventory {
    const struct segment_places *places;
    const struct registry *volatile_registry, *durable_registry; /* NULL: there is none */
    struct item *items;
    size_t n_items, room;
    bool sorted;
    uint64_t *doubtful; /* ids */
    size_t n_doubtful;
};

/* 0 or -ENOMEM. */
int inventory_add(struct inventory *inventory, const struct segment *segment);
/* Whatever bears this id is in doubt, too. 0 or -ENOMEM. */
int inventory_doubt(struct inventory *inventory, uint64_t id);
void inventory_deinit(struct inventory *inventory);

/* Whether a record that could tell of that segment may be in quarantine. */
bool inventory_is_doubtful(const struct inventory *inventory, const struct segment *segment);

enum stray_kind {
    STRAY_ORPHAN,
    STRAY_DOUBTFUL, /* its record may be in quarantine */
    STRAY_FOREIGN,  /* it is of another type, owner or mode, so not the daemon's */
};

struct stray {
    enum stray_kind kind;
    enum backing backing; /* shm or file: in which directory */
    int directory;
    const char *name;
};

/* Calls @each for every stray until it returns something other than 0, which is then returned. A
 * negative errno when a directory cannot be listed. @each may remove it. */
int inventory_each_stray(struct inventory *inventory,
                         int (*each)(void *data, const struct stray *stray), void *data,
                         struct error *error);
