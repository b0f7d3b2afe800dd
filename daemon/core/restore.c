/*
 * Restore: see restore.h.
 */
#include "daemon/core/restore-private.h"

#include "daemon/core/attachment.h"
#include "daemon/core/cache.h"
#include "daemon/core/durability.h"
#include "daemon/core/kept.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/policy.h"
#include "daemon/core/record.h"
#include "daemon/core/sync-block.h"
#include "daemon/ground/log.h"
#include "proto/rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int restore_add_casualty(struct restorer *restorer, const char *key, bool quarantine,
                         const struct error *why) {
    struct casualty *casualty = calloc(1, sizeof(*casualty));

    if (!casualty || !(casualty->key = strdup(key))) {
        free(casualty);
        return -ENOMEM;
    }
    casualty->quarantine = quarantine;
    casualty->why = *why;
    STAILQ_INSERT_TAIL(&restorer->casualties, casualty, link);
    return 0;
}

void restore_settle_casualties(struct restorer *restorer, struct registry *registry,
                               enum registry_table table) {
    struct casualty *casualty;

    while ((casualty = STAILQ_FIRST(&restorer->casualties))) {
        STAILQ_REMOVE_HEAD(&restorer->casualties, link);
        if (casualty->quarantine)
            registry_quarantine(registry, table, casualty->key, casualty->why.text);
        else if (registry_delete(registry, table, casualty->key, NULL) < 0)
            log_error("cannot delete record %s", casualty->key);
        free(casualty->key);
        free(casualty);
    }
}

static int restore_segment(struct restorer *restorer, const struct region_record *record,
                           struct region *region, struct error *error) {
    struct manager *manager = restorer->manager;
    struct payer payer = charge_payer(region->charge);
    struct segment *segment;
    int r;

    r = region_record_segment(record, &manager->places, &segment);
    if (r < 0)
        return error_set(error, r, "no memory for a segment");
    region->segment = segment;
    r = quota_charge_existing(manager->quota, &payer, LIMIT_BYTES, record->max_size,
                              &segment->charge);
    if (r < 0)
        return error_set(error, r, "no memory for a charge");
    if (backing_is_nameless(record->backing) && kept_take(segment, restorer->fdstore) < 0)
        return error_set(error, -ENODATA, "its %s ended with the last daemon",
                         record->backing == BACKING_MEMFD ? "memfd" : "adopted memory");
    r = segment_check(segment, error);
    if (r == 0 && segment->sealed && segment_seal(segment, error) < 0)
        log_write(LOG_WARNING, ABOUT(.region = record->name), "region '%s': %s", record->name,
                  error->text);
    if (r == -EUCLEAN) {
        log_write(LOG_WARNING, ABOUT(.region = record->name),
                  "region '%s': a writer resized it: %s", record->name, error->text);
        return 0;
    }
    return r;
}

/* What the record says of the region itself, apart from its memory. */
static int region_from_record(struct manager *manager, const struct region_record *record,
                              struct region **ret, struct error *error) {
    _cleanup_(cleanup_region_unref) struct region *region = calloc(1, sizeof(*region));
    int r;

    if (!region)
        return error_set(error, -ENOMEM, "no memory for a region");
    *region = (struct region){
        .manager = manager,
        .references = 1,
        .id = record->id,
        .lifetime = record->lifetime,
        .durability = record->durability,
        .durability_seconds = record->durability_seconds,
        .seconds = record->seconds,
        .deadline = record->deadline,
        .owner_identity = record->owner,
        .created_usec = record->created_usec,
        .changed_usec = record->changed_usec,
        .tag = record->tag,
        .name = strdup(record->name),
        .attributes = strdup(record->attributes),
        .declared = record->declared ? strdup(record->declared) : NULL,
        .loaded = record->loaded ? strdup(record->loaded) : NULL,
    };
    LIST_INIT(&region->attachments);
    if (!region->name || !region->attributes || (record->declared && !region->declared) ||
        (record->loaded && !region->loaded))
        return error_set(error, -ENOMEM, "no memory for a region");
    r = access_init(&region->access, record->owner_uid, record->owner_gid, record->mode,
                    record->acl, ACCESS_RECORDED, error);
    if (r < 0)
        return r;
    region->access.namespace_uid = policy_namespace_owner(manager->config, record->name);
    *ret = steal_pointer(region);
    return 0;
}

static int restore_region(struct restorer *restorer, const struct region_record *record,
                          struct error *error) {
    _cleanup_(cleanup_region_unref) struct region *region = NULL;
    struct manager *manager = restorer->manager;
    struct payer payer = {record->owner_uid, record->unit, record->name};
    int r;

    if (manager_lookup(manager, record->name))
        return error_set(error, -EEXIST, "another record has the name '%s'", record->name);
    r = region_from_record(manager, record, &region, error);
    if (r == 0)
        r = quota_charge_existing(manager->quota, &payer, LIMIT_REGIONS, 1, &region->charge);
    if (r == 0)
        r = restore_segment(restorer, record, region, error);
    if (r == 0 && record->sync_block)
        r = sync_block_restore(manager, region, restorer->fdstore, error);
    if (r == 0)
        r = manager_claim_slot(region, record->slot, record->slot_version, error);
    if (r == 0)
        r = manager_insert(manager, region);
    if (r < 0)
        return r;
    cache_remember(region);
    durability_changed(steal_pointer(region));
    return 0;
}

/* It says nothing of the region, which the next start may find whole: a shortage, or a disk that does
 * not answer. */
