/*
 * Manager: changes to a region that leave its memory alone. Each is made, recorded, and taken back
 * when it could not be recorded.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/clock.h"
#include "daemon/core/durability.h"
#include "daemon/core/reaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void manager_announce_change(struct manager *manager, const struct region *region,
                             const struct caller *caller, const char *what) {
    manager_audit_changed(manager, region, caller, LOG_REGION_CHANGED, what);
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
    manager_audit_rights(manager, region, caller, &old);
    access_deinit(&old);
    manager_notify(manager, REGION_CHANGED, region, "access");
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

/* What a region takes, charged to its next owner, too, until it is known who has it. */
struct move {
    struct charge **held[3];
    struct charge *other[3]; /* that the region does not hold */
    size_t count;
};

static void swap_charges(struct move *move) {
    for (size_t i = 0; i < move->count; i++) {
        struct charge *held = *move->held[i];

        *move->held[i] = move->other[i];
        move->other[i] = held;
    }
}

static void release_other(struct move *move) {
    for (size_t i = 0; i < move->count; i++)
        charge_release(move->other[i]);
}

/* The region's own charge, its version's and its sync block's. Older versions stay whose they were. What
 * another is given was made in no unit of his. */
static int charge_next(struct region *region, uid_t uid, struct move *move, struct error *error) {
    struct payer payer = charge_payer(region->charge);
    int r = 0;

    if (payer.uid != uid)
        payer = (struct payer){.uid = uid, .name = region->name};
    *move = (struct move){.held = {&region->charge, &region->segment->charge}};
    move->count = 2;
    if (region->sync_block)
        move->held[move->count++] = &region->sync_block->charge;
    for (size_t i = 0; r == 0 && i < move->count; i++)
        r = quota_charge_instead(*move->held[i], &payer, &move->other[i], error);
    if (r < 0)
        release_other(move);
    return r;
}

/* @new becomes the region's, or stays the caller's on error. */
static int give(struct region *region, const struct access *new, struct error *error) {
    struct access old = region->access;
    struct move move;
    int r = charge_next(region, new->owner_uid, &move, error);

    if (r < 0)
        return r;
    region->access = *new;
    swap_charges(&move);
    r = manager_record(region->manager, region, error);
    if (r < 0) {
        region->access = old;
        swap_charges(&move);
    } else {
        access_deinit(&old);
    }
    release_other(&move);
    return r;
}

int manager_set_owner(struct manager *manager, const struct caller *caller, const char *name,
                      uid_t uid, gid_t gid, struct error *error) {
    const struct access *old;
    struct region *region;
    struct access new;
    char what[96];
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r < 0)
        return r;
    if (!caller->administrator)
        return error_set(error, -EPERM, "only an administrator gives region '%s' to another", name);
    old = &region->access;
    if (old->owner_uid == uid && old->owner_gid == gid)
        return 0;
    r = access_init(&new, uid, gid, old->mode, old->acl, ACCESS_RECORDED, error);
    if (r < 0)
        return r;
    new.namespace_uid = old->namespace_uid;
    snprintf(what, sizeof(what), "owner %u:%u instead of %u:%u", uid, gid, old->owner_uid,
             old->owner_gid);
    r = give(region, &new, error);
    if (r < 0) {
        access_deinit(&new);
        return r;
    }
    manager_audit_changed(manager, region, caller, LOG_RIGHTS_CHANGED, what);
    manager_notify(manager, REGION_CHANGED, region, "owner");
    return 0;
}

static int begin_lifetime(struct region *region, enum lifetime lifetime, uint32_t seconds,
                          uint64_t deadline, struct error *error) {
    reaper_stop(region);
    region->lifetime = lifetime;
    region->seconds = seconds;
    region->deadline = deadline;
    return reaper_start(region, NULL, error);
}

int manager_set_lifetime(struct manager *manager, const struct caller *caller, const char *name,
                         enum lifetime lifetime, uint32_t seconds, struct error *error) {
    enum lifetime old_lifetime;
    uint32_t old_seconds;
    uint64_t old_deadline;
    struct region *region;
    struct error ignored;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r < 0 || (region->lifetime == lifetime && region->seconds == seconds))
        return r;
    if (lifetime == LIFETIME_OWNER || region->lifetime == LIFETIME_OWNER)
        return error_set(error, -EINVAL, "region '%s': the lifetime owner is for its whole life",
                         name);
    old_lifetime = region->lifetime;
    old_seconds = region->seconds;
    old_deadline = region->deadline;
    r = begin_lifetime(region, lifetime, seconds, 0, error);
    if (r == 0)
        r = manager_record(manager, region, error);
    if (r < 0) {
        begin_lifetime(region, old_lifetime, old_seconds, old_deadline, &ignored);
        return r;
    }
    manager_announce_change(manager, region, caller, "lifetime");
    return 0;
}

int manager_set_durability(struct manager *manager, const struct caller *caller, const char *name,
                           enum durability durability, uint32_t seconds, struct error *error) {
    const struct region_spec wanted = {
        .name = name, .durability = durability, .durability_seconds = seconds};
    enum durability old;
    uint32_t old_seconds;
    struct region *region;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r < 0 || (region->durability == durability && region->durability_seconds == seconds))
        return r;
    r = durability_check(&wanted, region->segment->backing, error);
    if (r < 0)
        return r;
    old = region->durability;
    old_seconds = region->durability_seconds;
    region->durability = durability;
    region->durability_seconds = seconds;
    r = manager_record(manager, region, error);
    if (r < 0) {
        region->durability = old;
        region->durability_seconds = old_seconds;
        return r;
    }
    durability_stop(region);
    durability_changed(region);
    manager_announce_change(manager, region, caller, "durability");
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
