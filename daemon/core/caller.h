/*
 * Caller: who asks
 *
 * The credentials of the process behind a connection, read once when it connected (SO_PEERCRED and
 * SO_PEERGROUPS, unix(7)), and the units it belonged to then: what it does to its uid or its
 * control group later changes nothing here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/core/quota.h"
#include "daemon/ground/subject.h"
#include "daemon/ground/unit.h"

struct caller {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    gid_t *groups; /* supplementary */
    size_t n_groups;
    struct units units;
    bool administrator; /* root, the daemon's own user, or in the admin group */
};

/* Frees what @caller points to. */
void caller_deinit(struct caller *caller);

bool caller_in_group(const struct caller *caller, gid_t gid);

/* Whether a rule for @subject is about this caller. */
bool caller_is(const struct caller *caller, const struct subject_id *subject);

/* The unit it belongs to, the user's own before the system's; NULL for none. */
static inline const char *caller_unit(const struct caller *caller) {
    return caller->units.user ? caller->units.user : caller->units.system;
}

/* Who pays for what the caller does, to the region @name if it is about one. */
struct payer caller_payer(const struct caller *caller, const char *name);
