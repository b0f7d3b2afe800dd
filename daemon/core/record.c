/*
 * Records: see record.h.
 */
#include "daemon/core/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define INTEGER(value) ((json_int_t)(value))

void region_record_key(uint64_t region_id, char ret[static RECORD_KEY_MAX]) {
    snprintf(ret, RECORD_KEY_MAX, "%016" PRIx64, region_id);
}

char *region_record_format(const struct region *region) {
    const struct segment *segment = region->segment;
    const struct process_identity *owner = &region->owner_identity;
    char *text;
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, "
        "s:I, "
        "s:I, s:I, s:I}",
        "name", region->name, "id", INTEGER(region->id), "version", INTEGER(segment->version),
        "backing", backing_to_word(segment->backing), "size", INTEGER(segment->size), "max_size",
        INTEGER(segment->max_size), "owner_uid", INTEGER(region->access.owner_uid), "owner_gid",
        INTEGER(region->access.owner_gid), "mode", INTEGER(region->access.mode), "acl",
        region->access.acl, "attributes", region->attributes, "lifetime",
        lifetime_to_word(region->lifetime), "seconds", INTEGER(region->seconds), "deadline",
        INTEGER(region->lifetime == LIFETIME_LEASE ? region->deadline : 0), "owner_pid",
        INTEGER(owner->pid), "owner_start_time", INTEGER(owner->start_time), "slot",
        INTEGER(region->slot), "created_usec", INTEGER(region->created_usec), "changed_usec",
        INTEGER(region->changed_usec), "tag_client_id", INTEGER(region->tag.client_id),
        "tag_serial", INTEGER(region->tag.serial));

    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* Whether the numbers and words of a record make sense together. */
static bool region_record_is_sound(const struct region_record *record) {
    return !region_name_fault(record->name) && record->id > 0 && record->version > 0 &&
           record->size > 0 && record->max_size >= record->size && record->max_size <= INT64_MAX &&
           record->backing != 0 && record->lifetime != 0;
}

int region_record_parse(const char *text, struct region_record *ret, struct error *error) {
    json_int_t id, version, size, max_size, uid, gid, mode, seconds, deadline, owner_pid, start,
        slot, created, changed, tag_client, tag_serial;
    const char *name, *backing, *acl, *attributes, *lifetime;
    json_error_t fault;
    json_t *json = json_loads(text, 0, &fault);

    if (!json)
        return error_set(error, -EBADMSG, "it is not JSON: %s", fault.text);
    if (json_unpack_ex(
            json, &fault, 0,
            "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, "
            "s:I, s:I, s:I, s:I}",
            "name", &name, "id", &id, "version", &version, "backing", &backing, "size", &size,
            "max_size", &max_size, "owner_uid", &uid, "owner_gid", &gid, "mode", &mode, "acl", &acl,
            "attributes", &attributes, "lifetime", &lifetime, "seconds", &seconds, "deadline",
            &deadline, "owner_pid", &owner_pid, "owner_start_time", &start, "slot", &slot,
            "created_usec", &created, "changed_usec", &changed, "tag_client_id", &tag_client,
            "tag_serial", &tag_serial) < 0) {
        json_decref(json);
        return error_set(error, -EBADMSG, "%s", fault.text);
    }
    *ret = (struct region_record){
        .json = json,
        .name = name,
        .acl = acl,
        .attributes = attributes,
        .id = (uint64_t)id,
        .size = (uint64_t)size,
        .max_size = (uint64_t)max_size,
        .deadline = (uint64_t)deadline,
        .version = (uint32_t)version,
        .slot = (uint32_t)slot,
        .seconds = (uint32_t)seconds,
        .mode = (uint32_t)mode,
        .owner_uid = (uint32_t)uid,
        .owner_gid = (uint32_t)gid,
        .backing = backing_from_word(backing),
        .lifetime = lifetime_from_word(lifetime),
        .owner = {.pid = (pid_t)owner_pid, .start_time = (uint64_t)start},
        .created_usec = created,
        .changed_usec = changed,
        .tag = {.client_id = (uint64_t)tag_client, .serial = (uint32_t)tag_serial},
    };
    if (!region_record_is_sound(ret)) {
        region_record_deinit(ret);
        return error_set(error, -EBADMSG, "its values contradict each other");
    }
    return 0;
}

void region_record_deinit(struct region_record *record) {
    json_decref(record->json);
    record->json = NULL;
}

void holder_record_key(const struct attachment *attachment, char ret[static RECORD_KEY_MAX]) {
    snprintf(ret, RECORD_KEY_MAX, "%016" PRIx64 ".%016" PRIx64, attachment->client->id,
             attachment->id);
}

/* Written on the way of every attach, so without building a JSON tree first: all of it is numbers,
 * and a name has nothing in it that JSON would escape. */
void holder_record_format(const struct attachment *attachment, char ret[static HOLDER_RECORD_MAX]) {
    const struct client *client = attachment->client;
    const struct segment *segment = attachment->segment;

    snprintf(ret, HOLDER_RECORD_MAX,
             "{\"client_id\":%" PRId64 ",\"attachment_id\":%" PRIu64 ",\"region\":\"%s\","
             "\"region_id\":%" PRIu64 ",\"version\":%u,\"access\":%u,\"size\":%" PRIu64
             ",\"max_size\":%" PRIu64 ",\"pid\":%d,\"start_time\":%" PRIu64 ",\"uid\":%u}",
             (int64_t)client->id, attachment->id, attachment->region->name, attachment->region->id,
             segment->version, attachment->access, segment->size, segment->max_size,
             client->process->identity.pid, client->process->identity.start_time,
             client->caller.uid);
}

int holder_record_parse(const char *text, struct holder_record *ret, struct error *error) {
    json_int_t client_id, attachment_id, region_id, version, access, size, max_size, pid, start,
        uid;
    const char *region;
    json_error_t fault;
    json_t *json = json_loads(text, 0, &fault);
    int r = json ? json_unpack_ex(
                       json, &fault, 0, "{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                       "client_id", &client_id, "attachment_id", &attachment_id, "region", &region,
                       "region_id", &region_id, "version", &version, "access", &access, "size",
                       &size, "max_size", &max_size, "pid", &pid, "start_time", &start, "uid", &uid)
                 : -1;

    if (r < 0 || strlen(region) > REGION_NAME_MAX) {
        json_decref(json);
        return error_set(error, -EBADMSG, "%s", r < 0 ? fault.text : "its region name is too long");
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
        .process = {.pid = (pid_t)pid, .start_time = (uint64_t)start},
    };
    strcpy(ret->region, region);
    json_decref(json);
    return 0;
}
