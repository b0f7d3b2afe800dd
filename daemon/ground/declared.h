/*
 * Declared region: what a file in regions.d says that a region shall be
 *
 * One JSON object for each file, checked with the rest of the configuration. What is made of it is
 * the core's business.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/error.h"
#include "proto/words.h"

struct config;

#define DECLARED_KEYS(X)                                                                           \
    X(NAME, "name")                                                                                \
    X(OWNER, "owner")                                                                              \
    X(GROUP, "group")                                                                              \
    X(MODE, "mode")                                                                                \
    X(ACL, "acl")                                                                                  \
    X(ATTRIBUTES, "attributes")                                                                    \
    X(BACKING, "backing")                                                                          \
    X(SIZE, "size")                                                                                \
    X(MAX_SIZE, "max_size")                                                                        \
    X(HUGE_PAGES, "huge_pages")                                                                    \
    X(SYNC_BLOCK, "sync_block")                                                                    \
    X(LIFETIME, "lifetime")                                                                        \
    X(SECONDS, "seconds")                                                                          \
    X(DURABILITY, "durability")                                                                    \
    X(DURABILITY_SECONDS, "durability_seconds")                                                    \
    X(CONTENT, "content")

enum declared_key {
#define X(name, word) DECLARED_##name,
    DECLARED_KEYS(X)
#undef X
        DECLARED_KEY_COUNT
};

struct declared {
    char *file;
    unsigned lines[DECLARED_KEY_COUNT]; /* of each key; 0 for one that is not there */
    json_t *keys;                       /* as they are written */

    char *name;
    uid_t owner;
    gid_t group;
    bool has_owner, has_group, has_mode;
    uint32_t mode;
    char *acl;        /* NULL: not given */
    char *attributes; /* NULL: not given */
    enum backing backing;
    uint64_t size, max_size; /* 0: not given */
    enum huge_pages huge_pages;
    bool sync_block;
    enum lifetime lifetime;
    uint32_t seconds;
    enum durability durability;
    uint32_t durability_seconds;
    char *content; /* the path of a file; NULL: none */
};

const char *declared_key_word(enum declared_key key);

/* Adds what one file declares, which is nothing if its text is empty. Returns 0, or -EINVAL with
 * "FILE:LINE: KEY: what is wrong". */
int declared_parse(struct config *config, const char *file, const char *text, struct error *error);

/* Puts all that are declared in order of name; -EINVAL if a name is declared twice. */
int declared_settle(struct config *config, struct error *error);

/* After that: the declaration of that name, or NULL. */
const struct declared *declared_find(const struct config *config, const char *name);

void declared_deinit(struct declared *declared);
