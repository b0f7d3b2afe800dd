/*
 * UTF-8: what is a character, what orders a terminal about, and what is left of one that was cut.
 */
#include "proto/utf8.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/unit/suite.h"

#include <string.h>

START_TEST(characters_and_what_only_looks_like_them) {
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\x1b", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},
        {"\xc0\xaf", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xc3", 0},
        {"\xe2\x82", 0},
        {"\xf0\x9f\x98", 0},
        {"\xc3x", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        ck_assert_msg(utf8_length(cases[i].text) == cases[i].length, "case %zu", i);
}
END_TEST

START_TEST(control_characters_of_both_blocks) {
    ck_assert_int_eq(utf8_control("\x1b"), 0x1b);
    ck_assert_int_eq(utf8_control("\n"), '\n');
    ck_assert_int_eq(utf8_control("\x7f"), 0x7f);
    ck_assert_int_eq(utf8_control("\xc2\x80"), 0x80);
    ck_assert_int_eq(utf8_control("\xc2\x9b"), 0x9b);
    ck_assert_int_eq(utf8_control("\xc2\xa0"), -1);
    ck_assert_int_eq(utf8_control("\xc2"), -1);
    ck_assert_int_eq(utf8_control(" "), -1);
    ck_assert_int_eq(utf8_control("\xe2\x82\xac"), -1);
}
END_TEST

START_TEST(a_cut_character_goes_and_a_whole_one_stays) {
    static const char *const whole[] = {"", "a", "\xc3\xa9", "x\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    static const char *const cut[] = {"a\xc3", "a\xe2\x82", "a\xe2", "a\xf0\x9f\x98", "a\xf0"};
    char text[16];

    for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
        strcpy(text, whole[i]);
        utf8_trim(text);
        ck_assert_str_eq(text, whole[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
        strcpy(text, cut[i]);
        utf8_trim(text);
        ck_assert_str_eq(text, "a");
    }
}
END_TEST

/* Whatever its offset: a sentence travels as JSON, which takes only whole characters. */
START_TEST(a_sentence_is_cut_between_characters) {
    char text[ERROR_TEXT_MAX * 2 + 1];
    struct error error;

    for (size_t i = 0; i < ERROR_TEXT_MAX; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 3);
    for (int blanks = 0; blanks < 2; blanks++) {
        error_set(&error, -1, "%*s%s", blanks, "", text);
        ck_assert_uint_ge(strlen(error.text), ERROR_TEXT_MAX - 2);
        ck_assert_uint_eq(utf8_length(error.text + strlen(error.text) - 2), 2);
    }
}
END_TEST

SUITE_MAIN("utf8", characters_and_what_only_looks_like_them, control_characters_of_both_blocks,
           a_cut_character_goes_and_a_whole_one_stays, a_sentence_is_cut_between_characters);
