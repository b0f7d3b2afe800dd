/*
 * Records: see record.h.
 */
#include "daemon/core/record-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void region_record_key(uint64_t region_id, char ret[static RECORD_KEY_MAX]) {
    snprintf(ret, RECORD_KEY_MAX, "%016" PRIx64, region_id);
}

char *region_record_format(const struct region *region) {
    const struct segment *segment = region->segment;
    const struct process_identity *owner = &region->owner_identity;
    char *text;
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:s*, s:s, s:I, s:s*, s:s*, s:s*}",
        "name", region->name, "id", INTEGER(region->id), "version", INTEGER(segment->version),
        "backing", backing_to_word(segment->backing), "size", INTEGER(segment->size), "max_size",
        INTEGER(segment->max_size), "owner_uid", INTEGER(region->access.owner_uid), "owner_gid",
        INTEGER(region->access.owner_gid), "mode", INTEGER(region->access.mode), "acl",
        region->access.acl, "attributes", region->attributes, "lifetime",
        lifetime_to_word(region->lifetime), "seconds", INTEGER(region->seconds), "deadline",
        INTEGER(region->lifetime == LIFETIME_LEASE ? region->deadline : 0), "owner_pid",
        INTEGER(owner->pid), "owner_start_time", INTEGER(owner->start_time), "slot",
        INTEGER(region->slot), "slot_version", INTEGER(region->slot_version), "created_usec",
        INTEGER(region->created_usec), "changed_usec", INTEGER(region->changed_usec),
        "tag_client_id", INTEGER(region->tag.client_id), "tag_serial", INTEGER(region->tag.serial),
        "sync_block", region->sync_block != NULL, "sealed", segment->sealed, "huge_pages",
        huge_pages_to_word(segment->huge_pages), "durability",
        durability_to_word(region->durability), "durability_seconds",
        INTEGER(region->durability_seconds), "declared", region->declared, "loaded", region->loaded,
        "unit", charge_payer(region->charge).unit);

    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* The numbers of a region's record, as wide as JSON has them. */
struct region_numbers {
    json_int_t id, version, size, max_size, uid, gid, mode, seconds, deadline, owner_pid,
        owner_start, slot, slot_version, created, changed, tag_client, tag_serial,
        durability_seconds;
};

static bool region_numbers_fit(const struct region_numbers *n) {
    return in_range(n->id, 1, INT64_MAX) && in_range(n->version, 1, UINT32_MAX) &&
           in_range(n->max_size, 1, INT64_MAX) && in_range(n->size, 0, n->max_size) &&
           in_range(n->uid, 0, UINT32_MAX - 1) && in_range(n->gid, 0, UINT32_MAX - 1) &&
           in_range(n->mode, 0, UINT32_MAX) && in_range(n->seconds, 0, UINT32_MAX) &&
           in_range(n->deadline, 0, INT64_MAX) && in_range(n->owner_pid, 0, INT32_MAX) &&
           in_range(n->owner_start, 0, INT64_MAX) && in_range(n->slot, 0, UINT32_MAX) &&
           in_range(n->slot_version, 0, UINT32_MAX) && in_range(n->tag_serial, 0, UINT32_MAX) &&
           in_range(n->durability_seconds, 0, UINT32_MAX);
}

static void take_region_numbers(const struct region_numbers *n, struct region_record *record) {
    record->id = (uint64_t)n->id;
    record->version = (uint32_t)n->version;
    record->size = (uint64_t)n->size;
    record->max_size = (uint64_t)n->max_size;
    record->owner_uid = (uint32_t)n->uid;
    record->owner_gid = (uint32_t)n->gid;
    record->mode = (uint32_t)n->mode;
    record->seconds = (uint32_t)n->seconds;
    record->deadline = (uint64_t)n->deadline;
    record->owner = (struct process_identity){
        .pid = (pid_t)n->owner_pid,
        .start_time = (uint64_t)n->owner_start,
    };
    record->slot = (uint32_t)n->slot;
    record->slot_version = (uint32_t)n->slot_version;
    record->durability_seconds = (uint32_t)n->durability_seconds;
    record->created_usec = n->created;
    record->changed_usec = n->changed;
    record->tag = (struct request_tag){
        .client_id = (uint64_t)n->tag_client,
        .serial = (uint32_t)n->tag_serial,
    };
}

