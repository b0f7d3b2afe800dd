/*
 * The encoder of the client protocol: what fits into a message, and the reply to what failed.
 */
#include "proto/cleanup.h"
#include "proto/wire.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

static _Alignas(8) unsigned char buffer[WIRE_MESSAGE_MAX];

/* Encodes a GET reply with a value of that many bytes. */
static int encode_value(size_t length) {
    _cleanup_free_ char *value = calloc(1, length);
    struct wire_header header = {.op = WIRE_GET, .flags = WIRE_REPLY};

    ck_assert_ptr_nonnull(value);
    return wire_encode(&header, &(struct wire_get_reply){.version = 1},
                       &(struct wire_string){.data = value, .length = length}, buffer);
}

START_TEST(the_largest_message_fits_and_one_byte_more_does_not) {
    size_t overhead = sizeof(struct wire_header) + sizeof(struct wire_get_reply);
    struct wire_message message;
    _cleanup_free_ unsigned char *oversize = calloc(1, WIRE_MESSAGE_MAX + 1);

    ck_assert_int_eq(encode_value(WIRE_MESSAGE_MAX - overhead), WIRE_MESSAGE_MAX);
    ck_assert_int_eq(wire_decode(WIRE_REPLY_SIDE, buffer, WIRE_MESSAGE_MAX, 0, &message, NULL), 0);
    ck_assert_int_eq(encode_value(WIRE_MESSAGE_MAX - overhead + 1), -EMSGSIZE);
    ck_assert_int_eq(encode_value(2 * WIRE_MESSAGE_MAX), -EMSGSIZE);

    ck_assert_ptr_nonnull(oversize);
    memcpy(oversize, buffer, WIRE_MESSAGE_MAX);
    ((struct wire_header *)oversize)->length++;
    ((struct wire_get_reply *)(oversize + sizeof(struct wire_header)))->string_length[0]++;
    ck_assert_int_eq(
        wire_decode(WIRE_REPLY_SIDE, oversize, WIRE_MESSAGE_MAX + 1, 0, &message, NULL), -EBADMSG);
}
END_TEST

START_TEST(the_largest_value_fits_into_a_put) {
    static char value[WIRE_VALUE_MAX];
    struct wire_string strings[] = {{.data = "n"}, {.data = value, .length = sizeof(value)}};
    struct wire_header header = {.op = WIRE_PUT};

    ck_assert_int_gt(wire_encode(&header, &(struct wire_put_request){0}, strings, buffer),
                     (int)sizeof(value));
}
END_TEST

START_TEST(an_error_reply_carries_code_and_sentence) {
    struct wire_header request = {.op = WIRE_CREATE, .serial = 77};
    struct error error = {.code = -EDQUOT};
    struct wire_message message;
    int size;

    memset(error.text, 'x', sizeof(error.text) - 1);
    size = wire_encode_error(&request, &error, buffer);
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(wire_decode(WIRE_REPLY_SIDE, buffer, (size_t)size, 0, &message, NULL), 0);
    ck_assert_int_eq(message.header.status, -EDQUOT);
    ck_assert_uint_eq(message.header.serial, 77);
    ck_assert_uint_eq(message.header.flags, WIRE_REPLY);
    ck_assert_str_eq(message.string[0].data, error.text);
}
END_TEST

SUITE_MAIN("wire-encode", the_largest_message_fits_and_one_byte_more_does_not,
           the_largest_value_fits_into_a_put, an_error_reply_carries_code_and_sentence);
