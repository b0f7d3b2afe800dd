/*
 * The decoder of the client protocol against well-formed messages and every malformed shape, for
 * every operation and both sides, generated from the table of operations (wire-shapes.h).
 */
#include "tests/unit/suite.h"
#include "tests/unit/wire-shapes.h"

#include <stdbool.h>

static _Alignas(8) unsigned char buffer[WIRE_MESSAGE_MAX];

/* Decodes from memory of exactly that size, so that a sanitizer sees a read past the end. */
static int decode(const struct wire_shape *shape, const void *data, size_t size, size_t n_fds,
                  struct error *error) {
    _cleanup_free_ void *exact = malloc(size);
    struct wire_message message;

    if (!exact)
        ck_abort_msg("no memory");
    memcpy(exact, data, size);
    return wire_decode(shape->side, exact, size, n_fds, &message, error);
}

/* Called a million times: an assertion of check's own would write to a file each time. */
static void expect_malformed(const struct wire_shape *shape, const void *data, size_t size,
                             size_t n_fds, const char *what) {
    struct error error = {0};
    int r = decode(shape, data, size, n_fds, &error);

    if (r != -EBADMSG)
        ck_abort_msg("%s, %s: %d instead of EBADMSG", shape->name, what, r);
    if (error.code != -EBADMSG || !*error.text)
        ck_abort_msg("%s, %s: no reason", shape->name, what);
}

static int make(const struct wire_shape *shape) {
    int size = wire_shape_message(shape, buffer);

    ck_assert_int_ge(size, (int)sizeof(struct wire_header));
    return size;
}

static void set_length(size_t size) {
    ((struct wire_header *)buffer)->length = (uint32_t)(size - sizeof(struct wire_header));
}

static uint32_t *string_lengths(void) {
    return (uint32_t *)(buffer + sizeof(struct wire_header));
}

static unsigned char *first_string(const struct wire_shape *shape) {
    return buffer + sizeof(struct wire_header) + shape->body_size;
}

#define EACH_SHAPE(shape)                                                                          \
    const struct wire_shape *shape = wire_shapes;                                                  \
    shape < wire_shapes + ARRAY_SIZE(wire_shapes);                                                 \
    shape++

START_TEST(well_formed_messages_come_back_as_they_went) {
    for (EACH_SHAPE(shape)) {
        struct wire_string strings[WIRE_STRINGS_MAX] = {0};
        int size = make(shape);
        struct wire_message message;

        wire_shape_strings(shape, strings);
        ck_assert_int_eq(
            wire_decode(shape->side, buffer, (size_t)size, shape->n_fds, &message, NULL), 0);
        ck_assert_uint_eq(message.header.op, shape->op);
        ck_assert_uint_eq(message.header.serial, 0x01020304);
        ck_assert_int_eq(message.header.status, shape->status);
        ck_assert_uint_eq(message.n_strings, strlen(shape->strings));
        ck_assert_ptr_eq(message.body, buffer + sizeof(struct wire_header));
        for (size_t i = 0; i < message.n_strings; i++) {
            size_t length = shape->strings[i] == 't' ? strlen(strings[i].data) : strings[i].length;

            ck_assert_uint_eq(message.string[i].length, length);
            ck_assert_mem_eq(message.string[i].data, strings[i].data, length);
        }
    }
}
END_TEST

START_TEST(empty_strings_are_well_formed) {
    for (EACH_SHAPE(shape)) {
        const struct wire_string strings[WIRE_STRINGS_MAX] = {{""}, {""}, {""}, {""}};
        struct wire_header header = {.op = shape->op, .status = shape->status};
        unsigned char body[WIRE_SHAPE_BODY_MAX] = {0};
        struct wire_message message;
        int size;

        header.flags = shape->side == WIRE_REPLY_SIDE ? WIRE_REPLY : 0;
        size = wire_encode(&header, body, strings, buffer);
        ck_assert_int_gt(size, 0);
        ck_assert_int_eq(
            wire_decode(shape->side, buffer, (size_t)size, shape->n_fds, &message, NULL), 0);
        for (size_t i = 0; i < message.n_strings; i++)
            ck_assert_uint_eq(message.string[i].length, 0);
    }
}
END_TEST

START_TEST(the_bytes_of_a_message_never_change) {
    static const unsigned char expected[] = {
        3,   0, 0,   0, 7, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, /* op, flags, serial, status, length */
        4,   0, 0,   0, 2, 0, 0, 0, 1, 0, 0, 0, 0,  0, 0, 0, /* string length, count, access */
        'a', 0, 'b', 0,
    };
    const struct wire_open_request request = {.count = 2, .access = WIRE_READ};
    int size = wire_encode(&(struct wire_header){.op = WIRE_OPEN, .serial = 7}, &request,
                           &(struct wire_string){.data = "a\0b", .length = 4}, buffer);

    ck_assert_int_eq(size, (int)sizeof(expected));
    ck_assert_mem_eq(buffer, expected, sizeof(expected));
}
END_TEST

