/*
 * Cache: see cache.h.
 */
#include "daemon/core/cache.h"

#include "daemon/core/clock.h"
#include "daemon/core/manager-private.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <stdlib.h>

#define REASON "its space was wanted: "

void cache_init(struct cache *cache) {
    TAILQ_INIT(&cache->idle);
}

void cache_leave(struct region *region) {
    if (!region->idle)
        return;
    region->idle = false;
    TAILQ_REMOVE(&region->manager->cache.idle, region, idle_link);
}

static void append(struct region *region) {
    region->idle = true;
    TAILQ_INSERT_TAIL(&region->manager->cache.idle, region, idle_link);
}

/* No two uses are at the same time, and a clock that was set back changes no order. */
static uint64_t next_use(struct cache *cache) {
    uint64_t now = (uint64_t)realtime_usec();

    cache->newest = now > cache->newest ? now : cache->newest + 1;
    return cache->newest;
}

void cache_used(struct region *region) {
    if (region->lifetime != LIFETIME_CACHE || region->ended)
        return;
    region->used_usec = next_use(&region->manager->cache);
    segment_set_used(region->segment, region->used_usec);
    cache_leave(region);
    if (LIST_EMPTY(&region->attachments))
        append(region);
}

void cache_enter(struct region *region) {
    if (region->used_usec == 0)
        cache_used(region);
    else if (!region->idle && LIST_EMPTY(&region->attachments))
        append(region);
}

void cache_remember(struct region *region) {
    struct cache *cache = &region->manager->cache;

    if (region->lifetime != LIFETIME_CACHE)
        return;
    region->used_usec = segment_used(region->segment);
    if (region->used_usec == 0)
        region->used_usec = (uint64_t)region->changed_usec;
    if (region->used_usec > cache->newest)
        cache->newest = region->used_usec;
}

static int compare_uses(const void *a, const void *b) {
    uint64_t x = (*(struct region *const *)a)->used_usec;
    uint64_t y = (*(struct region *const *)b)->used_usec;

    return (x > y) - (x < y);
}

int cache_settle(struct manager *manager, struct error *error) {
    _cleanup_free_ struct region **regions = NULL;
    struct cache *cache = &manager->cache;
    struct region *region;
    size_t count = 0;

    regions = calloc(manager->n_regions + 1, sizeof(struct region *));
    if (!regions)
        return error_set(error, -ENOMEM, "no memory to put the regions in order");
    TAILQ_FOREACH (region, &cache->idle, idle_link)
        regions[count++] = region;
    qsort(regions, count, sizeof(struct region *), compare_uses);
    TAILQ_INIT(&cache->idle);
    for (size_t i = 0; i < count; i++)
        append(regions[i]);
    return 0;
}

/* The manager's tree of names and the region are all that refer to it and to its segment, so that with
 * it goes all that is charged for it. */
static bool may_go(const struct region *region) {
    return region->references == 1 && region->segment->references == 1 && region->stages == 0 &&
           LIST_EMPTY(&region->attachments);
}

static bool end(struct region *region, const char *reason) {
    struct manager *manager = region->manager;
    struct request_under_way request = manager->request;
    struct error error = {0};
    int r;

    /* What is recorded with it is not that the request it makes room for has taken effect. */
    manager->request = (struct request_under_way){0};
    r = manager_end_region(region, NULL, REGION_REAPED, reason, &error);
    manager->request = request;
    /* A disk that does not answer keeps its own. */
    if (r < 0 && r != -EINPROGRESS)
        log_write(LOG_ERR, ABOUT(.region = region->name), "cannot reap region '%s': %s",
                  region->name, error.text);
    return r == 0;
}

/* How much of the excess goes with the region. */
static uint64_t gain(const struct region *region, const struct quota_excess *excess) {
    return charge_relieves(region->charge, excess) +
           charge_relieves(region->segment->charge, excess) +
           (region->sync_block ? charge_relieves(region->sync_block->charge, excess) : 0);
}

struct relief {
    const struct quota_excess *excesses;
    size_t count;
    const char *reason;                /* NULL: nothing is ended yet */
    uint64_t left[QUOTA_EXCESSES_MAX]; /* of each excess */
};

static bool is_enough(const struct relief *relief) {
    for (size_t i = 0; i < relief->count; i++)
        if (relief->left[i] > 0)
            return false;
    return true;
}

static void relieve_by(struct relief *relief, struct region *region) {
    uint64_t gains[QUOTA_EXCESSES_MAX];
    bool helps = false;

    for (size_t i = 0; i < relief->count; i++) {
        gains[i] = gain(region, &relief->excesses[i]);
        helps = helps || (gains[i] > 0 && relief->left[i] > 0);
    }
    if (!helps || (relief->reason && !end(region, relief->reason)))
        return;
    for (size_t i = 0; i < relief->count; i++)
        relief->left[i] -= gains[i] < relief->left[i] ? gains[i] : relief->left[i];
}

static bool relieve(struct manager *manager, const struct quota_excess *excesses, size_t count,
                    const char *reason) {
    struct relief relief = {.excesses = excesses, .count = count, .reason = reason};
    struct region *region = TAILQ_FIRST(&manager->cache.idle), *next;

    for (size_t i = 0; i < count; i++)
        relief.left[i] = excesses[i].amount;
    for (; region && !is_enough(&relief); region = next) {
        next = TAILQ_NEXT(region, idle_link);
        if (may_go(region))
            relieve_by(&relief, region);
    }
    return is_enough(&relief);
}

bool cache_relieve(void *data, const struct quota_excess *excesses, size_t count, const char *why) {
    char reason[ERROR_TEXT_MAX];

    snprintf(reason, sizeof(reason), REASON "%s", why);
    return relieve(data, excesses, count, NULL) && relieve(data, excesses, count, reason);
}

bool cache_make_room(struct manager *manager, enum backing backing, bool pages) {
    struct region *region;
    char reason[64];

    snprintf(reason, sizeof(reason), REASON "no space is left for a %s segment",
             backing_to_word(backing));
    TAILQ_FOREACH (region, &manager->cache.idle, idle_link)
        if (region->segment->backing == backing && may_go(region) &&
            (!pages || segment_has_pages(region->segment)) && end(region, reason))
            return true;
    return false;
}

/* What a file has in memory the kernel writes out and drops by itself. */
static bool memory_may_go(const struct region *region) {
    return region->segment->backing != BACKING_FILE && may_go(region);
}

unsigned manager_relieve_pressure(struct manager *manager, unsigned percent) {
    struct region *region, *next;
    uint64_t bytes = 0, given_back = 0;
    unsigned count = 0;

    TAILQ_FOREACH (region, &manager->cache.idle, idle_link)
        if (memory_may_go(region))
            bytes += charge_amount(region->segment->charge);
    for (region = TAILQ_FIRST(&manager->cache.idle); region; region = next) {
        uint64_t amount = charge_amount(region->segment->charge);

        next = TAILQ_NEXT(region, idle_link);
        if (count > 0 && given_back >= bytes / 100 * percent)
            break;
        if (!memory_may_go(region) || !end(region, REASON "the host is short of memory"))
            continue;
        given_back += amount;
        count++;
    }
    return count;
}