/* Fills @ret from its JSON object. */
static int read_region(struct region_record *ret, struct error *error) {
    const char *backing, *lifetime, *durability, *huge_pages = NULL;
    struct region_numbers n;
    json_error_t fault;
    int sync_block, sealed;

    if (json_unpack_ex(
            ret->json, &fault, 0,
            "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, "
            "s:I, s:I, s:I, s:I, s:I, s:b, s:b, s?s, s:s, s:I, s?s, s?s, s?s}",
            "name", &ret->name, "id", &n.id, "version", &n.version, "backing", &backing, "size",
            &n.size, "max_size", &n.max_size, "owner_uid", &n.uid, "owner_gid", &n.gid, "mode",
            &n.mode, "acl", &ret->acl, "attributes", &ret->attributes, "lifetime", &lifetime,
            "seconds", &n.seconds, "deadline", &n.deadline, "owner_pid", &n.owner_pid,
            "owner_start_time", &n.owner_start, "slot", &n.slot, "slot_version", &n.slot_version,
            "created_usec", &n.created, "changed_usec", &n.changed, "tag_client_id", &n.tag_client,
            "tag_serial", &n.tag_serial, "sync_block", &sync_block, "sealed", &sealed, "huge_pages",
            &huge_pages, "durability", &durability, "durability_seconds", &n.durability_seconds,
            "declared", &ret->declared, "loaded", &ret->loaded, "unit", &ret->unit) < 0)
        return error_set(error, -EBADMSG, "%s", fault.text);
    ret->backing = backing_from_word(backing);
    ret->lifetime = lifetime_from_word(lifetime);
    ret->huge_pages = huge_pages ? huge_pages_from_word(huge_pages) : 0;
    ret->durability = durability_from_word(durability);
    ret->sync_block = sync_block;
    ret->sealed = sealed;
    if (!region_numbers_fit(&n) || region_name_fault(ret->name) || ret->backing == 0 ||
        ret->lifetime == 0 || ret->durability == 0 || (huge_pages && ret->huge_pages == 0))
        return error_set(error, -EBADMSG, "its values are none that a region has");
    take_region_numbers(&n, ret);
    return 0;
}

int region_record_parse(const char *text, struct region_record *ret, struct error *error) {
    struct region_record record = {0};
    json_error_t fault;
    int r;

    record.json = json_loads(text, 0, &fault);
    if (!record.json)
        return error_set(error, -EBADMSG, "it is not JSON: %s", fault.text);
    r = read_region(&record, error);
    if (r < 0)
        region_record_deinit(&record);
    else
        *ret = record;
    return r;
}

int region_record_parse_at(const char *key, const char *text, struct region_record *ret,
                           struct error *error) {
    char expected[RECORD_KEY_MAX];
    int r = region_record_parse(text, ret, error);

    if (r < 0)
        return r;
    region_record_key(ret->id, expected);
    if (strcmp(key, expected) == 0)
        return 0;
    region_record_deinit(ret);
    return error_set(error, -EBADMSG, "its id is not that of its key");
}

void region_record_deinit(struct region_record *record) {
    json_decref(record->json);
    record->json = NULL;
}

int region_record_segment(const struct region_record *record, const struct segment_places *places,
                          struct segment **ret) {
    int r = segment_new_existing(places, record->backing, record->id, record->version, record->size,
                                 record->max_size, -1, ret);

    if (r < 0)
        return r;
    (*ret)->huge_pages = record->huge_pages;
    (*ret)->sealed = record->sealed;
    return 0;
}

void client_record_key(uint64_t client_id, uint64_t id, char ret[static RECORD_KEY_MAX]) {
    snprintf(ret, RECORD_KEY_MAX, "%016" PRIx64 ".%016" PRIx64, client_id, id);
}

void holder_record_key(const struct attachment *attachment, char ret[static RECORD_KEY_MAX]) {
    client_record_key(attachment->client->id, attachment->id, ret);
}

