/*
 * Restore: stages
 *
 * A stage whose segment has its name is as it was. One whose segment was renamed already, but not
 * recorded as a version, gets it back. Any other was published, or given up, by a daemon that was
 * killed before it could delete the record.
 */
#include "daemon/core/restore-private.h"

#include "daemon/core/kept.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <string.h>

/* The object of that name, if it is there. */
static int find_segment(struct restorer *restorer, const struct stage_record *record, uint64_t id,
                        uint32_t version, struct segment **ret, struct error *error) {
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    int r = stage_record_segment(record, &restorer->manager->places, id, version, &segment);

    if (r < 0)
        return error_set(error, r, "no memory for a segment");
    if (segment->backing == BACKING_MEMFD && kept_take(segment, restorer->fdstore) < 0)
        return -ENOENT;
    r = segment_check(segment, error);
    /* Whoever fills it may resize it, as any writer of such a segment. */
    if (r < 0 && r != -EUCLEAN)
        return r;
    *ret = steal_pointer(segment);
    return 0;
}

static int restore_segment(struct restorer *restorer, const struct stage_record *record,
                           const struct region *region, struct segment **ret, struct error *error) {
    int r = find_segment(restorer, record, record->id, 1, ret, error);

    if (r != -ENOENT || !region)
        return r;
    r = find_segment(restorer, record, region->id, region->segment->version + 1, ret, error);
    if (r == 0)
        r = segment_rename(*ret, record->id, 1, error);
    return r;
}

/* The region it is for, if that is still there. */
static struct region *find_region(const struct manager *manager,
                                  const struct stage_record *record) {
    struct region *region = manager_lookup(manager, record->spec.name);

    return region && region->id == record->region_id ? region : NULL;
}

/* A region that it was to make has its id. */
static bool was_published(const struct manager *manager, const struct stage_record *record) {
    const struct region *region = manager_lookup(manager, record->spec.name);

    return region && region->id == record->id;
}

static int charge(struct manager *manager, const struct stage_record *record,
                  const struct client *client, struct stage *stage) {
    struct payer owner = {record->charged_uid, record->charged_unit, record->spec.name};
    struct payer holder = caller_payer(&client->caller, record->spec.name);
    int r = quota_charge_existing(manager->quota, &owner, LIMIT_BYTES, record->spec.max_size,
                                  &stage->segment->charge);

    if (r == 0)
        r = quota_charge_existing(manager->quota, &holder, LIMIT_ATTACHMENTS, 1, &stage->charge);
    return r < 0 ? -ENOMEM : 0;
}

static int restore_stage(struct restorer *restorer, const struct stage_record *record,
                         struct error *error) {
    struct manager *manager = restorer->manager;
    struct region *region;
    struct client *client;
    struct stage *stage;
    int r;

    if (was_published(manager, record))
        return -ESTALE;
    r = stage_new(manager, record->id, &record->spec, &stage);
    if (r < 0)
        return r;
    stage->region_id = record->region_id;
    region = find_region(manager, record);
    if (region)
        stage_aim(stage, region);
    r = restore_segment(restorer, record, region, &stage->segment, error);
    if (r == 0)
        r = restore_client(manager, record->uid, record->client_id, &record->process, &client);
    if (r == -ESRCH)
        segment_remove(stage->segment);
    if (r == 0)
        r = charge(manager, record, client, stage);
    if (r == 0)
        stage_give(stage, client);
    else
        stage_forget(stage);
    return r;
}

static int on_stage_record(void *data, const char *key, const char *value) {
    struct restorer *restorer = data;
    struct stage_record record;
    struct error error = {0};
    int r = stage_record_parse_at(key, value, &record, &error);

    if (r < 0)
        return restore_add_casualty(restorer, key, true, &error);
    r = restore_stage(restorer, &record, &error);
    if (r == -EPERM)
        log_write(LOG_WARNING, ABOUT(.region = record.spec.name),
                  "a stage for region '%s' is lost: %s", record.spec.name, error.text);
    if (r == -EPERM || r == -ESRCH || r == -ESTALE || r == -ENOENT)
        r = restore_add_casualty(restorer, key, false, &error);
    stage_record_deinit(&record);
    return r;
}

int restore_stages(struct manager *manager, struct fdstore *fdstore, struct error *error) {
    struct restorer restorer = {.manager = manager, .fdstore = fdstore};
    int r;

    STAILQ_INIT(&restorer.casualties);
    r = registry_each(manager->volatile_registry, REGISTRY_STAGES, on_stage_record, &restorer);
    restore_settle_casualties(&restorer, manager->volatile_registry, REGISTRY_STAGES);
    return r < 0 ? error_set(error, r, "cannot load the stages: %s", strerror(-r)) : 0;
}