START_TEST(no_part_of_a_header_is_a_message) {
    for (EACH_SHAPE(shape)) {
        make(shape);
        for (size_t size = 0; size < sizeof(struct wire_header); size++)
            expect_malformed(shape, buffer, size, shape->n_fds, "part of a header");
    }
}
END_TEST

START_TEST(every_truncation_is_malformed) {
    for (EACH_SHAPE(shape)) {
        int full = make(shape);

        for (size_t size = sizeof(struct wire_header); size < (size_t)full; size++) {
            set_length((size_t)full);
            expect_malformed(shape, buffer, size, shape->n_fds, "cut");
            set_length(size);
            expect_malformed(shape, buffer, size, shape->n_fds, "cut, and says so");
        }
    }
}
END_TEST

START_TEST(trailing_bytes_are_malformed) {
    for (EACH_SHAPE(shape)) {
        size_t full = (size_t)make(shape);

        for (size_t size = full + 1; size < full + 10; size++) {
            set_length(full);
            expect_malformed(shape, buffer, size, shape->n_fds, "long");
            set_length(size);
            expect_malformed(shape, buffer, size, shape->n_fds, "long, and says so");
        }
    }
}
END_TEST

START_TEST(wrong_lengths_in_the_header_are_malformed) {
    static const uint32_t wrong[] = {0, 1, 7, UINT32_MAX, UINT32_MAX - 15, 1u << 31};

    for (EACH_SHAPE(shape)) {
        int size = make(shape);

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
            ((struct wire_header *)buffer)->length = wrong[i];
            expect_malformed(shape, buffer, (size_t)size, shape->n_fds, "header length");
        }
    }
}
END_TEST

START_TEST(wrong_string_lengths_are_malformed) {
    for (EACH_SHAPE(shape)) {
        for (size_t i = 0; shape->strings[i]; i++) {
            size_t size = (size_t)make(shape);
            uint32_t right = string_lengths()[i];
            uint32_t wrong[] = {0, right - 1, right + 1, right + 256, INT32_MAX, UINT32_MAX};

            for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
                string_lengths()[i] = wrong[k];
                expect_malformed(shape, buffer, size, shape->n_fds, "string length");
            }
        }
    }
}
END_TEST

START_TEST(string_lengths_whose_sum_overflows_are_malformed) {
    for (EACH_SHAPE(shape)) {
        for (size_t i = 0; shape->strings[i] && shape->strings[i + 1]; i++) {
            for (uint32_t surplus = 1; surplus < 64; surplus++) {
                size_t size = (size_t)make(shape);
                uint32_t both = string_lengths()[i] + string_lengths()[i + 1];

                string_lengths()[i] = UINT32_MAX - surplus;
                string_lengths()[i + 1] = both + surplus + 1;
                expect_malformed(shape, buffer, size, shape->n_fds, "overflowing sum");
            }
        }
    }
}
END_TEST

START_TEST(a_text_that_borrows_from_its_neighbour_is_malformed) {
    for (EACH_SHAPE(shape)) {
        for (size_t i = 0; shape->strings[i] && shape->strings[i + 1]; i++) {
            size_t size = (size_t)make(shape);

            if (shape->strings[i] != 't')
                continue;
            string_lengths()[i]--;
            string_lengths()[i + 1]++;
            expect_malformed(shape, buffer, size, shape->n_fds, "text too short");
            string_lengths()[i] += 2;
            string_lengths()[i + 1] -= 2;
            expect_malformed(shape, buffer, size, shape->n_fds, "text too long");
        }
    }
}
END_TEST

START_TEST(a_text_ends_with_its_only_nul) {
    for (EACH_SHAPE(shape)) {
        for (size_t i = 0, at = 0; shape->strings[i]; i++) {
            size_t size = (size_t)make(shape);
            uint32_t length = string_lengths()[i];
            unsigned char *text = first_string(shape) + at;

            at += length;
            if (shape->strings[i] != 't')
                continue;
            text[length - 1] = 'x';
            expect_malformed(shape, buffer, size, shape->n_fds, "no NUL");
            text[length - 1] = '\0';
            for (uint32_t k = 0; k + 1 < length; k++) {
                unsigned char kept = text[k];

                text[k] = '\0';
                expect_malformed(shape, buffer, size, shape->n_fds, "inner NUL");
                text[k] = kept;
            }
        }
    }
}
END_TEST

