/*
 * Quota: see quota.h.
 */
#include "daemon/core/quota.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

struct quota {
    const struct config *config;
    uint64_t used[LIMIT_KIND_COUNT];
    struct quota_relief relief;
    void *users; /* tsearch(3) tree of struct quota_user by uid */
};

/* Exists while something is charged to the user. */
struct quota_user {
    struct quota *quota;
    uid_t uid;
    uint64_t used[LIMIT_KIND_COUNT];
};

static int compare_users(const void *a, const void *b) {
    uid_t x = ((const struct quota_user *)a)->uid, y = ((const struct quota_user *)b)->uid;

    return (x > y) - (x < y);
}

int quota_new(const struct config *config, struct quota **ret) {
    struct quota *quota = calloc(1, sizeof(*quota));

    if (!quota)
        return -ENOMEM;
    quota->config = config;
    *ret = quota;
    return 0;
}

void quota_free(struct quota *quota) {
    free(quota);
}

void quota_configure(struct quota *quota, const struct config *config) {
    quota->config = config;
}

static struct quota_user *find_user(const struct quota *quota, uid_t uid) {
    struct quota_user **node =
        tfind(&(struct quota_user){.uid = uid}, &quota->users, compare_users);

    return node ? *node : NULL;
}

static struct quota_user *get_user(struct quota *quota, uid_t uid) {
    struct quota_user *user = find_user(quota, uid);

    if (user)
        return user;
    user = calloc(1, sizeof(*user));
    if (!user)
        return NULL;
    user->quota = quota;
    user->uid = uid;
    if (!tsearch(user, &quota->users, compare_users)) {
        free(user);
        return NULL;
    }
    return user;
}

static void forget_idle_user(struct quota_user *user) {
    for (unsigned i = 0; i < LIMIT_KIND_COUNT; i++)
        if (user->used[i] > 0)
            return;
    tdelete(user, &user->quota->users, compare_users);
    free(user);
}

static bool exceeds(uint64_t used, uint64_t more, uint64_t limit) {
    return limit != LIMIT_NONE && (used > limit || more > limit - used);
}

static int check_limits(const struct quota *quota, uid_t uid, enum limit_kind kind, uint64_t amount,
                        struct error *error) {
    uint64_t user_limit = config_user_limits(quota->config, uid)->most[kind];
    uint64_t total_limit = quota->config->total.most[kind];
    uint64_t used = quota_used_by(quota, uid, kind);

    if (exceeds(used, amount, user_limit))
        return error_set(error, -EDQUOT,
                         "limit on %s of user %u: %llu of %llu in use, %llu more asked for",
                         limit_word(kind), uid, (unsigned long long)used,
                         (unsigned long long)user_limit, (unsigned long long)amount);
    if (exceeds(quota->used[kind], amount, total_limit))
        return error_set(
            error, -ENOSPC,
            "limit on %s of all users together: %llu of %llu in use, %llu more asked for",
            limit_word(kind), (unsigned long long)quota->used[kind],
            (unsigned long long)total_limit, (unsigned long long)amount);
    return 0;
}

/* The limits in the way. False if the amount would not fit even if nothing else was charged. */
static bool find_excesses(const struct quota *quota, uid_t uid, enum limit_kind kind,
                          uint64_t amount, struct quota_excess ret[static QUOTA_EXCESSES_MAX],
                          size_t *ret_count) {
    const struct quota_user *user = find_user(quota, uid);
    const struct {
        const struct quota_user *user;
        uint64_t used, limit;
    } accounts[QUOTA_EXCESSES_MAX] = {
        {user, user ? user->used[kind] : 0, config_user_limits(quota->config, uid)->most[kind]},
        {NULL, quota->used[kind], quota->config->total.most[kind]},
    };

    *ret_count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
        uint64_t used = accounts[i].used, limit = accounts[i].limit;

        if (!exceeds(used, amount, limit))
            continue;
        if (amount > limit)
            return false;
        ret[(*ret_count)++] = (struct quota_excess){
            .user = accounts[i].user,
            .kind = kind,
            .amount = used - (limit - amount),
        };
    }
    return *ret_count > 0;
}

static bool find_relief(struct quota *quota, uid_t uid, enum limit_kind kind, uint64_t amount,
                        const char *why) {
    struct quota_excess excesses[QUOTA_EXCESSES_MAX];
    size_t count;

    return quota->relief.relieve && find_excesses(quota, uid, kind, amount, excesses, &count) &&
           quota->relief.relieve(quota->relief.data, excesses, count, why);
}

void quota_set_relief(struct quota *quota, const struct quota_relief *relief) {
    quota->relief = *relief;
}

uint64_t charge_relieves(const struct charge *charge, const struct quota_excess *excess) {
    bool counts = charge->user && charge->kind == excess->kind &&
                  (!excess->user || excess->user == charge->user);

    return counts ? charge->amount : 0;
}

int quota_charge_existing(struct quota *quota, uid_t uid, enum limit_kind kind, uint64_t amount,
                          struct charge *ret) {
    struct quota_user *user = get_user(quota, uid);

    if (!user)
        return -ENOMEM;
    user->used[kind] += amount;
    quota->used[kind] += amount;
    *ret = (struct charge){.user = user, .kind = kind, .amount = amount};
    return 0;
}

int quota_charge(struct quota *quota, uid_t uid, enum limit_kind kind, uint64_t amount,
                 struct charge *ret, struct error *error) {
    struct error refusal;
    int r = check_limits(quota, uid, kind, amount, &refusal);

    if (r < 0 && find_relief(quota, uid, kind, amount, refusal.text))
        r = check_limits(quota, uid, kind, amount, &refusal);
    if (r < 0)
        return error_set(error, r, "%s", refusal.text);
    r = quota_charge_existing(quota, uid, kind, amount, ret);
    return r < 0 ? error_set(error, r, "no memory to account for user %u", uid) : 0;
}

void charge_release(struct charge *charge) {
    struct quota_user *user = charge->user;

    if (!user)
        return;
    charge->user = NULL;
    user->used[charge->kind] -= charge->amount;
    user->quota->used[charge->kind] -= charge->amount;
    forget_idle_user(user);
}

uint64_t quota_used(const struct quota *quota, enum limit_kind kind) {
    return quota->used[kind];
}

uint64_t quota_used_by(const struct quota *quota, uid_t uid, enum limit_kind kind) {
    const struct quota_user *user = find_user(quota, uid);

    return user ? user->used[kind] : 0;
}

uint64_t quota_limit(const struct quota *quota, enum limit_kind kind) {
    return quota->config->total.most[kind];
}
