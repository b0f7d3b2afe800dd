/*
 * Region: see region.h.
 */
#include "daemon/core/region.h"

#include "daemon/core/cache.h"
#include "daemon/core/clock.h"

#include <stdlib.h>

struct region *region_ref(struct region *region) {
    region->references++;
    return region;
}

void region_unref(struct region *region) {
    if (--region->references > 0)
        return;
    process_watch_stop(&region->owner);
    cache_leave(region);
    if (region->timer)
        event_free(region->timer);
    if (region->sync_timer)
        event_free(region->sync_timer);
    if (region->segment)
        segment_unref(region->segment);
    if (region->sync_block)
        segment_unref(region->sync_block);
    charge_release(region->charge);
    access_deinit(&region->access);
    free(region->attributes);
    free(region->declared);
    free(region->loaded);
    free(region->name);
    free(region->creator_unit);
    free(region);
}

bool region_is_kept(const struct region *region) {
    return region->segment->kept && (!region->sync_block || region->sync_block->kept);
}

uint32_t region_remaining_seconds(const struct region *region) {
    uint64_t now = boottime_usec();

    if (region->deadline == 0)
        return UINT32_MAX;
    if (region->deadline <= now)
        return 0;
    return (uint32_t)((region->deadline - now + USEC_PER_SEC - 1) / USEC_PER_SEC);
}
