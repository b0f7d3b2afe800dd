/*
 * The grammar of rights, modes and access rules: what is good comes back as it was written, what is
 * bad is refused where it is bad, and the limits hold.
 */
#include "proto/cleanup.h"
#include "proto/rights.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

START_TEST(rights_come_back_as_they_were_written) {
    for (uint32_t rights = 1; rights <= RIGHT_ALL; rights++) {
        char text[RIGHTS_TEXT_MAX];
        uint32_t again = 0;

        rights_format(rights, text);
        ck_assert_int_eq(rights_parse(text, strlen(text), &again), 0);
        ck_assert_uint_eq(again, rights);
    }
}
END_TEST

START_TEST(rights_are_letters_in_any_order_each_once) {
    static const char *const bad[] = {"", "x", "rr", "rwr", "rwmm", "R", "r ", "-", "rwx"};
    uint32_t rights = 0;

    ck_assert_int_eq(rights_parse("mwr", 3, &rights), 0);
    ck_assert_uint_eq(rights, RIGHT_ALL);
    ck_assert_int_eq(rights_parse("rm,", 2, &rights), 0);
    ck_assert_uint_eq(rights, RIGHT_READ | RIGHT_MANAGE);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(rights_parse(bad[i], strlen(bad[i]), &rights) == -EINVAL, "'%s'", bad[i]);
    ck_assert_int_eq(rights_parse("r\0", 2, &rights), -EINVAL);
}
END_TEST

START_TEST(modes_have_r_and_w_only) {
    for (uint32_t mode = 0; mode <= 07777; mode++) {
        char text[MODE_TEXT_MAX];
        uint32_t again = UINT32_MAX;
        int expected = mode & ~0666u ? -EINVAL : 0;

        mode_format(mode, text);
        ck_assert_uint_eq(strlen(text), 4);
        ck_assert_int_eq(mode_check(mode), expected);
        ck_assert_int_eq(mode_parse(text, &again), expected);
        if (expected == 0)
            ck_assert_uint_eq(again, mode);
    }
    ck_assert_int_eq(mode_check(UINT32_MAX), -EINVAL);
}
END_TEST

START_TEST(modes_are_one_to_four_octal_digits) {
    static const char *const bad[] = {"",     "8",    "rw",   "0x6", "00640",
                                      "-640", " 640", "640 ", "06.4"};
    uint32_t mode = 0;

    ck_assert_int_eq(mode_parse("6", &mode), 0);
    ck_assert_uint_eq(mode, 06);
    ck_assert_int_eq(mode_parse("640", &mode), 0);
    ck_assert_uint_eq(mode, 0640);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(mode_parse(bad[i], &mode) == -EINVAL, "'%s'", bad[i]);
}
END_TEST

START_TEST(good_rules) {
    struct access_rule rule;

    ck_assert_int_eq(access_rule_parse("user:alice:rw", 13, &rule), 0);
    ck_assert_int_eq((int)rule.subject, SUBJECT_USER);
    ck_assert_str_eq(rule.name, "alice");
    ck_assert_uint_eq(rule.rights, RIGHT_READ | RIGHT_WRITE);
    ck_assert_int_eq(access_rule_parse("group:20001:m,more", 13, &rule), 0);
    ck_assert_int_eq((int)rule.subject, SUBJECT_GROUP);
    ck_assert_str_eq(rule.name, "20001");
    ck_assert_uint_eq(rule.rights, RIGHT_MANAGE);
    ck_assert_int_eq(access_rule_parse("user:a.b_c@d$-+9:r", 18, &rule), 0);
    ck_assert_int_eq(access_rule_parse("unit:alice/a@*.service:rw", 25, &rule), 0);
    ck_assert_int_eq((int)rule.subject, SUBJECT_UNIT);
    ck_assert_str_eq(rule.name, "alice/a@*.service");
}
END_TEST

START_TEST(bad_rules) {
    static const char *const bad[] = {
        "",         "user",      "user:",      "user:a",      "user::r",         "user:a:",
        "user:a:x", "user:a:rr", "user:a:r:",  "user:a:r:w",  "User:a:r",        "unit:a:r",
        "group",    "group:",    "group:a",    " user:a:r",   "user:a b:r",      "user:a\nb:r",
        "user:*:r", "user:a:r ", "user:a/b:r", "user:\x1b:r", "user:\xc3\xa4:r",
    };
    struct access_rule rule;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(access_rule_parse(bad[i], strlen(bad[i]), &rule) == -EINVAL, "'%s'", bad[i]);
    /* Only the bytes announced count. */
    for (size_t length = 0; length < strlen("user:alice:r"); length++)
        ck_assert_int_eq(access_rule_parse("user:alice:r", length, &rule), -EINVAL);
}
END_TEST

