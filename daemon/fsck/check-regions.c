/*
 * Check: the records of regions, and the segments that they name
 */
#include "daemon/fsck/check.h"

#include "daemon/core/access.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"
#include "daemon/core/sync-block.h"
#include "proto/sync-block.h"

#include <errno.h>
#include <string.h>

/* One registry under check. */
struct walk {
    struct checker *checker;
    int registry;
};

int check_segment(struct checker *checker, const struct segment *segment, const char *subject,
                  const struct finding *finding, int *ret) {
    struct finding found = *finding;
    struct error error = {0};
    char name[SEGMENT_NAME_MAX];
    int r = segment_check(segment, &error);

    *ret = r;
    if (r == 0 || r == -ENOMEM)
        return r;
    segment_name(segment, name);
    if (r == -ENOENT) {
        found.kind = "segment-missing";
        return report_add(&checker->report, &found, "%s: its segment %s is missing", subject, name);
    }
    if (r == -EUCLEAN) {
        found.kind = "segment-resized";
        found.remedy = REMEDY_NONE;
        return report_add(&checker->report, &found, "%s: a writer has resized its segment %s: %s",
                          subject, name, error.text);
    }
    found.kind = "segment-foreign";
    return report_add(&checker->report, &found, "%s: its segment %s is not the daemon's: %s",
                      subject, name, error.text);
}

static int check_sync_block(struct checker *checker, const struct region_record *record,
                            const struct finding *finding, const char *subject) {
    enum backing backing = sync_block_backing(record->backing);
    _cleanup_(cleanup_segment_unref) struct segment *block = NULL;
    struct finding found = *finding;
    int r = segment_new_existing(&checker->places, backing, record->id, SYNC_BLOCK_VERSION,
                                 SYNC_BLOCK_SIZE, SYNC_BLOCK_SIZE, -1, &block);

    if (r < 0 || backing == BACKING_MEMFD)
        return r;
    r = inventory_add(&checker->inventory, block);
    if (r < 0)
        return r;
    checker->report.segments++;
    r = segment_check(block, NULL);
    if (r != -ENOENT)
        return check_segment(checker, block, subject, &found, &r);
    /* It gets a new one, as every file region does after a reboot. */
    found.remedy = REMEDY_NONE;
    found.kind = "sync-block-missing";
    found.severity = record->backing == BACKING_FILE ? SEVERITY_NOTE : SEVERITY_ERROR;
    return report_add(&checker->report, &found,
                      "%s: its sync block is missing, and the next daemon makes a new one",
                      subject);
}

/* Whether the daemon would load it; if not, the record is set aside and its segments are in doubt. */
static int check_memory(struct checker *checker, const struct region_record *record,
                        const struct finding *finding, const char *subject, bool *ret_loads) {
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    int r = region_record_segment(record, &checker->places, &segment), state = 0;

    if (r == 0 && backing_is_nameless(record->backing))
        checker->n_nameless++;
    else if (r == 0) {
        checker->report.segments++;
        r = check_segment(checker, segment, subject, finding, &state);
    }
    *ret_loads = state == 0 || state == -EUCLEAN;
    if (r == 0 && *ret_loads)
        r = inventory_add(&checker->inventory, segment);
    if (r == 0 && *ret_loads && record->sync_block)
        r = check_sync_block(checker, record, finding, subject);
    return r;
}

/* What must not be in two records. */
static const char *conflict(const struct walk *walk, const struct region_record *record) {
    if (checker_find_name(walk->checker, record->name))
        return "another record has its name";
    if (checker_find_id(walk->checker, record->id))
        return "another record has its id";
    if ((record->backing == BACKING_FILE) != (walk->registry == DURABLE))
        return "it is in the registry of other backings";
    return NULL;
}

static int check_access_rules(const struct region_record *record, struct error *error) {
    struct access access = {0};
    int r = access_init(&access, record->owner_uid, record->owner_gid, record->mode, record->acl,
                        ACCESS_RECORDED, error);

    access_deinit(&access);
    return r < 0 ? r : attributes_check(record->attributes, error);
}

static int check_region(const struct walk *walk, const struct region_record *record,
                        const struct finding *finding, bool *ret_loads) {
    struct checker *checker = walk->checker;
    const char *fault = conflict(walk, record);
    char subject[REGION_NAME_MAX + 16];
    struct error error = {0};
    int r;

    snprintf(subject, sizeof(subject), "region '%s'", record->name);
    if (!fault && check_access_rules(record, &error) < 0)
        fault = error.text;
    *ret_loads = false;
    if (fault) {
        struct finding found = *finding;

        found.kind = "record-conflict";
        return report_add(&checker->report, &found, "%s, record %s: %s", subject, finding->key,
                          fault);
    }
    r = check_memory(checker, record, finding, subject, ret_loads);
    if (r < 0 || !*ret_loads)
        return r;
    return checker_know(checker, &(struct known_region){
                                     .id = record->id,
                                     .version = record->version,
                                     .slot = record->slot,
                                     .slot_version = record->slot_version,
                                     .sealed = record->sealed,
                                     .name = (char *)record->name,
                                 });
}

/* The id that its key gives it. */
static int doubt(struct checker *checker, const char *key) {
    return inventory_doubt(&checker->inventory, strtoull(key, NULL, 16));
}

static int on_region_record(void *data, const char *key, const char *value) {
    const struct walk *walk = data;
    struct checker *checker = walk->checker;
    struct finding finding = {
        .severity = SEVERITY_ERROR,
        .kind = "record-invalid",
        .remedy = REMEDY_SET_ASIDE,
        .registry = checker->registries[walk->registry],
        .table = REGISTRY_REGIONS,
        .key = key,
    };
    struct region_record record;
    struct error error = {0};
    bool loads = false;
    int r = region_record_parse_at(key, value, &record, &error);

    checker->report.regions++;
    if (r < 0) {
        r = report_add(&checker->report, &finding, "record %s of regions: %s", key, error.text);
    } else {
        if (record.id > checker->highest_id)
            checker->highest_id = record.id;
        r = check_region(walk, &record, &finding, &loads);
        region_record_deinit(&record);
    }
    return r < 0 || loads ? r : doubt(checker, key);
}

int check_regions(struct checker *checker) {
    int r = 0;

    for (int i = 0; r == 0 && i < REGISTRIES; i++)
        r = checker_each(checker, i, REGISTRY_REGIONS, on_region_record,
                         &(struct walk){checker, i});
    return r;
}
