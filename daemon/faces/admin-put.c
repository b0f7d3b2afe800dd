/*
 * PutValue: a value in one message, or in parts that are staged and published with the last one
 */
#include "daemon/faces/admin-private.h"

#include "daemon/core/flush.h"
#include "proto/base64.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void upload_end(struct upload *upload) {
    if (upload->stage)
        stage_free(steal_pointer(upload->stage));
}

/* One part, decoded. */
struct part {
    const char *name;
    uint64_t offset;
    uint64_t value_size;
    uint32_t mode;
    bool replaces;             /* the region has to exist, */
    uint32_t expected_version; /* and be at that version, if it is not 0 */
    void *data;
    size_t size;
};

static int decode(const json_t *parameters, struct part *part, struct error *error) {
    const json_t *data = parameter_json(parameters, "data");
    size_t length = json_string_length(data);

    if (length > BASE64_LENGTH((size_t)WIRE_VALUE_MAX))
        return error_set(error, -EINVAL, "at most %u bytes travel in one part", WIRE_VALUE_MAX);
    part->data = malloc(length + 1);
    if (!part->data)
        return error_set(error, -ENOMEM, "no memory for a value");
    if (base64_decode(json_string_value(data), length, part->data, &part->size) < 0)
        return error_set(error, -EINVAL, "the data is not base64 as RFC 4648 has it");
    part->name = parameter_text(parameters, "name", "");
    part->offset = parameter_number(parameters, "offset", 0);
    part->replaces = parameter_json(parameters, "expected_version");
    part->expected_version = (uint32_t)parameter_number(parameters, "expected_version", 0);
    part->value_size = parameter_number(parameters, "size", part->offset + part->size);
    if (part->offset > part->value_size || part->size > part->value_size - part->offset ||
        (part->size == 0 && part->value_size > 0))
        return error_set(error, -EINVAL,
                         "a part of %zu bytes at %" PRIu64 " does not fit a value of %" PRIu64,
                         part->size, part->offset, part->value_size);
    return admin_mode(parameters, MODE_UNSET, &part->mode, error);
}

static int begin(struct admin_connection *connection, const struct part *part,
                 struct error *error) {
    const struct region_spec spec = {
        .name = part->name,
        .size = part->value_size,
        .mode = part->mode,
        .acl = "",
        .attributes = "",
    };
    struct upload *upload = &connection->upload;
    struct region *region;
    int r = 0;

    if (part->replaces)
        r = manager_find(connection->manager, &connection->caller, part->name, &region, error);
    if (r == 0)
        r = manager_stage(connection->manager, &connection->caller, &spec, &upload->stage, error);
    if (r < 0)
        return r;
    snprintf(upload->name, sizeof(upload->name), "%s", part->name);
    upload->size = part->value_size;
    upload->next = 0;
    upload->expected_version = part->expected_version;
    return 0;
}

static int check_order(const struct upload *upload, const struct part *part, struct error *error) {
    if (!upload->stage || strcmp(upload->name, part->name) != 0 ||
        upload->size != part->value_size || upload->next != part->offset)
        return error_set(error, -EINVAL,
                         "the part of '%s' at %" PRIu64 " does not follow on the one before",
                         part->name, part->offset);
    return 0;
}

/* A value that is published when it is on disk. */
struct put {
    struct varlink_stream stream; /* the first: a stream is cast to it */
    struct admin_connection *connection;
    struct flush *flush; /* NULL once it has ended */
    bool oneway;
};

static void put_free(struct put *put) {
    if (put->flush)
        flush_cancel(put->flush);
    free(put);
}
DEFINE_CLEANUP(struct put *, put_free);

static void stream_free(struct varlink_stream *stream) {
    put_free((struct put *)stream);
}

static void reply_version(const struct varlink_call *call, uint32_t version) {
    varlink_reply(call, json_pack("{s:I}", "version", (json_int_t)version));
}

static void publish(struct admin_connection *connection, const struct varlink_call *call) {
    struct upload *upload = &connection->upload;
    struct error error = {0};
    uint32_t version;
    int r = manager_publish(connection->manager, &connection->caller, steal_pointer(upload->stage),
                            upload->expected_version, &version, &error);

    if (r < 0)
        admin_fail(call, r, &error);
    else
        reply_version(call, version);
}

static void on_flushed(void *data, const struct error *error) {
    struct put *put = data;
    struct admin_connection *connection = put->connection;
    const struct varlink_call call = {.connection = connection->varlink, .oneway = put->oneway};

    put->flush = NULL;
    if (error->code == 0) {
        publish(connection, &call);
    } else {
        upload_end(&connection->upload);
        admin_fail(&call, error->code, error);
    }
    varlink_end_stream(connection->varlink);
}

/* The value is whole. */
static int finish(struct admin_connection *connection, const struct varlink_call *call,
                  struct error *error) {
    _cleanup_(cleanup_put_free) struct put *put = calloc(1, sizeof(*put));
    struct varlink_call stream = {.connection = call->connection};
    int r;

    if (!put)
        return error_set(error, -ENOMEM, "no memory for a value");
    put->stream.free = stream_free;
    put->connection = connection;
    put->oneway = call->oneway;
    r = flush_stage(connection->upload.stage, on_flushed, put, &put->flush, error);
    if (r == 0 && put->flush)
        varlink_start_stream(&stream, &steal_pointer(put)->stream);
    else if (r == 0)
        publish(connection, call);
    return r;
}

/* A part at offset 0 begins a value, and an unfinished one is given up. */
static int put_part(struct admin_connection *connection, const struct varlink_call *call,
                    const struct part *part, struct error *error) {
    struct upload *upload = &connection->upload;
    int r;

    if (part->offset == 0)
        upload_end(upload);
    r = part->offset == 0 ? begin(connection, part, error) : check_order(upload, part, error);
    if (r == 0)
        r = stage_write(upload->stage, part->offset, part->data, part->size, error);
    if (r < 0)
        return r;
    upload->next += part->size;
    if (upload->next == upload->size)
        return finish(connection, call, error);
    reply_version(call, 0);
    return 0;
}

void admin_put_value(struct admin_connection *connection, const struct varlink_call *call) {
    struct part part = {0};
    struct error error = {0};
    int r = decode(call->parameters, &part, &error);

    if (r == 0)
        r = put_part(connection, call, &part, &error);
    free(part.data);
    if (r == 0)
        return;
    /* A part that waits for the disk comes again. */
    if (r != -EINPROGRESS)
        upload_end(&connection->upload);
    admin_fail(call, r, &error);
}
