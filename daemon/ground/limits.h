/*
 * What is limited
 *
 * The kinds of things that configuration limits and quotas count, in one table.
 */
#pragma once

#include <stdint.h>

#define LIMIT_KINDS(X)                                                                             \
    X(REGIONS, "regions")         /* regions that exist */                                         \
    X(BYTES, "bytes")             /* the max_size of every segment that is not freed yet */        \
    X(ATTACHMENTS, "attachments") /* descriptors handed out and not given back */                  \
    X(CONNECTIONS, "connections") /* connections of the client and the admin socket */

enum limit_kind {
#define X(name, word) LIMIT_##name,
    LIMIT_KINDS(X)
#undef X
        LIMIT_KIND_COUNT,
};

#define LIMIT_NONE UINT64_MAX

struct limits {
    uint64_t most[LIMIT_KIND_COUNT]; /* LIMIT_NONE where there is no limit */
    uint64_t rate;                   /* requests a second; 0: no limit */
    uint64_t burst;                  /* as many at once; 0: as many as in a second */
};

/* "regions" for LIMIT_REGIONS. */
const char *limit_word(enum limit_kind kind);
