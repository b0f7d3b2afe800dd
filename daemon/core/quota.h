/*
 * Quota: who uses how much
 *
 * Every use of something limited is a charge: an object that belongs to whatever uses it and is
 * released exactly once, when that goes. A charge counts in every account that it concerns, or in
 * none: those of the user, of his unit, of the namespaces that the region's name is in, and of the
 * whole daemon.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/account.h"
#include "daemon/ground/config.h"
#include "proto/error.h"

struct quota;
struct charge;

/* Whom a use is charged to. */
struct payer {
    uid_t uid;
    const char *unit; /* as units_of_process() calls it; NULL for none */
    const char *name; /* of the region; NULL: it is not about one */
};

/* One limit in the way of a charge, and how much has to be given back first to stay under it. */
struct quota_excess {
    const struct account *account; /* whose limit it is */
    enum limit_kind kind;
    uint64_t amount;
};

#define QUOTA_EXCESSES_MAX 16

/* Asked before a charge is refused: gives back enough for all the excesses and returns true, or gives
 * nothing back. @why says which limit. It may release charges, and make none. */
struct quota_relief {
    bool (*relieve)(void *data, const struct quota_excess *excesses, size_t count, const char *why);
    void *data;
};

int quota_new(const struct config *config, struct quota **ret);
/* Every charge must have been released. */
void quota_free(struct quota *quota);

/* Limits change from now on; what is in use above a new limit stays in use, and counts in the
 * namespaces that there are now. -ENOMEM: nothing has changed. */
int quota_configure(struct quota *quota, const struct config *config);

void quota_set_relief(struct quota *quota, const struct quota_relief *relief);

/* How much less there is of the excess when the charge is released. */
uint64_t charge_relieves(const struct charge *charge, const struct quota_excess *excess);

/*
 * Charges @amount. Returns 0; -ENOSPC when a limit of the whole daemon, -EDQUOT when any other is
 * reached, with the limit named in @error; -ENOMEM.
 */
int quota_charge(struct quota *quota, const struct payer *payer, enum limit_kind kind,
                 uint64_t amount, struct charge **ret, struct error *error);

/* Charges to another what @old is charged, for one of the two to be released soon. Until then both
 * count; no limit is in the way that they have in common. */
int quota_charge_instead(const struct charge *old, const struct payer *payer, struct charge **ret,
                         struct error *error);

/* As quota_charge(), but never refused for a limit: for what exists already when the daemon starts.
 */
int quota_charge_existing(struct quota *quota, const struct payer *payer, enum limit_kind kind,
                          uint64_t amount, struct charge **ret);

/* Gives the charge back; NULL is none. */
void charge_release(struct charge *charge);
DEFINE_CLEANUP(struct charge *, charge_release);

/*
 * Counts a request that comes by the connection of the charge. Returns 0; -EDQUOT or -ENOSPC, as
 * quota_charge(), when there have been too many lately: then it is not counted. With @always it is
 * counted, and never refused.
 */
int charge_request(const struct charge *connection, bool always, struct error *error);

/* Whether both are charged to the same. */
bool charge_has_payer_of(const struct charge *charge, const struct charge *other);

/* Whom it is charged to; the texts are the charge's. */
struct payer charge_payer(const struct charge *charge);
uint64_t charge_amount(const struct charge *charge);

const struct accounts *quota_accounts(const struct quota *quota);
uint64_t quota_used(const struct quota *quota, enum limit_kind kind);
uint64_t quota_used_by(const struct quota *quota, uid_t uid, enum limit_kind kind);
