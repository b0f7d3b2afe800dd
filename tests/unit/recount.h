/*
 * Recount: every account of a quota against a count of all that is there
 *
 * Regions, their versions and sync blocks, stages, attachments and connections are found one by one.
 * What a region takes is charged to whoever made it, or was given it; a version that is not its
 * current one any more, to whoever had the region when it was. No charge and no record is asked for it.
 */
#pragma once

#include "daemon/core/manager.h"

#define MAKERS_MAX 32768

/* Who made what has the id, a region or a stage, or has it now. */
struct maker {
    uint64_t id;
    uint32_t version; /* of the region; 0: itself */
    uid_t uid;
    const char *unit;
};

struct makers {
    uid_t uid; /* who has acted since the last count, and made what is new */
    const char *unit;
    struct maker made[MAKERS_MAX];
    size_t count;
};

/* Fails unless every account is what there is, and what there is has its accounts. */
void recount_check(struct manager *manager, struct makers *makers);

/* The region of that id has another owner. */
void recount_give(struct makers *makers, uint64_t id, uid_t uid);

/* After a restart of the daemon, old versions are those of the region's owner. */
void recount_restart(struct makers *makers);