static bool is_passing(int r) {
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -ENOSPC || r == -EINTR ||
           r == -EAGAIN || r == -EIO;
}

static int on_region_record(void *data, const char *key, const char *value) {
    struct restorer *restorer = data;
    struct region_record record;
    struct error error = {0};
    int r = region_record_parse_at(key, value, &record, &error);

    if (r < 0)
        return restore_add_casualty(restorer, key, true, &error);
    r = restore_region(restorer, &record, &error);
    if (r < 0 && is_passing(r))
        error_set(&restorer->failure, r, "cannot load region '%s', which is left as it is: %s",
                  record.name, error.text);
    else if (r < 0) {
        log_write(LOG_WARNING,
                  ABOUT(.kind = r == -ENODATA ? LOG_REGION_REAPED : LOG_RECORD_QUARANTINED,
                        .region = record.name),
                  "region '%s' is lost: %s", record.name, error.text);
        r = restore_add_casualty(restorer, key, r != -ENODATA, &error);
    }
    region_record_deinit(&record);
    return r;
}

int restore_regions(struct manager *manager, struct fdstore *fdstore, struct error *error) {
    struct registry *registries[] = {manager->volatile_registry, manager->durable_registry};
    struct restorer restorer = {.manager = manager, .fdstore = fdstore};

    STAILQ_INIT(&restorer.casualties);
    for (size_t i = 0; i < ARRAY_SIZE(registries); i++) {
        int r = registry_each(registries[i], REGISTRY_REGIONS, on_region_record, &restorer);

        restore_settle_casualties(&restorer, registries[i], REGISTRY_REGIONS);
        if (r < 0 && restorer.failure.code == r)
            return error_set(error, r, "%s", restorer.failure.text);
        if (r < 0)
            return error_set(error, r, "cannot load the regions: %s", strerror(-r));
    }
    return 0;
}

/* The segment a holder has: the current one, or an older one that only holders keep. */
static int holder_segment(struct manager *manager, const struct region *region,
                          const struct holder_record *record, struct segment **ret) {
    struct payer payer = charge_payer(region->charge);
    const struct attachment *other;
    int r;

    if (record->version == region->segment->version) {
        *ret = segment_ref(region->segment);
        return 0;
    }
    /* One object for all who have that version: it is charged once. */
    LIST_FOREACH (other, &region->attachments, link)
        if (other->segment->version == record->version) {
            *ret = segment_ref(other->segment);
            return 0;
        }
    r = segment_new_existing(&manager->places, region->segment->backing, record->region_id,
                             record->version, record->size, record->max_size, -1, ret);
    if (r < 0)
        return r;
    (*ret)->named = false;
    return quota_charge_existing(manager->quota, &payer, LIMIT_BYTES, record->max_size,
                                 &(*ret)->charge);
}

int restore_client(struct manager *manager, uid_t uid, uint64_t client_id,
                   const struct process_identity *identity, struct client **ret) {
    _cleanup_(cleanup_process_unref) struct process *process = NULL;
    struct caller caller = {.uid = uid, .pid = identity->pid};
    int r = process_find(manager->processes, identity, &process);

    if (r < 0)
        return r;
    *ret = manager_find_holder(manager, client_id, process);
    if (*ret)
        return 0;
    /* If it ends right now, so does what is charged to it. */
    r = units_of_process(identity->pid, &caller.units);
    if (r == 0)
        r = manager_add_holder(manager, &caller, client_id, process, ret);
    caller_deinit(&caller);
    return r;
}

static int restore_holder(struct manager *manager, const struct holder_record *record) {
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    struct region *region = manager_lookup(manager, record->region);
    struct attachment *attachment;
    struct charge *charge;
    struct client *client;
    struct payer payer;
    int r;

    /* The next version of what is there was recorded for a publish that was cut off. */
    if (!region || region->id != record->region_id || record->version > region->segment->version ||
        (record->access != RIGHT_READ && record->access != RIGHT_WRITE))
        return -ESTALE;
    r = restore_client(manager, record->uid, record->client_id, &record->process, &client);
    if (r == 0)
        r = holder_segment(manager, region, record, &segment);
    if (r < 0)
        return r;
    payer = caller_payer(&client->caller, record->region);
    r = quota_charge_existing(manager->quota, &payer, LIMIT_ATTACHMENTS, 1, &charge);
    if (r < 0)
        return r;
    r = attachment_new(record->attachment_id, client, region, segment, record->access, charge,
                       &attachment);
    if (r == 0)
        attachment->serial = record->serial;
    return r;
}

static int on_holder_record(void *data, const char *key, const char *value) {
    struct restorer *restorer = data;
    struct holder_record record;
    struct error error = {0};
    int r = holder_record_parse_at(key, value, &record, &error);

    if (r < 0)
        return restore_add_casualty(restorer, key, true, &error);
    r = restore_holder(restorer->manager, &record);
    return r == -ESRCH || r == -ESTALE ? restore_add_casualty(restorer, key, false, &error) : r;
}

int restore_holders(struct manager *manager, struct error *error) {
    struct restorer restorer = {.manager = manager};
    int r;

    STAILQ_INIT(&restorer.casualties);
    r = registry_each(manager->volatile_registry, REGISTRY_HOLDERS, on_holder_record, &restorer);
    restore_settle_casualties(&restorer, manager->volatile_registry, REGISTRY_HOLDERS);
    return r < 0 ? error_set(error, r, "cannot load the holders: %s", strerror(-r)) : 0;
}
