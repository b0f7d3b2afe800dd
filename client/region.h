/*
 * Region: the handle that an open gives
 *
 * It leads to a mapping, which other handles may share, and remembers what the region's slot on the
 * status page said when it was opened or last refreshed: news is news to each handle, whatever the
 * others have heard. A refresh may lead it elsewhere while other threads look through it, so what
 * they look at is atomic; it is changed with the connection's `state` held.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#include "client/mapping.h"
#include "client/shmreg.h"
#include "proto/cleanup.h"
#include "proto/status-slot.h"

struct shmreg_region {
    struct shmreg_conn *conn;
    struct mapping *_Atomic mapping;
    const struct status_slot *_Atomic slot;
    _Atomic uint32_t seen;   /* what the slot said */
    _Atomic uint32_t losses; /* of the mapping, when that was worth something */
    struct shmreg_region
        *older; /* a chain of handles that nobody else has: old mappings it keeps */
    LIST_ENTRY(shmreg_region) link; /* of regions */

    /* With `state` held. */
    bool silent;              /* nobody but the library has it: there is no news for it */
    struct status_words told; /* what the slot said when the handle last had news of it */
    uint32_t told_losses;
    uint32_t news; /* SHMREG_NEWS_..., yet to be told: then it is in the list of such */
    TAILQ_ENTRY(shmreg_region) news_link;
};

static inline struct mapping *region_mapping(const struct shmreg_region *region) {
    return atomic_load_explicit(&region->mapping, memory_order_acquire);
}

/* A handle to a mapping that has no memory yet, see mapping_new(). NULL with the sentence kept. */
struct shmreg_region *region_new(struct shmreg_conn *conn, const char *name, uint32_t access);

/* Frees one that was not installed, with its mapping. */
void region_free(struct shmreg_region *region);
DEFINE_CLEANUP(struct shmreg_region *, region_free);

/* Puts it into the connection's lists, with its mapping or the one that has taken over from it. */
void region_install(struct shmreg_region *region);

/* A handle to a mapping that is known to be current without asking anybody; else NULL. A @silent one
 * is not its caller's yet, or never. */
struct shmreg_region *region_share(struct shmreg_conn *conn, const char *name, uint32_t access,
                                   bool silent);

/* With `state` held: leads it to the mapping, whose slot it has seen with that. */
void region_lead_to(struct shmreg_region *region, struct mapping *mapping);

/* A silent handle, else like what shmreg_open() gives, with `talk` held. */
int region_open(struct shmreg_conn *conn, const char *name, uint32_t access,
                struct shmreg_region **ret);
