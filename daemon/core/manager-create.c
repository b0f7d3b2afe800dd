/*
 * Manager: how a region comes to be, and how it ends.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/clock.h"
#include "daemon/core/durability.h"
#include "daemon/core/policy.h"
#include "daemon/core/reaper.h"
#include "daemon/core/record.h"
#include "daemon/core/sync-block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int manager_new_region(struct manager *manager, const struct caller *caller,
                       const struct payer *payer, const struct region_spec *spec, uint64_t id,
                       struct region **ret, struct error *error) {
    _cleanup_(cleanup_region_unref) struct region *region = NULL;
    enum backing backing = manager_backing(manager, spec);
    int r = durability_check(spec, backing, error);

    if (r < 0)
        return r;
    region = calloc(1, sizeof(*region));
    if (!region)
        return error_set(error, -ENOMEM, "no memory for a region");
    region->manager = manager;
    region->references = 1;
    region->id = id;
    LIST_INIT(&region->attachments);
    region->lifetime = spec->lifetime ? spec->lifetime : LIFETIME_PERSISTENT;
    region->seconds = spec->seconds;
    region->durability = durability_of(spec, backing);
    region->durability_seconds = spec->durability_seconds;
    region->tag = spec->tag;
    region->creator_pid = caller->pid;
    region->creator_unit = caller_unit(caller) ? strdup(caller_unit(caller)) : NULL;
    region->created_usec = region->changed_usec = realtime_usec();
    region->name = strdup(spec->name);
    region->attributes = strdup(*spec->attributes ? spec->attributes : "{}");
    if (!region->name || !region->attributes || (caller_unit(caller) && !region->creator_unit))
        return error_set(error, -ENOMEM, "no memory for a region");

    r = access_init(&region->access, caller->uid, caller->gid, spec->mode, spec->acl, ACCESS_NEW,
                    error);
    if (r < 0)
        return r;
    region->access.namespace_uid = policy_namespace_owner(manager->config, spec->name);
    r = quota_charge(manager->quota, payer, LIMIT_REGIONS, 1, &region->charge, error);
    if (r < 0)
        return r;
    r = manager_take_slot(region, error);
    if (r < 0)
        return r;
    *ret = steal_pointer(region);
    return 0;
}

void manager_discard_region(struct region *region) {
    status_slot_release(region->manager->status, region->slot);
    if (region->segment)
        segment_remove(region->segment);
    if (region->sync_block)
        segment_remove(region->sync_block);
    region_unref(region);
}

int manager_record(struct manager *manager, const struct region *region, struct error *error) {
    _cleanup_free_ char *text = region_record_format(region);
    char key[RECORD_KEY_MAX];

    if (!text)
        return error_set(error, -ENOMEM, "no memory for the record of region '%s'", region->name);
    region_record_key(region->id, key);
    return manager_commit(manager, manager_registry(manager, region->segment->backing),
                          &(struct registry_change){REGISTRY_REGIONS, key, text},
                          region->segment->version, error);
}

int manager_install(struct manager *manager, struct region *region, struct process *owner,
                    struct error *error) {
    int r = durability_sync(region, region->segment, error);

    if (r == 0)
        r = reaper_start(region, owner, error);
    if (r < 0)
        return r;
    if (manager_insert(manager, region) < 0)
        return error_set(error, -ENOMEM, "no memory for region '%s'", region->name);
    r = manager_record_shown(manager, region, error);
    if (r < 0) {
        region_ref(region);
        manager_take_out(manager, region);
        return r;
    }
    manager_audit_created(manager, region);
    durability_changed(region);
    manager_notify(manager, REGION_CREATED, region, "created");
    return 0;
}

/* The same request again, after its answer was lost. */
static bool made_by(const struct region *region, const struct caller *caller,
                    const struct region_spec *spec) {
    return spec->tag.client_id != 0 && region->tag.client_id == spec->tag.client_id &&
           region->tag.serial == spec->tag.serial && region->access.owner_uid == caller->uid;
}

static int make_region(struct manager *manager, const struct caller *caller,
                       const struct region_spec *spec, struct region **ret, struct error *error) {
    struct payer payer = caller_payer(caller, spec->name);
    struct region *region;
    uint64_t id;
    int r = manager_next_id(manager, &id, error);

    if (r == 0)
        r = manager_new_region(manager, caller, &payer, spec, id, &region, error);
    if (r < 0)
        return r;
    r = manager_new_segment(manager, &payer, manager_backing(manager, spec), spec->huge_pages,
                            region->id, 1, spec->size, spec->max_size ? spec->max_size : spec->size,
                            &region->segment, error);
    if (r == 0 && spec->sync_block)
        r = sync_block_make(manager, region, error);
    if (r < 0) {
        manager_discard_region(region);
        return r;
    }
    *ret = region;
    return 0;
}

