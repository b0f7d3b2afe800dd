/*
 * Kept: memory without a name that the service manager keeps for the next daemon
 *
 * Its FD store has so many places, and drops without a word what comes when there is none. So the daemon
 * counts, and what would be dropped is left out knowingly: an operator can see it, and it takes the first
 * place that becomes free.
 */
#pragma once

#include "daemon/core/segment.h"
#include "daemon/ground/fdstore.h"

struct kept {
    unsigned used;
    unsigned n_left_out;
    TAILQ_HEAD(, segment) left_out; /* in the order in which they came */
};

void kept_init(struct kept *kept);

/* A segment that has its descriptor, and from now on a name in the store, if there is room. */
int kept_add(struct segment *segment);
/* Takes what the last daemon left under the segment's name: -ENOENT. */
int kept_take(struct segment *segment, struct fdstore *store);
/* It has another name from now on. */
int kept_rename(struct segment *segment, const char *from);
int kept_remove(struct segment *segment);
/* The segment is about to be freed, and its name in the store stays as it is. */
void kept_forget(struct segment *segment);
