/*
 * Account: what counts together, and how much of it there may be
 *
 * There is one of the whole daemon, one of each user and each unit that uses something, and one of
 * each namespace of the configuration. What is counted in an account is counted in the one it is
 * part of, too: a namespace may be within another, and all users make up the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/core/rate.h"
#include "daemon/ground/config.h"

enum account_kind { ACCOUNT_TOTAL, ACCOUNT_USER, ACCOUNT_UNIT, ACCOUNT_NAMESPACE };

struct account {
    enum account_kind kind;
    uid_t uid;                   /* of a user */
    const char *name;            /* of a unit or a namespace */
    const struct limits *limits; /* NULL: none */
    struct account *parent;      /* that it is part of; NULL: of none */
    uint64_t used[LIMIT_KIND_COUNT];
    unsigned n_charges; /* that name this account; one of a user or a unit goes with the last */
    struct rate rate;   /* of its requests: what was taken is remembered without a charge, too */
    bool is_idle;       /* that is what it is for, */
    TAILQ_ENTRY(account) idle; /* among others */
};

struct accounts;

int accounts_new(const struct config *config, struct accounts **ret);
void accounts_free(struct accounts *accounts);
DEFINE_CLEANUP(struct accounts *, accounts_free);

/* Limits change, and the namespaces are new: nothing is counted in them yet. -ENOMEM: nothing has
 * changed. */
int accounts_configure(struct accounts *accounts, const struct config *config);

/* Finds an account, or makes one, which lasts until account_settle() finds no charge. NULL: no
 * memory; for a namespace: none covers the name. */
struct account *accounts_get_user(struct accounts *accounts, uid_t uid);
struct account *accounts_get_unit(struct accounts *accounts, const char *unit);
struct account *accounts_find_namespace(const struct accounts *accounts, const char *name);
void account_settle(struct accounts *accounts, struct account *account);

const struct account *accounts_total(const struct accounts *accounts);
/* NULL: nothing is charged to that user. */
const struct account *accounts_find_user(const struct accounts *accounts, uid_t uid);

/* Every account: the daemon's, users by uid, units by name, then namespaces. */
void accounts_each(const struct accounts *accounts,
                   void (*each)(void *data, const struct account *account), void *data);

/* Adds to it, and to all that it is part of; takes it away again. */
void account_add(struct account *account, enum limit_kind kind, uint64_t amount);
void account_subtract(struct account *account, enum limit_kind kind, uint64_t amount);

/* Whether @account is @part or what that is part of. */
bool account_contains(const struct account *account, const struct account *part);

/* LIMIT_NONE for none. */
uint64_t account_limit(const struct account *account, enum limit_kind kind);

#define ACCOUNT_TEXT_MAX 300
/* "user 20001", for the sentence about its limits. */
void account_describe(const struct account *account, char ret[static ACCOUNT_TEXT_MAX]);