int manager_make_region(struct manager *manager, const struct caller *caller,
                        const struct region_spec *spec, struct region **ret, struct error *error) {
    unsigned attempts = 0;
    int r;

    do
        r = make_region(manager, caller, spec, ret, error);
    while (r == -EEXIST && manager_skip_ids(manager, &attempts));
    return r;
}

static int create(struct manager *manager, const struct caller *caller, const struct client *client,
                  const struct region_spec *spec, struct region **ret, struct error *error) {
    struct region *region;
    int r = manager_make_region(manager, caller, spec, &region, error);

    if (r < 0)
        return r;
    r = manager_install(manager, region, client ? client->process : NULL, error);
    if (r < 0) {
        manager_discard_region(region);
        return r;
    }
    *ret = region;
    return 0;
}

int manager_check_new(struct manager *manager, const struct caller *caller,
                      const struct client *client, struct region_spec *spec, bool attaches,
                      struct region **ret, struct error *error) {
    int r;

    policy_complete(manager->config, spec);
    r = manager_check_spec(manager->config, spec, client, attaches, error);
    if (r < 0)
        return r;
    *ret = manager_lookup(manager, spec->name);
    if (!*ret && client && client->session.is_undone &&
        session_has_done(&client->session, spec->tag.serial))
        return error_set(error, -ENOENT,
                         "region '%s' was made, and destroyed by somebody before the daemon could "
                         "answer",
                         spec->name);
    if (!*ret)
        return policy_check_create(manager->config, caller, spec->name, error);
    if (!made_by(*ret, caller, spec))
        return error_set(error, -EEXIST, "region '%s' exists already", spec->name);
    return 0;
}

static int create_checked(struct manager *manager, const struct caller *caller,
                          struct client *client, const struct region_spec *spec, bool attaches,
                          struct region **ret, struct error *error) {
    struct region_spec complete = *spec;
    int r = manager_check_new(manager, caller, client, &complete, attaches, ret, error);

    if (r < 0 || *ret)
        return r;
    return create(manager, caller, client, &complete, ret, error);
}

int manager_create(struct manager *manager, const struct caller *caller, struct client *client,
                   const struct region_spec *spec, struct region **ret, struct error *error) {
    return create_checked(manager, caller, client, spec, false, ret, error);
}

int manager_create_and_attach(struct manager *manager, struct client *client,
                              const struct region_spec *spec, bool existing_ok, uint32_t access,
                              struct attachment **ret, struct attachment_fds *ret_fds,
                              bool *ret_created, struct error *error) {
    /* What the same request has made before stays, whatever becomes of its repetition. */
    bool is_new = !manager_lookup(manager, spec->name);
    struct region *region;
    struct error ignored;
    int r = manager_check_access(access, error);

    if (r < 0)
        return r;
    r = create_checked(manager, &client->caller, client, spec, true, &region, error);
    *ret_created = r == 0;
    if (r < 0 && !(r == -EEXIST && existing_ok))
        return r;
    r = manager_attach(manager, client, spec->name, access, ret, ret_fds, error);
    if (r < 0 && *ret_created && is_new) {
        manager_retract(manager);
        manager_end_region(region, &client->caller, REGION_DESTROYED,
                           "its creator could not attach", &ignored);
    }
    return r;
}

int manager_end_region(struct region *region, const struct caller *caller, enum region_event event,
                       const char *reason, struct error *error) {
    struct manager *manager = region->manager;
    char key[RECORD_KEY_MAX];
    int r;

    region_record_key(region->id, key);
    r = manager_commit(manager, manager_registry(manager, region->segment->backing),
                       &(struct registry_change){REGISTRY_REGIONS, key, NULL},
                       region->segment->version, error);
    if (r < 0)
        return r;
    region->ended = true;
    if (event == REGION_DESTROYED)
        manager_note_destroyed(region);
    reaper_stop(region);
    durability_stop(region);
    segment_remove(region->segment);
    if (region->sync_block)
        segment_remove(region->sync_block);
    manager_end_slot(region);
    charge_release(steal_pointer(region->charge));
    manager_audit_ended(manager, region, caller, event, reason);
    manager_notify(manager, event, region, reason);
    /* Who holds an older version does not keep this one. */
    segment_unref(steal_pointer(region->segment));
    manager_take_out(manager, region);
    return 0;
}

int manager_destroy(struct manager *manager, const struct caller *caller, const char *name,
                    struct error *error) {
    struct region *region;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);
    char reason[64];

    if (r < 0)
        return r;
    snprintf(reason, sizeof(reason), "by user %u, process %d", caller->uid, caller->pid);
    return manager_end_region(region, caller, REGION_DESTROYED, reason, error);
}