START_TEST(the_subject_of_a_rule_is_shorter_than_its_limit) {
    char text[ACCESS_SUBJECT_MAX + 16];
    struct access_rule rule;
    int length;

    length = snprintf(text, sizeof(text), "user:%0*d:r", ACCESS_SUBJECT_MAX - 1, 7);
    ck_assert_int_eq(access_rule_parse(text, (size_t)length, &rule), 0);
    ck_assert_uint_eq(strlen(rule.name), ACCESS_SUBJECT_MAX - 1);
    length = snprintf(text, sizeof(text), "user:%0*d:r", ACCESS_SUBJECT_MAX, 7);
    ck_assert_int_eq(access_rule_parse(text, (size_t)length, &rule), -EINVAL);
}
END_TEST

START_TEST(lists_of_rules) {
    struct access_rule rules[ACL_RULES_MAX];
    const char *bad = NULL;
    size_t count = 99;

    ck_assert_int_eq(access_rules_parse("", rules, &count, &bad), 0);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(access_rules_parse("user:a:r,group:b:w,user:c:rwm", rules, &count, &bad), 0);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(rules[2].name, "c");
    ck_assert_uint_eq(rules[2].rights, RIGHT_ALL);
}
END_TEST

START_TEST(a_bad_list_says_where) {
    static const struct {
        const char *text;
        size_t at;
    } lists[] = {
        {",", 0},          {",user:a:r", 0},          {"user:a:r,", 8},
        {"user:a:r,,", 9}, {"user:a:r,,user:b:r", 9}, {"user:a:r,user:b:q,user:c:r", 9},
        {"x", 0},          {"user:a:r, user:b:r", 9},
    };

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        struct access_rule rules[ACL_RULES_MAX];
        const char *bad = NULL;
        size_t count;

        ck_assert_int_eq(access_rules_parse(lists[i].text, rules, &count, &bad), -EINVAL);
        ck_assert_ptr_eq(bad, lists[i].text + lists[i].at);
    }
}
END_TEST

/* A list of @count rules of that many bytes each, commas included. */
static char *make_list(size_t count, int width) {
    char *list = malloc(count * (size_t)width + 1), *end = list;

    ck_assert_ptr_nonnull(list);
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "%suser:%0*zu:r", i ? "," : "", width - (i ? 8 : 7), i);
    return list;
}

START_TEST(a_list_has_at_most_64_rules) {
    _cleanup_free_ char *most = make_list(ACL_RULES_MAX, 12);
    _cleanup_free_ char *more = make_list(ACL_RULES_MAX + 1, 12);
    struct access_rule rules[ACL_RULES_MAX];
    const char *bad = NULL;
    size_t count = 0;

    ck_assert_int_eq(access_rules_parse(most, rules, &count, &bad), 0);
    ck_assert_uint_eq(count, ACL_RULES_MAX);
    ck_assert_int_eq(access_rules_parse(more, rules, &count, &bad), -E2BIG);
}
END_TEST

START_TEST(a_list_is_shorter_than_its_limit) {
    _cleanup_free_ char *list = make_list(ACL_RULES_MAX, ACL_TEXT_MAX / ACL_RULES_MAX);
    struct access_rule rules[ACL_RULES_MAX];
    const char *bad = NULL;
    size_t count = 0;

    ck_assert_uint_eq(strlen(list), ACL_TEXT_MAX);
    ck_assert_int_eq(access_rules_parse(list, rules, &count, &bad), -E2BIG);
    memmove(list + 5, list + 6, ACL_TEXT_MAX - 5);
    ck_assert_int_eq(access_rules_parse(list, rules, &count, &bad), 0);
    ck_assert_uint_eq(count, ACL_RULES_MAX);
}
END_TEST

SUITE_MAIN("rights", rights_come_back_as_they_were_written,
           rights_are_letters_in_any_order_each_once, modes_have_r_and_w_only,
           modes_are_one_to_four_octal_digits, good_rules, bad_rules,
           the_subject_of_a_rule_is_shorter_than_its_limit, lists_of_rules, a_bad_list_says_where,
           a_list_has_at_most_64_rules, a_list_is_shorter_than_its_limit);
