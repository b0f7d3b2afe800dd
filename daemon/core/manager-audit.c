/*
 * Manager: what it has the audit say of its regions.
 */
#include "daemon/core/manager-private.h"

#include <inttypes.h>
#include <stdlib.h>

/* Who neither owns the region nor was given the right, as far as can be told. */
static bool acts_as_administrator(const struct region *region, const struct caller *caller) {
    return caller->administrator && caller->uid != region->access.owner_uid;
}

void manager_audit_created(struct manager *manager, struct region *region) {
    _cleanup_free_ char *unit = steal_pointer(region->creator_unit);
    const struct caller creator = {
        .uid = region->access.owner_uid,
        .pid = region->creator_pid,
        .units.system = unit,
    };

    audit_write(manager->audit,
                &(struct audit_event){
                    .kind = LOG_REGION_CREATED,
                    .caller = &creator,
                    .region = region->name,
                },
                "region '%s' created by user %u: %s, %s, mode %#o, %" PRIu64 " bytes", region->name,
                creator.uid, backing_to_word(region->segment->backing),
                lifetime_to_word(region->lifetime), region->access.mode, region->segment->size);
}

void manager_audit_ended(struct manager *manager, const struct region *region,
                         const struct caller *caller, enum region_event event, const char *reason) {
    audit_write(manager->audit,
                &(struct audit_event){
                    .kind = event == REGION_REAPED ? LOG_REGION_REAPED : LOG_REGION_DESTROYED,
                    .caller = caller,
                    .owner = region->access.owner_uid,
                    .as_administrator = caller && acts_as_administrator(region, caller),
                    .region = region->name,
                    .reason = reason,
                },
                "region '%s' %s: %s", region->name, region_event_word(event), reason);
}

void manager_audit_changed(struct manager *manager, const struct region *region,
                           const struct caller *caller, enum log_kind kind, const char *what) {
    audit_write(manager->audit,
                &(struct audit_event){
                    .kind = kind,
                    .caller = caller,
                    .as_administrator = acts_as_administrator(region, caller),
                    .region = region->name,
                    .reason = what,
                },
                "region '%s' changed by user %u: %s", region->name, caller->uid, what);
}

void manager_audit_rights(struct manager *manager, const struct region *region,
                          const struct caller *caller, const struct access *old) {
    char what[512];

    snprintf(what, sizeof(what), "mode %#o instead of %#o, rules '%s' instead of '%s'",
             region->access.mode, old->mode, region->access.acl, old->acl);
    manager_audit_changed(manager, region, caller, LOG_RIGHTS_CHANGED, what);
}
