/*
 * The grammar of region names: every byte at every kind of place, and the limits.
 */
#include "proto/cleanup.h"
#include "proto/region-name.h"
#include "tests/unit/suite.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char starting[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
static const char continuing[] = ".@:+-";

START_TEST(good_names) {
    static const char *const names[] = {
        "a",     "_",   "0",   "feed/prices", "a/b/c",         "A.b@c:d+e-f",
        "a../b", "a--", "a:b", "__/__",       "model-v1.2/w0",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        ck_assert_msg(!region_name_fault(names[i]), "%s: %s", names[i],
                      region_name_fault(names[i]));
}
END_TEST

START_TEST(bad_names) {
    static const char *const names[] = {
        "",   "/",    "/a",   "a/",   "a//b", ".",        "..",        ".a",   "a/..",    "a/.b",
        "-a", "a/-b", "@",    ":a",   "+a",   "a b",      "a\tb",      "a\nb", "a\x1b[m", "a\x7f",
        "a*", "a?b",  "a\\b", "a\"b", "a'b",  "a,b",      "a;b",       "a$b",  "a%b",     "a=b",
        "a~", "a#b",  "a&b",  "a|b",  "a<b",  "a>b",      "a(b)",      "a[b]", "a{b}",    "a!b",
        " a", "a ",   "a/ b", "a^b",  "a`b",  "\xc3\xa4", "a\xc3\xa4", "a/",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        ck_assert_msg(region_name_fault(names[i]), "'%s' is taken for a name", names[i]);
}
END_TEST

START_TEST(every_byte_at_every_place) {
    for (int byte = 1; byte < 256; byte++) {
        bool starts = strchr(starting, byte), continues = starts || strchr(continuing, byte);
        char alone[] = {(char)byte, '\0'};
        char first[] = {'a', '/', (char)byte, 'z', '\0'};
        char later[] = {'a', (char)byte, 'z', '\0'};

        ck_assert_msg(starts == !region_name_fault(alone), "byte %d alone", byte);
        ck_assert_msg(starts == !region_name_fault(first), "byte %d starts a component", byte);
        ck_assert_msg((continues || byte == '/') == !region_name_fault(later), "byte %d", byte);
    }
}
END_TEST

START_TEST(a_name_has_at_most_200_bytes) {
    char name[REGION_NAME_MAX + 2];

    memset(name, 'n', sizeof(name));
    name[REGION_NAME_MAX] = '\0';
    ck_assert_ptr_null(region_name_fault(name));
    name[REGION_NAME_MAX] = 'n';
    name[REGION_NAME_MAX + 1] = '\0';
    ck_assert_ptr_nonnull(strstr(region_name_fault(name), "200 bytes"));
}
END_TEST

START_TEST(the_fault_is_the_one_that_the_name_has) {
    ck_assert_ptr_nonnull(strstr(region_name_fault(""), "empty"));
    ck_assert_ptr_nonnull(strstr(region_name_fault("a//b"), "empty component"));
    ck_assert_ptr_nonnull(strstr(region_name_fault("a/.b"), "starts with"));
    ck_assert_ptr_nonnull(strstr(region_name_fault("a b"), "is made of"));
    ck_assert_ptr_nonnull(strstr(region_name_fault("a/"), "end with"));
}
END_TEST

SUITE_MAIN("region-name", good_names, bad_names, every_byte_at_every_place,
           a_name_has_at_most_200_bytes, the_fault_is_the_one_that_the_name_has);
