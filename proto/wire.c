/*
 * Encoding and decoding of the client protocol: see wire.h.
 */
#include "proto/wire.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct shape {
    size_t size; /* of the operation's struct */
    const char *strings;
    unsigned n_fds;
};

struct operation {
    const char *name;
    struct shape side[2]; /* by enum wire_side */
};

static const struct operation operations[] = {
#define X(NAME, name, number, request_strings, request_fds, reply_strings, reply_fds)              \
    [number] = {#name,                                                                             \
                {{sizeof(struct wire_##name##_request), request_strings, request_fds},             \
                 {sizeof(struct wire_##name##_reply), reply_strings, reply_fds}}},
    WIRE_OPS(X)
#undef X
};

static const struct shape error_shape = {sizeof(struct wire_error_reply), "t", 0};

/* The structs travel as they are: no padding, and room for the lengths of their strings. */
#define X(NAME, name, number, request_strings, request_fds, reply_strings, reply_fds)              \
    _Static_assert(sizeof(struct wire_##name##_request) % 8 == 0, #name);                          \
    _Static_assert(sizeof(struct wire_##name##_reply) % 8 == 0, #name);                            \
    _Static_assert(sizeof(request_strings) - 1 <= WIRE_STRINGS_MAX, #name);                        \
    _Static_assert(sizeof(reply_strings) - 1 <= WIRE_STRINGS_MAX, #name);
WIRE_OPS(X)
#undef X
_Static_assert(sizeof(struct wire_header) == 16, "header");
_Static_assert(sizeof(struct wire_attachment) == 56, "attachment");

const char *wire_op_name(uint32_t op) {
    return op < ARRAY_SIZE(operations) ? operations[op].name : NULL;
}

bool wire_op_gives_descriptors(uint32_t op) {
    return wire_op_name(op) && operations[op].side[WIRE_REPLY_SIDE].n_fds > 0;
}

static const struct shape *shape_of(enum wire_side side, const struct wire_header *header) {
    if (!wire_op_name(header->op))
        return NULL;
    if (side == WIRE_REPLY_SIDE && header->status < 0)
        return &error_shape;
    return &operations[header->op].side[side];
}

static int check_header(enum wire_side side, const struct wire_header *header, size_t size,
                        struct error *error) {
    uint32_t needed = side == WIRE_REPLY_SIDE ? WIRE_REPLY : 0;
    uint32_t allowed = side == WIRE_REPLY_SIDE ? WIRE_REPLY : WIRE_NO_REPLY | WIRE_REPEATED;
    bool has_turn = header->flags & WIRE_REPEATED;

    if (side == WIRE_REPLY_SIDE && header->status == 0)
        allowed |= WIRE_CONTINUES;
    if (header->length != size - sizeof(*header))
        return error_set(error, -EBADMSG, "header announces %u bytes after it, %zu came",
                         header->length, size - sizeof(*header));
    if (header->flags & ~allowed || (header->flags & needed) != needed)
        return error_set(error, -EBADMSG, "header flags %#x are out of place", header->flags);
    if (side == WIRE_REPLY_SIDE ? header->status > 0
                                : header->status < 0 || (header->status > 0 && !has_turn))
        return error_set(error, -EBADMSG, "status %d is out of place", header->status);
    return 0;
}

static int decode_strings(const struct shape *shape, const char *body, size_t size,
                          struct wire_message *message, struct error *error) {
    const char *next = body + shape->size;
    size_t left = size - shape->size;

    message->n_strings = strlen(shape->strings);
    for (size_t i = 0; i < message->n_strings; i++) {
        uint32_t length;

        memcpy(&length, body + i * sizeof(length), sizeof(length));
        if (length > left)
            return error_set(error, -EBADMSG, "string %zu of %u bytes passes the end", i, length);
        message->string[i].data = next;
        message->string[i].length = length;
        next += length;
        left -= length;
        if (shape->strings[i] != 't')
            continue;
        if (length == 0 || memchr(message->string[i].data, '\0', length) != next - 1)
            return error_set(error, -EBADMSG, "text %zu does not end with its only NUL", i);
        message->string[i].length--;
    }
    if (left > 0)
        return error_set(error, -EBADMSG, "%zu bytes follow the last string", left);
    return 0;
}

int wire_decode(enum wire_side side, const void *data, size_t size, size_t n_fds,
                struct wire_message *ret, struct error *error) {
    const struct shape *shape;
    int r;

    if (size < sizeof(ret->header) || size > WIRE_MESSAGE_MAX)
        return error_set(error, -EBADMSG, "a message of %zu bytes", size);
    memcpy(&ret->header, data, sizeof(ret->header));
    r = check_header(side, &ret->header, size, error);
    if (r < 0)
        return r;

    shape = shape_of(side, &ret->header);
    if (!shape)
        return error_set(error, -EOPNOTSUPP, "unknown operation %u", ret->header.op);
    if (ret->header.length < shape->size)
        return error_set(error, -EBADMSG, "%s: %u bytes where its struct has %zu",
                         wire_op_name(ret->header.op), ret->header.length, shape->size);
    if (side == WIRE_REQUEST_SIDE ? n_fds != shape->n_fds : n_fds > shape->n_fds)
        return error_set(error, -EBADMSG, "%s: %zu descriptors where %u belong",
                         wire_op_name(ret->header.op), n_fds, shape->n_fds);

    ret->body = (const char *)data + sizeof(ret->header);
    return decode_strings(shape, ret->body, ret->header.length, ret, error);
}

static int encode(const struct shape *shape, const struct wire_header *header, const void *body,
                  const struct wire_string *strings, void *buffer) {
    struct wire_header *out_header = buffer;
    char *out_body = (char *)buffer + sizeof(*header);
    size_t used = shape->size;

    memcpy(out_body, body, shape->size);
    for (size_t i = 0; shape->strings[i]; i++) {
        size_t length = shape->strings[i] == 't' ? strlen(strings[i].data) + 1 : strings[i].length;
        uint32_t wire_length = (uint32_t)length;

        if (length > WIRE_MESSAGE_MAX - sizeof(*header) - used)
            return -EMSGSIZE;
        memcpy(out_body + i * sizeof(wire_length), &wire_length, sizeof(wire_length));
        if (length > 0)
            memcpy(out_body + used, strings[i].data, length);
        used += length;
    }
    *out_header = *header;
    out_header->length = (uint32_t)used;
    return (int)(sizeof(*header) + used);
}

int wire_encode(const struct wire_header *header, const void *body,
                const struct wire_string *strings, void *buffer) {
    enum wire_side side = header->flags & WIRE_REPLY ? WIRE_REPLY_SIDE : WIRE_REQUEST_SIDE;

    return encode(shape_of(side, header), header, body, strings, buffer);
}

int wire_encode_error(const struct wire_header *request, const struct error *error, void *buffer) {
    struct wire_header header = {
        .op = request->op,
        .flags = WIRE_REPLY,
        .serial = request->serial,
        .status = error->code,
    };

    return encode(&error_shape, &header, &(struct wire_error_reply){0},
                  &(struct wire_string){.data = error->text}, buffer);
}