START_TEST(descriptors_that_do_not_belong_are_malformed) {
    for (EACH_SHAPE(shape)) {
        size_t size = (size_t)make(shape);

        for (size_t n_fds = 0; n_fds <= 2 * WIRE_OPEN_MAX + 1; n_fds++) {
            bool fits =
                shape->side == WIRE_REQUEST_SIDE ? n_fds == shape->n_fds : n_fds <= shape->n_fds;

            if (fits)
                ck_assert_int_eq(decode(shape, buffer, size, n_fds, NULL), 0);
            else
                expect_malformed(shape, buffer, size, n_fds, "descriptors");
        }
    }
}
END_TEST

START_TEST(flags_out_of_place_are_malformed) {
    for (EACH_SHAPE(shape)) {
        size_t size = (size_t)make(shape);
        struct wire_header *header = (struct wire_header *)buffer;

        for (unsigned flags = 0; flags <= UINT16_MAX; flags++) {
            bool fits = shape->side == WIRE_REQUEST_SIDE
                            ? (flags & ~(WIRE_NO_REPLY | WIRE_REPEATED)) == 0
                            : flags == WIRE_REPLY ||
                                  (flags == (WIRE_REPLY | WIRE_CONTINUES) && header->status == 0);

            header->flags = (uint16_t)flags;
            if (fits)
                ck_assert_int_eq(decode(shape, buffer, size, shape->n_fds, NULL), 0);
            else
                expect_malformed(shape, buffer, size, shape->n_fds, "flags");
        }
    }
}
END_TEST

START_TEST(a_repeated_request_has_a_turn) {
    static const int32_t turns[] = {0, 1, INT32_MAX};

    for (EACH_SHAPE(shape)) {
        size_t size = (size_t)make(shape);
        struct wire_header *header = (struct wire_header *)buffer;

        if (shape->side != WIRE_REQUEST_SIDE)
            continue;
        header->flags = WIRE_REPEATED;
        for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
            header->status = turns[i];
            ck_assert_int_eq(decode(shape, buffer, size, shape->n_fds, NULL), 0);
        }
        header->status = -1;
        expect_malformed(shape, buffer, size, shape->n_fds, "a negative turn");
    }
}
END_TEST

START_TEST(a_status_out_of_place_is_malformed) {
    static const int32_t wrong[] = {1, EACCES, INT32_MAX};

    for (EACH_SHAPE(shape)) {
        size_t size = (size_t)make(shape);
        struct wire_header *header = (struct wire_header *)buffer;

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
            header->status = wrong[i];
            expect_malformed(shape, buffer, size, shape->n_fds, "positive status");
        }
        if (shape->side == WIRE_REQUEST_SIDE) {
            header->status = -EACCES;
            expect_malformed(shape, buffer, size, shape->n_fds, "status in a request");
        }
    }
}
END_TEST

START_TEST(an_unknown_operation_is_answered_and_not_malformed) {
    static const enum wire_side sides[] = {WIRE_REQUEST_SIDE, WIRE_REPLY_SIDE};

    for (unsigned op = 0; op <= UINT16_MAX; op++) {
        if (wire_op_name(op))
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
            struct wire_header header = {.op = (uint16_t)op, .serial = 9, .length = 8};
            struct wire_message message = {0};
            struct error error = {0};

            header.flags = sides[i] == WIRE_REPLY_SIDE ? WIRE_REPLY : 0;
            memset(buffer, 0, sizeof(header) + 8);
            memcpy(buffer, &header, sizeof(header));
            ck_assert_int_eq(wire_decode(sides[i], buffer, sizeof(header) + 8, 3, &message, &error),
                             -EOPNOTSUPP);
            ck_assert_uint_eq(message.header.serial, 9);
            ck_assert_uint_eq(message.header.op, op);
            ck_assert_ptr_nonnull(strstr(error.text, "unknown operation"));
        }
    }
}
END_TEST

START_TEST(every_operation_has_its_name) {
#define X(NAME, name, number, ...) ck_assert_str_eq(wire_op_name(number), #name);
    WIRE_OPS(X)
#undef X
    ck_assert_ptr_null(wire_op_name(0));
    ck_assert_ptr_null(wire_op_name(UINT16_MAX));
    ck_assert_ptr_null(wire_op_name(UINT32_MAX));
}
END_TEST

SUITE_MAIN("wire", well_formed_messages_come_back_as_they_went, empty_strings_are_well_formed,
           the_bytes_of_a_message_never_change, no_part_of_a_header_is_a_message,
           every_truncation_is_malformed, trailing_bytes_are_malformed,
           wrong_lengths_in_the_header_are_malformed, wrong_string_lengths_are_malformed,
           string_lengths_whose_sum_overflows_are_malformed,
           a_text_that_borrows_from_its_neighbour_is_malformed, a_text_ends_with_its_only_nul,
           descriptors_that_do_not_belong_are_malformed, flags_out_of_place_are_malformed,
           a_repeated_request_has_a_turn, a_status_out_of_place_is_malformed,
           an_unknown_operation_is_answered_and_not_malformed, every_operation_has_its_name);
