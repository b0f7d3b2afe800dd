/*
 * Cache: regions that go when space is wanted
 *
 * A region of lifetime `cache` that nobody is attached to, that nobody stages a version for and whose
 * content nobody is reading is idle. The idle ones stand in order of their last use (create, attach,
 * detach, stage, publish, put, get), and go, the least recently used first, when their charge is in
 * the way of somebody else's (quota.h), when their memory is (no space left on the file system), or
 * when the host is short of memory; as many as it takes, and none if all together were not enough.
 *
 * The time of the last use is also the access time of the segment, so that the next daemon, which
 * finds it there, goes on in the same order. (Adopted memory has an access time of its own: after a
 * restart it counts as used when it was changed last.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/core/quota.h"
#include "proto/error.h"
#include "proto/words.h"

struct manager;
struct region;

struct cache {
    TAILQ_HEAD(, region) idle; /* and some that are staged for or read, which are passed over */
    uint64_t newest;           /* use of all */
};

void cache_init(struct cache *cache);

/* The region was used just now. These four leave regions of other lifetimes alone. */
void cache_used(struct region *region);

/* When its lifetime starts; when it ends. */
void cache_enter(struct region *region);
void cache_leave(struct region *region);

/* When it is loaded: finds out when it was used last. */
void cache_remember(struct region *region);

/* Puts the regions in order, once all are loaded. 0 or -ENOMEM. */
int cache_settle(struct manager *manager, struct error *error);

/* For quota_set_relief(); the data is the manager. */
bool cache_relieve(void *manager, const struct quota_excess *excesses, size_t count,
                   const char *why);

/* After -ENOSPC for a segment of that backing, or with @pages for its content: ends one region that has
 * what is missing. False if there is none. */
bool cache_make_room(struct manager *manager, enum backing backing, bool pages);
