/*
 * Namespace: what configuration says about the names below a prefix
 *
 * "feed" is about feed/prices and feed/eu/prices, "*" about every name. Of all that cover a name, the
 * longest counts, alone; but the limits of all of them hold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/ground/limits.h"
#include "daemon/ground/subject.h"
#include "proto/words.h"

#define NAMESPACE_EVERYTHING "*"

struct namespace {
    char *prefix;
    bool has_owner;
    uid_t owner;
    bool anyone; /* may create below it */
    struct subject_id *creators;
    size_t n_creators;

    /* What a region is that does not say so itself. */
    bool has_mode;
    uint32_t mode;
    char *acl;              /* NULL: not set */
    enum backing backing;   /* 0: not set */
    enum lifetime lifetime; /* 0: not set */
    uint32_t seconds;

    struct limits *limits; /* of all that is below it; NULL: none */
};

/* Whether the name is in it. */
bool namespace_covers(const struct namespace *namespace, const char *name);
/* The one of them that counts for the name, or NULL. */
const struct namespace *namespace_find(const struct namespace *namespaces, size_t count,
                                       const char *name);
/* The next shorter one that covers all of @inner, or NULL. */
const struct namespace *namespace_around(const struct namespace *namespaces, size_t count,
                                         const struct namespace *inner);
void namespace_deinit(struct namespace *namespace);
