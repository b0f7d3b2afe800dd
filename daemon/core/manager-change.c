/*
 * Manager: changes to a region that leave its memory alone. Each is made, recorded, and taken back
 * when it could not be recorded.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/clock.h"
#include "daemon/core/reaper.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void manager_announce_change(struct manager *manager, const struct region *region,
                             const struct caller *caller, const char *what) {
    log_write(LOG_INFO,
              ABOUT(.kind = LOG_REGION_CHANGED, .region = region->name, .client_pid = caller->pid,
                    .client_uid = caller->uid),
              "region '%s' changed by user %u: %s", region->name, caller->uid, what);
    manager_notify(manager, REGION_CHANGED, region, what);
}

int manager_set_access(struct manager *manager, const struct caller *caller, const char *name,
                       const uint32_t *mode, const char *acl, struct error *error) {
    struct access old, new;
    struct region *region;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r < 0)
        return r;
    old = region->access;
    r = access_init(&new, old.owner_uid, old.owner_gid, mode ? *mode : old.mode,
                    acl ? acl : old.acl, acl ? ACCESS_NEW : ACCESS_RECORDED, error);
    if (r < 0)
        return r;
    new.namespace_uid = old.namespace_uid;
    region->access = new;
    r = manager_record(manager, region, error);
    if (r < 0) {
        region->access = old;
        access_deinit(&new);
        return r;
    }
    access_deinit(&old);
    manager_announce_change(manager, region, caller, "access");
    return 0;
}

int manager_set_attributes(struct manager *manager, const struct caller *caller, const char *name,
                           const char *attributes, struct error *error) {
    _cleanup_free_ char *copy = NULL;
    char *old;
    struct region *region;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r == 0)
        r = attributes_check(attributes, error);
    if (r < 0)
        return r;
    copy = strdup(attributes);
    if (!copy)
        return error_set(error, -ENOMEM, "no memory for the attributes of '%s'", name);
    old = region->attributes;
    region->attributes = copy;
    r = manager_record(manager, region, error);
    if (r < 0) {
        region->attributes = old;
        return r;
    }
    copy = old;
    manager_announce_change(manager, region, caller, "attributes");
    return 0;
}

int manager_renew(struct manager *manager, const struct caller *caller, const char *name,
                  uint32_t seconds, struct error *error) {
    struct region *region;
    uint32_t old_seconds;
    uint64_t old_deadline;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r < 0)
        return r;
    if (region->lifetime != LIFETIME_LEASE)
        return error_set(error, -EINVAL, "region '%s' has no lease: its lifetime is %s", name,
                         lifetime_to_word(region->lifetime));
    old_seconds = region->seconds;
    old_deadline = region->deadline;
    if (seconds != 0)
        region->seconds = seconds;
    region->deadline = boottime_usec() + (uint64_t)region->seconds * USEC_PER_SEC;
    r = manager_record(manager, region, error);
    if (r < 0) {
        region->seconds = old_seconds;
        region->deadline = old_deadline;
        return r;
    }
    reaper_deadline_changed(region);
    return 0;
}
