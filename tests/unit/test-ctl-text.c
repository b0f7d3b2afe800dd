/*
 * Sizes, durations and what a terminal is shown, as shmregctl reads and writes them.
 */
#include "client/ctl/text.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

START_TEST(sizes_are_read) {
    static const struct {
        const char *text;
        int64_t size;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"512B", 512},
        {"4K", 4096},
        {"4k", 4096},
        {"4Ki", 4096},
        {"4KiB", 4096},
        {"4kib", 4096},
        {"64M", 64 << 20},
        {"2G", INT64_C(2) << 30},
        {"3TiB", INT64_C(3) << 40},
        {"7E", INT64_C(7) << 60},
        {"9223372036854775807", INT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t size = -1;

        ck_assert_msg(size_parse(cases[i].text, &size) == 0, "%s", cases[i].text);
        ck_assert_msg(size == cases[i].size, "%s is %lld", cases[i].text, (long long)size);
    }
}
END_TEST

START_TEST(what_is_no_size) {
    static const char *const texts[] = {
        "",
        "K",
        "-1",
        "+1",
        " 1",
        "1 K",
        "1.5G",
        "4KB",
        "4Kb",
        "4KiBB",
        "0x10",
        "8E",
        "4Z",
        "4KK",
        "1e3",
        "9223372036854775808",
        "9007199254740992K",
        "1\n",
        "1Bi",
    };
    int64_t size;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        ck_assert_msg(size_parse(texts[i], &size) == -EINVAL, "'%s' is taken", texts[i]);
}
END_TEST

START_TEST(sizes_are_written) {
    static const struct {
        int64_t size;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1 KiB"},
        {1536, "1.5 KiB"},
        {1100, "1 KiB"},
        {1048575, "1023.9 KiB"},
        {1048576, "1 MiB"},
        {INT64_C(5) << 39, "2.5 TiB"},
        {INT64_MAX, "7.9 EiB"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[SIZE_TEXT_MAX];

        size_format(cases[i].size, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(durations_are_read) {
    static const char *const wrong[] = {"", "s", "-1", "1w", "1.5h", "1hm", "4294967296", "50000d"};
    int64_t seconds;

    ck_assert(span_parse("90", &seconds) == 0 && seconds == 90);
    ck_assert(span_parse("0s", &seconds) == 0 && seconds == 0);
    ck_assert(span_parse("5m", &seconds) == 0 && seconds == 300);
    ck_assert(span_parse("3h", &seconds) == 0 && seconds == 10800);
    ck_assert(span_parse("2d", &seconds) == 0 && seconds == 172800);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        ck_assert_msg(span_parse(wrong[i], &seconds) == -EINVAL, "'%s' is taken", wrong[i]);
}
END_TEST

START_TEST(durations_are_written) {
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{-5, "0s"},  {0, "0s"},    {59, "59s"},    {60, "1m"},
                 {119, "1m"}, {3600, "1h"}, {86399, "23h"}, {86400 * 400, "400d"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[SPAN_TEXT_MAX];

        span_format(cases[i].seconds, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(times_are_written_in_the_local_zone) {
    char text[TIME_TEXT_MAX];

    setenv("TZ", "UTC-2", 1);
    time_format(INT64_C(1700000000) * 1000000 + 999999, text);
    ck_assert_str_eq(text, "2023-11-15 00:13:20");
    time_format(INT64_MAX, text);
    ck_assert_uint_gt(strlen(text), 0);
}
END_TEST

START_TEST(no_control_character_is_shown) {
    static const char *const cases[][2] = {
        {"", ""},
        {"plain text", "plain text"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\033[31mred", "\\u001b[31mred"},
        {"a\nb\tc\r", "a\\u000ab\\u0009c\\u000d"},
        {"\x7f", "\\u007f"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"\x9b"
         "31m",
         "?31m"},
        {"\xff\xfe", "??"},
        {"\xc3", "?"},
        {"\xe2\x82", "??"},
        {"\xc0\x9b", "??"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *safe = text_escape(cases[i][0]);

        ck_assert_str_eq(safe, cases[i][1]);
    }
}
END_TEST

START_TEST(width_counts_characters) {
    ck_assert_int_eq(text_width(""), 0);
    ck_assert_int_eq(text_width("abc"), 3);
    ck_assert_int_eq(text_width("gr\xc3\xbc\xc3\x9f \xe2\x82\xac"), 6);
}
END_TEST

SUITE_MAIN("ctl-text", sizes_are_read, what_is_no_size, sizes_are_written, durations_are_read,
           durations_are_written, times_are_written_in_the_local_zone,
           no_control_character_is_shown, width_counts_characters);
