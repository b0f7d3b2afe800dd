/*
 * Describing a region: the reply, copied into one block that holds its strings, too.
 */
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *append(char **end, const struct wire_message *reply, size_t string) {
    const char *start = *end;
    size_t size = reply->string[string].length + 1;

    *end = (char *)memcpy(*end, reply->string[string].data, size) + size;
    return start;
}

static struct shmreg_description *copy(const struct wire_message *reply) {
    const struct wire_describe_reply *body = reply->body;
    struct shmreg_description *description;
    size_t strings_size = 0;
    char *end;

    for (size_t i = 0; i < reply->n_strings; i++)
        strings_size += reply->string[i].length + 1;
    description = malloc(sizeof(*description) + strings_size);
    if (!description)
        return NULL;
    *description = (struct shmreg_description){
        .id = body->region_id,
        .size = body->size,
        .max_size = body->max_size,
        .created_usec = body->created_usec,
        .changed_usec = body->changed_usec,
        .version = body->version,
        .backing = body->backing,
        .lifetime = body->lifetime,
        .seconds = body->seconds,
        .remaining_seconds = body->remaining_seconds,
        .mode = body->mode,
        .owner_uid = body->owner_uid,
        .owner_gid = body->owner_gid,
        .rights = body->rights,
        .readers = body->readers,
        .writers = body->writers,
        .durability = body->durability,
        .durability_seconds = body->durability_seconds,
        .flags = (body->flags & WIRE_ATTACHMENT_SYNC_BLOCK ? SHMREG_SYNC_BLOCK : 0) |
                 (body->flags & WIRE_ATTACHMENT_HUGE_2M ? SHMREG_HUGE_2M : 0) |
                 (body->flags & WIRE_ATTACHMENT_HUGE_1G ? SHMREG_HUGE_1G : 0),
        .sealed = body->flags & WIRE_ATTACHMENT_SEALED,
    };
    end = (char *)(description + 1);
    description->name = append(&end, reply, 0);
    description->acl = append(&end, reply, 1);
    description->attributes = append(&end, reply, 2);
    return description;
}

int shmreg_describe(shmreg_conn *conn, const char *name, struct shmreg_description **ret) {
    struct wire_describe_request body = {.reserved = 0};
    struct wire_string string = {.data = name};
    _cleanup_(call_close_fds) struct call call = {
        .op = WIRE_DESCRIBE, .body = &body, .strings = &string};
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = NULL;
    int r = check_name(name);

    if (r < 0)
        return r;
    talking = talk_lock(conn);
    r = connection_call(talking, &call);
    if (r < 0)
        return r;
    *ret = copy(&call.reply);
    return *ret ? 0 : fail(-ENOMEM, "no memory for the description of region '%s'", name);
}

void shmreg_description_free(struct shmreg_description *description) {
    free(description);
}
