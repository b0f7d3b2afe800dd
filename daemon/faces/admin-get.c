/*
 * GetValue: the content of one version of a region, whole or in parts that are read as the client
 * takes them
 *
 * The segment stays open meanwhile, so every part is of the same version, whatever is published in
 * between.
 */
#include "daemon/faces/admin-private.h"

#include "proto/base64.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

struct value {
    struct varlink_stream stream;
    struct segment *segment;
    int fd;
    uint64_t offset; /* of the next part */
};

static void value_free(struct varlink_stream *stream) {
    struct value *value = (struct value *)stream;

    close_fd(&value->fd);
    cleanup_segment_unref(&value->segment);
    free(value);
}

/* NULL in *ret_reply: no memory. */
static int read_part(struct value *value, json_t **ret_reply, struct error *error) {
    uint64_t left = value->segment->size - value->offset;
    size_t size = left < WIRE_VALUE_MAX ? (size_t)left : WIRE_VALUE_MAX;
    _cleanup_free_ char *data = malloc(size), *text = malloc(BASE64_LENGTH(size) + 1);
    int r;

    if (!data || !text)
        return error_set(error, -ENOMEM, "no memory for a value");
    r = segment_read_from(value->segment, value->fd, value->offset, data, size, error);
    if (r < 0)
        return r;
    base64_encode(data, size, text);
    *ret_reply =
        json_pack("{s:s, s:I, s:I, s:I}", "data", text, "offset", (json_int_t)value->offset, "size",
                  (json_int_t)value->segment->size, "version", (json_int_t)value->segment->version);
    value->offset += size;
    return 0;
}

static bool produce(struct varlink_stream *stream, struct varlink_connection *connection) {
    struct value *value = (struct value *)stream;
    struct error error = {0};
    json_t *reply = NULL;
    bool continues;
    int r = read_part(value, &reply, &error);

    if (r < 0) {
        admin_fail(&(struct varlink_call){.connection = connection}, r, &error);
        return false;
    }
    continues = value->offset < value->segment->size;
    varlink_send(connection, reply, continues);
    return continues;
}

static int open_value(struct admin_connection *connection, const struct varlink_call *call,
                      struct value *value, struct error *error) {
    const char *name = parameter_text(call->parameters, "name", "");
    int r = manager_read(connection->manager, &connection->caller, name, &value->segment, error);

    if (r < 0)
        return r;
    if (!call->more && value->segment->size > WIRE_VALUE_MAX)
        return error_set(error, -EMSGSIZE,
                         "region '%s' has %" PRIu64 " bytes: more than %u are read in parts", name,
                         value->segment->size, WIRE_VALUE_MAX);
    value->fd = segment_open(value->segment, O_RDONLY, error);
    return value->fd < 0 ? value->fd : 0;
}

void admin_get_value(struct admin_connection *connection, const struct varlink_call *call) {
    struct value *value = calloc(1, sizeof(*value));
    struct error error = {0};
    int r;

    if (!value) {
        admin_fail(call, -ENOMEM, &error);
        return;
    }
    value->fd = -1;
    value->stream = (struct varlink_stream){.produce = produce, .free = value_free};
    r = open_value(connection, call, value, &error);
    if (r == 0) {
        varlink_start_stream(call, &value->stream);
    } else {
        value_free(&value->stream);
        admin_fail(call, r, &error);
    }
}
