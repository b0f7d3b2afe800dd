/*
 * Manager: what a region's slot on the status page says, and when
 *
 * Everything that changes a region in a way that those who are attached must learn of is recorded
 * together with the version that the slot has from then on, and only then shown. So a kill in
 * between leaves a slot that says less than the record, and the next start makes up for it: nobody
 * sleeps through a change.
 */
#include "daemon/core/manager-private.h"

#include <errno.h>
#include <string.h>

static uint32_t slot_flags(const struct region *region) {
    uint32_t version = region->segment ? region->segment->version : 1;

    return (region->ended ? SLOT_DESTROYED : SLOT_LIVE) |
           (region->segment && region->segment->sealed ? SLOT_SEALED : 0) |
           version << SLOT_REGION_VERSION_SHIFT;
}

void manager_show(const struct region *region) {
    struct manager *manager = region->manager;
    struct observer *observer;

    status_slot_change(manager->status, region->slot, region->slot_version, slot_flags(region));
    LIST_FOREACH (observer, &manager->observers, link)
        if (observer->moved)
            observer->moved(observer, region);
}

int manager_take_slot(struct region *region, struct error *error) {
    struct status_page *status = region->manager->status;
    int r = status_slot_take(status, &region->slot);

    if (r < 0)
        return error_set(error, r, "no slot on the status page: %s", strerror(-r));
    region->slot_version = status_slot_version(status, region->slot);
    return 0;
}

int manager_claim_slot(struct region *region, uint32_t slot, uint32_t slot_version,
                       struct error *error) {
    struct status_page *status = region->manager->status;
    uint32_t shown;

    region->slot = slot;
    if (status_slot_claim(status, slot) < 0) {
        int r = manager_take_slot(region, error);

        if (r < 0)
            return r;
    }
    shown = status_slot_version(status, region->slot);
    region->slot_version = shown;
    if ((int32_t)(slot_version - shown) > 0)
        region->slot_version = slot_version;
    else if (status_slot_flags(status, region->slot) != slot_flags(region))
        region->slot_version++;
    if (region->slot_version != shown)
        manager_show(region);
    return 0;
}

int manager_record_move(struct manager *manager, struct region *region, struct error *error) {
    int r;

    region->slot_version++;
    r = manager_record(manager, region, error);
    if (r < 0)
        region->slot_version--;
    return r;
}

int manager_record_shown(struct manager *manager, struct region *region, struct error *error) {
    int r = manager_record_move(manager, region, error);

    if (r == 0)
        manager_show(region);
    return r;
}

void manager_end_slot(struct region *region) {
    region->slot_version++;
    manager_show(region);
    status_slot_release(region->manager->status, region->slot);
}
