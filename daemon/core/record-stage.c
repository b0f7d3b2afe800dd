/*
 * Records of stages: see record.h.
 */
#include "daemon/core/record-private.h"

#include <errno.h>
#include <string.h>

void stage_record_key(const struct stage *stage, char ret[static RECORD_KEY_MAX]) {
    client_record_key(stage->client->id, stage->id, ret);
}

char *stage_record_format(const struct stage *stage) {
    const struct client *client = stage->client;
    const struct process_identity *process = &client->process->identity;
    const struct segment *segment = stage->segment;
    const struct region_spec *spec = &stage->spec;
    struct payer payer = charge_payer(segment->charge);
    char *text;
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:s, s:I, s:I, "
        "s:s, s:s, s:b, s:s*, s:I, s:I, s:s*}",
        "stage_id", INTEGER(stage->id), "client_id", INTEGER(client->id), "serial",
        INTEGER(spec->tag.serial), "pid", INTEGER(process->pid), "start_time",
        INTEGER(process->start_time), "uid", INTEGER(client->caller.uid), "charged_uid",
        INTEGER(payer.uid), "region_id", INTEGER(stage->region_id), "backing",
        backing_to_word(segment->backing), "size", INTEGER(segment->size), "max_size",
        INTEGER(segment->max_size), "region", spec->name, "lifetime",
        lifetime_to_word(spec->lifetime), "seconds", INTEGER(spec->seconds), "mode",
        INTEGER(spec->mode), "acl", spec->acl, "attributes", spec->attributes, "sync_block",
        spec->sync_block, "huge_pages", huge_pages_to_word(segment->huge_pages), "durability",
        INTEGER(spec->durability), "durability_seconds", INTEGER(spec->durability_seconds),
        "charged_unit", payer.unit);

    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* The numbers of a stage's record, as wide as JSON has them. */
struct stage_numbers {
    json_int_t id, client, serial, pid, start, uid, charged_uid, region, size, max_size, seconds,
        mode, durability, durability_seconds;
};

static bool stage_numbers_fit(const struct stage_numbers *n) {
    return in_range(n->id, 1, INT64_MAX) && in_range(n->serial, 0, UINT32_MAX) &&
           in_range(n->pid, 1, INT32_MAX) && in_range(n->start, 0, INT64_MAX) &&
           in_range(n->uid, 0, UINT32_MAX - 1) && in_range(n->charged_uid, 0, UINT32_MAX - 1) &&
           in_range(n->region, 0, INT64_MAX) && in_range(n->size, 1, n->max_size) &&
           in_range(n->seconds, 0, UINT32_MAX) && in_range(n->mode, 0, UINT32_MAX) &&
           in_range(n->durability, 0, DURABILITY_PUBLISH) &&
           in_range(n->durability_seconds, 0, UINT32_MAX);
}

static void take_stage_numbers(const struct stage_numbers *n, struct stage_record *record) {
    record->id = (uint64_t)n->id;
    record->client_id = (uint64_t)n->client;
    record->process =
        (struct process_identity){.pid = (pid_t)n->pid, .start_time = (uint64_t)n->start};
    record->uid = (uint32_t)n->uid;
    record->charged_uid = (uint32_t)n->charged_uid;
    record->region_id = (uint64_t)n->region;
    record->spec.size = (uint64_t)n->size;
    record->spec.max_size = (uint64_t)n->max_size;
    record->spec.seconds = (uint32_t)n->seconds;
    record->spec.mode = (uint32_t)n->mode;
    record->spec.durability = (enum durability)n->durability;
    record->spec.durability_seconds = (uint32_t)n->durability_seconds;
    record->spec.tag = (struct request_tag){record->client_id, (uint32_t)n->serial};
}

static int read_stage(struct stage_record *ret, struct error *error) {
    struct region_spec *spec = &ret->spec;
    const char *backing, *lifetime, *huge_pages = NULL;
    struct stage_numbers n;
    json_error_t fault;
    int sync_block;

    if (json_unpack_ex(ret->json, &fault, 0,
                       "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:s, s:I, "
                       "s:I, s:s, s:s, s:b, s?s, s:I, s:I, s?s}",
                       "stage_id", &n.id, "client_id", &n.client, "serial", &n.serial, "pid",
                       &n.pid, "start_time", &n.start, "uid", &n.uid, "charged_uid", &n.charged_uid,
                       "region_id", &n.region, "backing", &backing, "size", &n.size, "max_size",
                       &n.max_size, "region", &spec->name, "lifetime", &lifetime, "seconds",
                       &n.seconds, "mode", &n.mode, "acl", &spec->acl, "attributes",
                       &spec->attributes, "sync_block", &sync_block, "huge_pages", &huge_pages,
                       "durability", &n.durability, "durability_seconds", &n.durability_seconds,
                       "charged_unit", &ret->charged_unit) < 0)
        return error_set(error, -EBADMSG, "%s", fault.text);
    spec->backing = backing_from_word(backing);
    spec->lifetime = lifetime_from_word(lifetime);
    spec->sync_block = sync_block;
    spec->huge_pages = huge_pages ? huge_pages_from_word(huge_pages) : 0;
    if (!stage_numbers_fit(&n) || region_name_fault(spec->name) || spec->backing == 0 ||
        spec->lifetime == 0 || (huge_pages && spec->huge_pages == 0))
        return error_set(error, -EBADMSG, "its values are none that a stage has");
    take_stage_numbers(&n, ret);
    return 0;
}

int stage_record_parse(const char *text, struct stage_record *ret, struct error *error) {
    struct stage_record record = {0};
    json_error_t fault;
    int r;

    record.json = json_loads(text, 0, &fault);
    if (!record.json)
        return error_set(error, -EBADMSG, "it is not JSON: %s", fault.text);
    r = read_stage(&record, error);
    if (r < 0)
        stage_record_deinit(&record);
    else
        *ret = record;
    return r;
}

int stage_record_parse_at(const char *key, const char *text, struct stage_record *ret,
                          struct error *error) {
    char expected[RECORD_KEY_MAX];
    int r = stage_record_parse(text, ret, error);

    if (r < 0)
        return r;
    client_record_key(ret->client_id, ret->id, expected);
    if (strcmp(key, expected) == 0)
        return 0;
    stage_record_deinit(ret);
    return error_set(error, -EBADMSG, "its ids are not those of its key");
}

void stage_record_deinit(struct stage_record *record) {
    json_decref(record->json);
    record->json = NULL;
}

int stage_record_segment(const struct stage_record *record, const struct segment_places *places,
                         uint64_t id, uint32_t version, struct segment **ret) {
    const struct region_spec *spec = &record->spec;
    int r = segment_new_existing(places, spec->backing, id, version, spec->size, spec->max_size, -1,
                                 ret);

    if (r == 0)
        (*ret)->huge_pages = spec->huge_pages;
    return r;
}
