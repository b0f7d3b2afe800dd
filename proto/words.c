/*
 * The words for backings, lifetimes and access: see words.h.
 */
#include "proto/words.h"

#include "proto/cleanup.h"

#include <string.h>

struct word {
    uint32_t number;
    const char *text;
};

#define X(name, number, word) {number, word},
static const struct word backings[] = {BACKINGS(X)};
static const struct word lifetimes[] = {LIFETIMES(X)};
static const struct word durabilities[] = {DURABILITIES(X)};
static const struct word huge_pages_[] = {HUGE_PAGES(X)};
#undef X

const char backing_words[] = "shm, memfd, file";
const char lifetime_words[] = "persistent, attached, owner, lease, cache";
const char durability_words[] = "none, interval, publish";
const char huge_pages_words[] = "2M, 1G";

static const char *to_word(const struct word *words, size_t count, uint32_t number) {
    for (size_t i = 0; i < count; i++)
        if (words[i].number == number)
            return words[i].text;
    return NULL;
}

static uint32_t from_word(const struct word *words, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i].text, text) == 0)
            return words[i].number;
    return 0;
}

const char *backing_to_word(uint32_t backing) {
    return to_word(backings, ARRAY_SIZE(backings), backing);
}

const char *lifetime_to_word(uint32_t lifetime) {
    return to_word(lifetimes, ARRAY_SIZE(lifetimes), lifetime);
}

const char *huge_pages_to_word(uint32_t huge_pages) {
    return to_word(huge_pages_, ARRAY_SIZE(huge_pages_), huge_pages);
}

const char *durability_to_word(uint32_t durability) {
    return to_word(durabilities, ARRAY_SIZE(durabilities), durability);
}

bool backing_can_be_chosen(uint32_t backing) {
    return backing_to_word(backing) && backing != BACKING_ADOPTED;
}

uint32_t backing_from_word(const char *word) {
    return from_word(backings, ARRAY_SIZE(backings), word);
}

uint32_t lifetime_from_word(const char *word) {
    return from_word(lifetimes, ARRAY_SIZE(lifetimes), word);
}

uint32_t durability_from_word(const char *word) {
    return from_word(durabilities, ARRAY_SIZE(durabilities), word);
}

uint32_t huge_pages_from_word(const char *word) {
    return from_word(huge_pages_, ARRAY_SIZE(huge_pages_), word);
}