static char *append_number(char *end, const char *key, uint64_t number) {
    char digits[24], *digit = digits + sizeof(digits);

    do
        *--digit = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return mempcpy(stpcpy(end, key), digit, (size_t)(digits + sizeof(digits) - digit));
}

/* Written on the way of every attach, so neither with a JSON tree nor with snprintf(3), which took
 * as long as the commit: all of it is numbers, and a name has nothing that JSON would escape. A
 * client's id, which is any 64 bits, is written as the signed number that JSON readers know. */
void holder_record_format(const struct attachment *attachment, char ret[static HOLDER_RECORD_MAX]) {
    const struct client *client = attachment->client;
    const struct segment *segment = attachment->segment;
    bool negative = client->id > INT64_MAX;
    char *end = stpcpy(stpcpy(ret, "{\"region\":\""), attachment->region->name);

    end = append_number(end, negative ? "\",\"client_id\":-" : "\",\"client_id\":",
                        negative ? -client->id : client->id);
    end = append_number(end, ",\"attachment_id\":", attachment->id);
    end = append_number(end, ",\"region_id\":", attachment->region->id);
    end = append_number(end, ",\"version\":", segment->version);
    end = append_number(end, ",\"access\":", attachment->access);
    end = append_number(end, ",\"size\":", segment->size);
    end = append_number(end, ",\"max_size\":", segment->max_size);
    end = append_number(end, ",\"pid\":", (uint64_t)client->process->identity.pid);
    end = append_number(end, ",\"start_time\":", client->process->identity.start_time);
    end = append_number(end, ",\"uid\":", client->caller.uid);
    end = append_number(end, ",\"serial\":", attachment->serial);
    strcpy(end, "}");
}

int holder_record_parse(const char *text, struct holder_record *ret, struct error *error) {
    json_int_t client_id, attachment_id, region_id, version, access, size, max_size, pid, start,
        uid, serial = 0;
    const char *region;
    json_error_t fault;
    json_t *json = json_loads(text, 0, &fault);
    int r = json ? json_unpack_ex(json, &fault, 0,
                                  "{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s?I}",
                                  "client_id", &client_id, "attachment_id", &attachment_id,
                                  "region", &region, "region_id", &region_id, "version", &version,
                                  "access", &access, "size", &size, "max_size", &max_size, "pid",
                                  &pid, "start_time", &start, "uid", &uid, "serial", &serial)
                 : -1;

    if (r < 0 || strlen(region) > REGION_NAME_MAX || !in_range(version, 1, UINT32_MAX) ||
        !in_range(max_size, 1, INT64_MAX) || !in_range(size, 0, max_size) ||
        !in_range(access, 0, UINT32_MAX) || !in_range(uid, 0, UINT32_MAX - 1) ||
        !in_range(pid, 1, INT32_MAX) || !in_range(serial, 0, UINT32_MAX)) {
        r = error_set(error, -EBADMSG, "%s",
                      r < 0 ? fault.text : "its values are none that a holder has");
        json_decref(json);
        return r;
    }
    *ret = (struct holder_record){
        .client_id = (uint64_t)client_id,
        .attachment_id = (uint64_t)attachment_id,
        .region_id = (uint64_t)region_id,
        .size = (uint64_t)size,
        .max_size = (uint64_t)max_size,
        .version = (uint32_t)version,
        .access = (uint32_t)access,
        .uid = (uint32_t)uid,
        .serial = (uint32_t)serial,
        .process = {.pid = (pid_t)pid, .start_time = (uint64_t)start},
    };
    strcpy(ret->region, region);
    json_decref(json);
    return 0;
}

int holder_record_parse_at(const char *key, const char *text, struct holder_record *ret,
                           struct error *error) {
    char expected[RECORD_KEY_MAX];
    int r = holder_record_parse(text, ret, error);

    if (r < 0)
        return r;
    client_record_key(ret->client_id, ret->attachment_id, expected);
    return strcmp(key, expected) == 0
               ? 0
               : error_set(error, -EBADMSG, "its ids are not those of its key");
}
