/*
 * Every shape of message that WIRE_OPS allows, and a valid message of each: for each operation its
 * request, its reply, and the reply that says what went wrong. The tests of the decoder and the
 * corpus of its fuzzer are generated from this list, so an operation added to the table is tested.
 */
#pragma once

#include <errno.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/wire.h"

struct wire_shape {
    const char *name;
    uint16_t op;
    enum wire_side side;
    int32_t status;
    size_t body_size;
    const char *strings;
    size_t n_fds;
};

static const struct wire_shape wire_shapes[] = {
#define X(NAME, name, number, request_strings, request_fds, reply_strings, reply_fds)              \
    {#name "-request", number,     WIRE_REQUEST_SIDE, 0, sizeof(struct wire_##name##_request),     \
     request_strings,  request_fds},                                                               \
        {#name "-reply", number,   WIRE_REPLY_SIDE, 0, sizeof(struct wire_##name##_reply),         \
         reply_strings,  reply_fds},                                                               \
        {#name "-error", number, WIRE_REPLY_SIDE, -EACCES, sizeof(struct wire_error_reply), "t", 0},
    WIRE_OPS(X)
#undef X
};

#define WIRE_SHAPE_BODY_MAX 256

/* What a shape's strings hold in the message that wire_shape_message() makes. */
static const struct wire_string wire_shape_texts[WIRE_STRINGS_MAX] = {
    {.data = "feed/prices"},
    {.data = "user:20001:rw"},
    {.data = "{\"dtype\":\"f8\"}"},
    {.data = "fourth"},
};
static const struct wire_string wire_shape_bytes = {.data = "a\0b\0\0c", .length = 7};

/* Fills @ret with the strings of a shape. */
static inline void wire_shape_strings(const struct wire_shape *shape,
                                      struct wire_string ret[static WIRE_STRINGS_MAX]) {
    for (size_t i = 0; shape->strings[i]; i++)
        ret[i] = shape->strings[i] == 't' ? wire_shape_texts[i] : wire_shape_bytes;
}

/* Encodes a valid message of the shape, its struct filled with 0x5a. Returns its size. */
static inline int wire_shape_message(const struct wire_shape *shape, void *buffer) {
    struct wire_string strings[WIRE_STRINGS_MAX] = {0};
    unsigned char body[WIRE_SHAPE_BODY_MAX];
    struct wire_header header = {
        .op = shape->op,
        .flags = shape->side == WIRE_REPLY_SIDE ? WIRE_REPLY : 0,
        .serial = 0x01020304,
        .status = shape->status,
    };

    memset(body, 0x5a, sizeof(body));
    wire_shape_strings(shape, strings);
    if (shape->status < 0)
        return wire_encode_error(
            &header, &(struct error){.code = shape->status, .text = "feed/prices"}, buffer);
    return wire_encode(&header, body, strings, buffer);
}
