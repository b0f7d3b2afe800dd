/*
 * Access: who may do what to a region
 *
 * A region's owner, the owner of its namespace and administrators have all rights. Anyone else has the union of what the mode
 * and the access rules give him; nothing denies.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/caller.h"
#include "daemon/ground/subject.h"
#include "proto/error.h"
#include "proto/rights.h"

struct access_entry {
    struct subject_id subject;
    uint32_t rights;
};

struct access {
    uid_t owner_uid;
    gid_t owner_gid;
    uid_t namespace_uid; /* the owner of the namespace it is in, NO_UID if there is none */
    uint32_t mode;
    char *acl; /* the rules as they were written, "" for none */
    struct access_entry *entries;
    size_t n_entries;
};

#define NO_UID ((uid_t)-1)

enum access_origin {
    ACCESS_NEW,      /* a name that does not exist is an error */
    ACCESS_RECORDED, /* it has been removed since: the rule gives nobody anything */
};

/*
 * Initialises @ret. @acl is a list as proto/rights.h parses it; its names are looked up now.
 * Returns 0, -EINVAL with the rule that is wrong in @error, or -ENOMEM.
 */
int access_init(struct access *ret, uid_t owner_uid, gid_t owner_gid, uint32_t mode,
                const char *acl, enum access_origin origin, struct error *error);
void access_deinit(struct access *access);

uint32_t access_rights(const struct access *access, const struct caller *caller);

/* 0, or -EACCES with a sentence on which of @rights the caller lacks to the region @name. */
int access_check(const struct access *access, const struct caller *caller, uint32_t rights,
                 const char *name, struct error *error);
