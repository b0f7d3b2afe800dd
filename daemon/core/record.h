/*
 * Records: regions, holders, stages and sessions as the registry keeps them
 *
 * A record is a JSON object with everything that is needed to go on after the daemon was killed. A
 * region's key is its id; a holder's is the client's id and the attachment's, a stage's the same; a session's is the
 * client's id.
 */
#pragma once

#include <jansson.h>

#include "daemon/core/client.h"
#include "daemon/core/region.h"
#include "daemon/core/stage.h"
#include "proto/region-name.h"

#define RECORD_KEY_MAX 40
#define HOLDER_RECORD_MAX 512

void region_record_key(uint64_t region_id, char ret[static RECORD_KEY_MAX]);

/* The record's text, to be freed; NULL: no memory. */
char *region_record_format(const struct region *region);

/* A parsed record. Texts belong to @json. */
struct region_record {
    json_t *json;
    const char *name, *acl, *attributes;
    const char *declared, *loaded, *unit; /* NULL: none, as in records of older daemons */
    uint64_t id, size, max_size, deadline;
    uint32_t version, slot, slot_version, seconds, mode, owner_uid, owner_gid;
    enum backing backing;
    enum huge_pages huge_pages;
    enum lifetime lifetime;
    enum durability durability;
    uint32_t durability_seconds;
    struct process_identity owner;
    int64_t created_usec, changed_usec;
    struct request_tag tag;
    bool sync_block, sealed;
};

/* 0, or -EBADMSG with what is wrong with it. The second checks that it is the record of @key, too, as
 * those of holders and stages do. */
int region_record_parse(const char *text, struct region_record *ret, struct error *error);
int region_record_parse_at(const char *key, const char *text, struct region_record *ret,
                           struct error *error);
void region_record_deinit(struct region_record *record);

/* The object of the segment that it tells of, which may be there or not. 0 or -ENOMEM. */
int region_record_segment(const struct region_record *record, const struct segment_places *places,
                          struct segment **ret);

struct holder_record {
    uint64_t client_id, attachment_id, region_id, size, max_size;
    uint32_t version, access, uid, serial;
    struct process_identity process;
    char region[REGION_NAME_MAX + 1];
};

void holder_record_key(const struct attachment *attachment, char ret[static RECORD_KEY_MAX]);
void holder_record_format(const struct attachment *attachment, char ret[static HOLDER_RECORD_MAX]);
int holder_record_parse(const char *text, struct holder_record *ret, struct error *error);
int holder_record_parse_at(const char *key, const char *text, struct holder_record *ret,
                           struct error *error);

void session_record_key(uint64_t client_id, char ret[static RECORD_KEY_MAX]);

void stage_record_key(const struct stage *stage, char ret[static RECORD_KEY_MAX]);

/* The record's text, to be freed; NULL: no memory. */
char *stage_record_format(const struct stage *stage);

/* A parsed record. Texts belong to @json; size, max_size and backing in @spec are the segment's. */
struct stage_record {
    json_t *json;
    uint64_t id, client_id, region_id;
    uint32_t uid, charged_uid;
    const char *charged_unit;
    struct process_identity process;
    struct region_spec spec;
};

int stage_record_parse(const char *text, struct stage_record *ret, struct error *error);
int stage_record_parse_at(const char *key, const char *text, struct stage_record *ret,
                          struct error *error);
void stage_record_deinit(struct stage_record *record);

/* The object of its segment, which is called so by now. 0 or -ENOMEM. */
int stage_record_segment(const struct stage_record *record, const struct segment_places *places,
                         uint64_t id, uint32_t version, struct segment **ret);
