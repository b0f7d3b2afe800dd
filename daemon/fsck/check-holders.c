/*
 * Check: the records of holders, of stages and of sessions
 *
 * Whether their processes still live is not looked at: a daemon that does not run has no holders,
 * and the next one finds out.
 */
#include "daemon/fsck/check.h"

#include "daemon/core/record.h"
#include "daemon/core/session.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct finding about(const struct checker *checker, enum registry_table table,
                            const char *key) {
    return (struct finding){
        .severity = SEVERITY_ERROR,
        .kind = "record-invalid",
        .remedy = REMEDY_SET_ASIDE,
        .registry = checker->registries[VOLATILE],
        .table = table,
        .key = key,
    };
}

static void meet_id(struct checker *checker, uint64_t id) {
    if (id > checker->highest_id)
        checker->highest_id = id;
}

static int on_holder_record(void *data, const char *key, const char *value) {
    struct checker *checker = data;
    struct finding finding = about(checker, REGISTRY_HOLDERS, key);
    const struct known_region *region;
    struct holder_record record;
    struct error error = {0};

    checker->report.holders++;
    if (holder_record_parse_at(key, value, &record, &error) < 0)
        return report_add(&checker->report, &finding, "record %s of holders: %s", key, error.text);
    meet_id(checker, record.attachment_id);
    region = checker_find_name(checker, record.region);
    finding.remedy = REMEDY_DELETE_RECORD;
    if (!region || region->id != record.region_id) {
        /* Its region may end, or its record be lost, while it holds on to the memory. */
        finding.severity = SEVERITY_NOTE;
        finding.kind = "holder-of-ended";
        finding.remedy = REMEDY_NONE;
        return report_add(&checker->report, &finding,
                          "process %d of user %u holds version %u of region '%s', which has ended",
                          record.process.pid, record.uid, record.version, record.region);
    }
    if (record.version > region->version) {
        finding.severity = SEVERITY_LEFTOVER;
        finding.kind = "holder-too-early";
        return report_add(&checker->report, &finding,
                          "process %d holds version %u of region '%s', which has version %u: a "
                          "publish was cut off",
                          record.process.pid, record.version, record.region, region->version);
    }
    return 0;
}

int check_holders(struct checker *checker) {
    return checker_each(checker, VOLATILE, REGISTRY_HOLDERS, on_holder_record, checker);
}

/* The segment under one of the names it may have; *ret is what segment_check() says of it. */
static int look_for(struct checker *checker, const struct stage_record *record, uint64_t id,
                    uint32_t version, int *ret) {
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    struct error error;
    int r = stage_record_segment(record, &checker->places, id, version, &segment);

    if (r < 0)
        return r;
    *ret = segment_check(segment, &error);
    /* Whoever fills it may resize it. */
    if (*ret == -EUCLEAN)
        *ret = 0;
    checker->report.segments += *ret == 0;
    return *ret == 0 ? inventory_add(&checker->inventory, segment) : 0;
}

/* It is called after the stage, or after the version that it was to become by a publish that was cut
 * off. */
static int find_segment(struct checker *checker, const struct stage_record *record, int *ret) {
    const struct known_region *region = checker_find_name(checker, record->spec.name);
    int r = look_for(checker, record, record->id, 1, ret);

    if (r == 0 && *ret == -ENOENT && region && region->id == record->region_id)
        r = look_for(checker, record, region->id, region->version + 1, ret);
    return r;
}

static int check_stage(struct checker *checker, const struct stage_record *record,
                       struct finding *finding) {
    const struct known_region *region = checker_find_name(checker, record->spec.name);
    int state = -ENOENT, r = 0;

    meet_id(checker, record->id);
    finding->remedy = REMEDY_DELETE_RECORD;
    if (!region || region->id != record->id) {
        if (backing_is_nameless(record->spec.backing)) {
            checker->n_nameless++;
            return 0;
        }
        r = find_segment(checker, record, &state);
    }
    if (r < 0 || state == 0)
        return r;
    finding->kind = "stage-without-segment";
    finding->severity = state == -ENOENT ? SEVERITY_LEFTOVER : SEVERITY_ERROR;
    return report_add(&checker->report, finding,
                      "stage %" PRIu64 " for region '%s' has no segment: %s", record->id,
                      record->spec.name,
                      state == -ENOENT ? "it was published or given up"
                                       : "what is in its place is not the daemon's");
}

static int on_stage_record(void *data, const char *key, const char *value) {
    struct checker *checker = data;
    struct finding finding = about(checker, REGISTRY_STAGES, key);
    struct stage_record record;
    struct error error = {0};
    int r = stage_record_parse_at(key, value, &record, &error);

    checker->report.stages++;
    if (r < 0)
        return report_add(&checker->report, &finding, "record %s of stages: %s", key, error.text);
    r = check_stage(checker, &record, &finding);
    stage_record_deinit(&record);
    return r;
}

int check_stages(struct checker *checker) {
    return checker_each(checker, VOLATILE, REGISTRY_STAGES, on_stage_record, checker);
}

static int on_session_record(void *data, const char *key, const char *value) {
    struct checker *checker = data;
    struct finding finding = about(checker, REGISTRY_SESSIONS, key);
    struct session_record record;
    struct error error = {0};

    if (session_record_parse(value, &record, &error) == 0)
        return 0;
    return report_add(&checker->report, &finding, "record %s of sessions: %s", key, error.text);
}

int check_sessions(struct checker *checker) {
    return checker_each(checker, VOLATILE, REGISTRY_SESSIONS, on_session_record, checker);
}
