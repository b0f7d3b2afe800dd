/*
 * Base64: the vectors of RFC 4648, every length of a tail, and everything that is not base64.
 */
#include "proto/base64.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

START_TEST(vectors) {
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff", "+/8="},
    };

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char text[16], bytes[16];
        size_t size;

        base64_encode(pairs[i][0], strlen(pairs[i][0]), text);
        ck_assert_str_eq(text, pairs[i][1]);
        ck_assert_uint_eq(strlen(text), BASE64_LENGTH(strlen(pairs[i][0])));
        ck_assert_int_eq(base64_decode(text, strlen(text), bytes, &size), 0);
        ck_assert_uint_eq(size, strlen(pairs[i][0]));
        ck_assert_mem_eq(bytes, pairs[i][0], size);
    }
}
END_TEST

START_TEST(what_is_not_base64) {
    static const char *const texts[] = {
        "Z",    "Zg",   "Zg=",   "Zh==",   "Zm9=", "====",       "Z===",    "Zg==Zg==",
        "=Zg=", "Zm 9", "Zm9\n", "Zm9v\n", "Zm-_", "Zg==\n\n\n", "\x80m9v", "Zm9v=",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char bytes[16];
        size_t size;

        ck_assert_msg(base64_decode(texts[i], strlen(texts[i]), bytes, &size) == -EINVAL,
                      "'%s' is taken for base64", texts[i]);
    }
}
END_TEST

START_TEST(every_byte_in_place) {
    unsigned char data[256];
    char text[BASE64_LENGTH(sizeof(data)) + 1];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 167);
    for (size_t size = 0; size <= sizeof(data); size++) {
        size_t decoded;

        base64_encode(data, size, text);
        ck_assert_int_eq(base64_decode(text, strlen(text), text, &decoded), 0);
        ck_assert_uint_eq(decoded, size);
        ck_assert_mem_eq(text, data, size);
    }
}
END_TEST

SUITE_MAIN("base64", vectors, what_is_not_base64, every_byte_in_place);
