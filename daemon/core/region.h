/*
 * Region: a name with an owner, rights, a lifetime, attributes and a current version
 *
 * Kept by references: one of the manager while the name exists, one of each attachment.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/core/access.h"
#include "daemon/core/client.h"
#include "daemon/core/process.h"
#include "daemon/core/quota.h"
#include "daemon/core/segment.h"

/* Which request made it, so that the same request sent again after a restart is answered as done.
 */
struct request_tag {
    uint64_t client_id;
    uint32_t serial;
};

struct region {
    struct manager *manager;
    unsigned references;
    char *name;
    uint64_t id;
    struct access access;
    char *attributes; /* JSON object */
    enum lifetime lifetime;
    uint32_t seconds;  /* linger of `attached`, duration of `lease` */
    uint64_t deadline; /* CLOCK_BOOTTIME, microseconds; 0: no clock is running */
    int64_t created_usec, changed_usec;
    pid_t creator_pid;  /* for the log; 0 after a restart */
    char *creator_unit; /* until the log knows of it; or NULL */
    struct request_tag tag;
    uint32_t slot;                          /* of the status page, */
    uint32_t slot_version;                  /* and what it says since the last change */
    struct segment *segment;                /* the current version; NULL once it has ended */
    struct segment *sync_block;             /* NULL for a region without; see sync-block.h */
    struct charge *charge;                  /* one region; NULL once it has ended */
    struct process_identity owner_identity; /* lifetime `owner`: the process it depends on, */
    struct process_watch owner;             /* and the watch on it */
    struct event *timer;                    /* while a deadline runs */
    struct disk_wait *reaping;              /* it ends when the disk answers */
    LIST_HEAD(, attachment) attachments;
    unsigned readers, writers;
    unsigned stages;    /* that may become its next version */
    uint64_t used_usec; /* lifetime `cache`: last use, 0 before the first; see cache.h */
    bool idle;          /* and it is in the list of those that may go */
    TAILQ_ENTRY(region) idle_link;
    enum durability durability;
    uint32_t durability_seconds; /* of `interval`, for which the rest is, too */
    struct event *sync_timer;    /* NULL before the first change */
    bool unsynced, syncing;      /* there may be something to sync; it is being synced */
    char *declared; /* the declaration applied last, a JSON object; NULL: none ever was */
    char *loaded;   /* which content of the declared file it had; NULL: none */
    bool ended;     /* destroyed or reaped: only attachments keep it */
};

struct region *region_ref(struct region *region);
void region_unref(struct region *region);
DEFINE_CLEANUP(struct region *, region_unref);

/* Whether all of a memfd or adopted region is with the service manager, for the next daemon. */
bool region_is_kept(const struct region *region);

/* Whole seconds until lease or linger end, rounded up; UINT32_MAX when no clock is running. */
uint32_t region_remaining_seconds(const struct region *region);
