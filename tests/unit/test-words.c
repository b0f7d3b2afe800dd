/*
 * The words for backings, lifetimes and huge pages: numbers and words lead to each other, and the
 * sentence that offers them has all that can be chosen.
 */
#include "proto/words.h"
#include "tests/unit/suite.h"

#include <string.h>

START_TEST(backings) {
#define X(name, number, word)                                                                      \
    ck_assert_str_eq(backing_to_word(number), word);                                               \
    ck_assert_uint_eq(backing_from_word(word), number);                                            \
    ck_assert(backing_can_be_chosen(number) == (strstr(backing_words, word) != NULL));
    BACKINGS(X)
#undef X
    ck_assert(!backing_can_be_chosen(0));
    ck_assert(!backing_can_be_chosen(BACKING_ADOPTED));
    ck_assert_ptr_null(backing_to_word(0));
    ck_assert_ptr_null(backing_to_word(5));
    ck_assert_ptr_null(backing_to_word(UINT32_MAX));
    ck_assert_uint_eq(backing_from_word(""), 0);
    ck_assert_uint_eq(backing_from_word("SHM"), 0);
    ck_assert_uint_eq(backing_from_word("shm "), 0);
}
END_TEST

START_TEST(lifetimes) {
#define X(name, number, word)                                                                      \
    ck_assert_str_eq(lifetime_to_word(number), word);                                              \
    ck_assert_uint_eq(lifetime_from_word(word), number);                                           \
    ck_assert_ptr_nonnull(strstr(lifetime_words, word));
    LIFETIMES(X)
#undef X
    ck_assert_ptr_null(lifetime_to_word(0));
    ck_assert_ptr_null(lifetime_to_word(6));
    ck_assert_uint_eq(lifetime_from_word("forever"), 0);
    ck_assert_uint_eq(lifetime_from_word("leas"), 0);
}
END_TEST

START_TEST(huge_pages) {
#define X(name, number, word)                                                                      \
    ck_assert_str_eq(huge_pages_to_word(number), word);                                            \
    ck_assert_uint_eq(huge_pages_from_word(word), number);                                         \
    ck_assert_ptr_nonnull(strstr(huge_pages_words, word));
    HUGE_PAGES(X)
#undef X
    ck_assert_ptr_null(huge_pages_to_word(0));
    ck_assert_ptr_null(huge_pages_to_word(3));
    ck_assert_uint_eq(huge_pages_from_word("2m"), 0);
    ck_assert_uint_eq(huge_pages_from_word(""), 0);
}
END_TEST

SUITE_MAIN("words", backings, lifetimes, huge_pages);
