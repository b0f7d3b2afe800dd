/*
 * The words for backings, lifetimes and access
 *
 * The numbers travel on the client socket, the words stand in records, configuration, Varlink
 * replies and on the command line. One table each, so that they cannot drift apart.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the memory of a region is made of. */
#define BACKINGS(X)                                                                                \
    X(SHM, 1, "shm")         /* a POSIX shared-memory object, shm_overview(7) */                   \
    X(MEMFD, 2, "memfd")     /* an anonymous file sealed against resizing, memfd_create(2) */      \
    X(FILE, 3, "file")       /* a file in the state directory */                                   \
    X(ADOPTED, 4, "adopted") /* memory that a client handed over */

/* The rule that ends a region. */
#define LIFETIMES(X)                                                                               \
    X(PERSISTENT, 1, "persistent") /* until destroyed */                                           \
    X(ATTACHED, 2, "attached")     /* until some seconds after its last attachment ends */         \
    X(OWNER, 3, "owner")           /* until the process that created it exits */                   \
    X(LEASE, 4, "lease")           /* until it is not renewed in time */                           \
    X(CACHE, 5, "cache")           /* until space is wanted that nobody attached to it uses */

/* When the content of a file region is on disk. */
#define DURABILITIES(X)                                                                            \
    X(NONE, 1, "none")         /* whenever the kernel comes to it */                               \
    X(INTERVAL, 2, "interval") /* some seconds after a change, at the latest */                    \
    X(PUBLISH, 3, "publish")   /* a version is on disk before it is visible */

/* Huge pages that memory can be made of; 0 is for none. */
#define HUGE_PAGES(X)                                                                              \
    X(2M, 1, "2M") /* MFD_HUGE_2MB of memfd_create(2) */                                           \
    X(1G, 2, "1G") /* MFD_HUGE_1GB */

enum huge_pages {
#define X(name, number, word) HUGE_PAGES_##name = number,
    HUGE_PAGES(X)
#undef X
};

enum durability {
#define X(name, number, word) DURABILITY_##name = number,
    DURABILITIES(X)
#undef X
};

enum backing {
#define X(name, number, word) BACKING_##name = number,
    BACKINGS(X)
#undef X
};

enum lifetime {
#define X(name, number, word) LIFETIME_##name = number,
    LIFETIMES(X)
#undef X
};

/* The word for a number, or NULL for a number that is none. */
const char *backing_to_word(uint32_t backing);
const char *lifetime_to_word(uint32_t lifetime);
const char *huge_pages_to_word(uint32_t huge_pages);
const char *durability_to_word(uint32_t durability);

/* The number for a word, or 0 for a word that is none. */
uint32_t backing_from_word(const char *word);
uint32_t lifetime_from_word(const char *word);
uint32_t huge_pages_from_word(const char *word);
uint32_t durability_from_word(const char *word);

/* Whether a region can be created with it: an adopted one is not created. */
bool backing_can_be_chosen(uint32_t backing);

/* All the words that can be chosen, as a sentence offers them: "shm, memfd, file". */
extern const char backing_words[];
extern const char lifetime_words[];
extern const char huge_pages_words[];
extern const char durability_words[];
