/*
 * Quota: see quota.h.
 */
#include "daemon/core/quota.h"

#include "daemon/core/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct quota {
    struct accounts *accounts;
    struct quota_relief relief;
    LIST_HEAD(, charge) charges;
};

/* The accounts that a charge names; it counts in those that they are part of, too. */
enum { OF_NAMESPACE, OF_UNIT, OF_USER, OF_COUNT };

struct charge {
    struct quota *quota;
    LIST_ENTRY(charge) link;
    struct account *account[OF_COUNT]; /* NULL: none of that sort */
    enum limit_kind kind;
    uint64_t amount;
    char name[]; /* of the region, "" for none: a reload may put it into another namespace */
};

int quota_new(const struct config *config, struct quota **ret) {
    struct quota *quota = calloc(1, sizeof(*quota));

    if (!quota)
        return -ENOMEM;
    LIST_INIT(&quota->charges);
    if (accounts_new(config, &quota->accounts) < 0) {
        free(quota);
        return -ENOMEM;
    }
    *ret = quota;
    return 0;
}

void quota_free(struct quota *quota) {
    accounts_free(quota->accounts);
    free(quota);
}

static struct account *find_namespace(const struct charge *charge) {
    return *charge->name ? accounts_find_namespace(charge->quota->accounts, charge->name) : NULL;
}

int quota_configure(struct quota *quota, const struct config *config) {
    struct charge *charge;
    int r = accounts_configure(quota->accounts, config);

    if (r < 0)
        return r;
    LIST_FOREACH (charge, &quota->charges, link) {
        charge->account[OF_NAMESPACE] = find_namespace(charge);
        if (!charge->account[OF_NAMESPACE])
            continue;
        charge->account[OF_NAMESPACE]->n_charges++;
        account_add(charge->account[OF_NAMESPACE], charge->kind, charge->amount);
    }
    return 0;
}

/* Of nothing yet. */
static int charge_new(struct quota *quota, const struct payer *payer, enum limit_kind kind,
                      struct charge **ret) {
    const char *name = payer->name ? payer->name : "";
    size_t room = strlen(name) + 1;
    _cleanup_(cleanup_charge_release) struct charge *charge = malloc(sizeof(*charge) + room);

    if (!charge)
        return -ENOMEM;
    *charge = (struct charge){.quota = quota, .kind = kind};
    memcpy(charge->name, name, room);
    LIST_INSERT_HEAD(&quota->charges, charge, link);
    charge->account[OF_USER] = accounts_get_user(quota->accounts, payer->uid);
    if (payer->unit)
        charge->account[OF_UNIT] = accounts_get_unit(quota->accounts, payer->unit);
    charge->account[OF_NAMESPACE] = find_namespace(charge);
    for (unsigned i = 0; i < OF_COUNT; i++)
        if (charge->account[i])
            charge->account[i]->n_charges++;
    if (!charge->account[OF_USER] || (payer->unit && !charge->account[OF_UNIT]))
        return -ENOMEM;
    *ret = steal_pointer(charge);
    return 0;
}

static void add(struct charge *charge, uint64_t amount) {
    charge->amount = amount;
    for (unsigned i = 0; i < OF_COUNT; i++)
        account_add(charge->account[i], charge->kind, amount);
}

void charge_release(struct charge *charge) {
    if (!charge)
        return;
    LIST_REMOVE(charge, link);
    for (unsigned i = 0; i < OF_COUNT; i++) {
        struct account *account = charge->account[i];

        if (!account)
            continue;
        account_subtract(account, charge->kind, charge->amount);
        account->n_charges--;
        account_settle(charge->quota->accounts, account);
    }
    free(charge);
}

static bool exceeds(uint64_t used, uint64_t more, uint64_t limit) {
    return limit != LIMIT_NONE && (used > limit || more > limit - used);
}

static bool counts_in(const struct charge *charge, const struct account *account) {
    for (unsigned i = 0; i < OF_COUNT; i++)
        if (account_contains(account, charge->account[i]))
            return true;
    return false;
}

/* The limits in the way of @more, most important first; QUOTA_EXCESSES_MAX at most. Where @instead,
 * if there is one, counts, it makes room itself. */
static size_t find_excesses(const struct charge *charge, uint64_t more,
                            const struct charge *instead,
                            struct quota_excess ret[static QUOTA_EXCESSES_MAX]) {
    const struct account *account;
    size_t count = 0;

    for (unsigned i = 0; i < OF_COUNT; i++)
        for (account = charge->account[i]; account; account = account->parent) {
            uint64_t used = account->used[charge->kind];
            uint64_t limit = account_limit(account, charge->kind);

            if (!exceeds(used, more, limit) || count == QUOTA_EXCESSES_MAX ||
                (instead && counts_in(instead, account)))
                continue;
            ret[count++] = (struct quota_excess){
                .account = account,
                .kind = charge->kind,
                .amount = more > limit ? UINT64_MAX : used - (limit - more),
            };
        }
    return count;
}

static int code_of(const struct account *full) {
    return full->kind == ACCOUNT_TOTAL ? -ENOSPC : -EDQUOT;
}

static int refusal(const struct quota_excess *excess, uint64_t more, struct error *error) {
    const struct account *full = excess->account;
    char text[ACCOUNT_TEXT_MAX];

    account_describe(full, text);
    return error_set(
        error, code_of(full), "limit on %s of %s: %llu of %llu in use, %llu more asked for",
        limit_word(excess->kind), text, (unsigned long long)full->used[excess->kind],
        (unsigned long long)account_limit(full, excess->kind), (unsigned long long)more);
}

/* Whether something was given back for it. */
static bool find_relief(const struct quota *quota, const struct quota_excess *excesses,
                        size_t count, const char *why) {
    for (size_t i = 0; i < count; i++)
        if (excesses[i].amount == UINT64_MAX)
            return false;
    return quota->relief.relieve && count < QUOTA_EXCESSES_MAX &&
           quota->relief.relieve(quota->relief.data, excesses, count, why);
}

/* 0 if there is room for @more, perhaps by now. */
static int make_room(const struct charge *charge, uint64_t more, const struct charge *instead,
                     struct error *error) {
    struct quota_excess excesses[QUOTA_EXCESSES_MAX];
    size_t count = find_excesses(charge, more, instead, excesses);
    struct error why;
    int r;

    if (count == 0)
        return 0;
    r = refusal(&excesses[0], more, &why);
    if (find_relief(charge->quota, excesses, count, why.text)) {
        count = find_excesses(charge, more, instead, excesses);
        if (count == 0)
            return 0;
        r = refusal(&excesses[0], more, &why);
    }
    return error_set(error, r, "%s", why.text);
}

int quota_charge_existing(struct quota *quota, const struct payer *payer, enum limit_kind kind,
                          uint64_t amount, struct charge **ret) {
    int r = charge_new(quota, payer, kind, ret);

    if (r == 0)
        add(*ret, amount);
    return r;
}

static int charge_unless_full(struct quota *quota, const struct payer *payer, enum limit_kind kind,
                              uint64_t amount, const struct charge *instead, struct charge **ret,
                              struct error *error) {
    _cleanup_(cleanup_charge_release) struct charge *charge = NULL;
    int r;

    if (charge_new(quota, payer, kind, &charge) < 0)
        return error_set(error, -ENOMEM, "no memory to account for user %u", payer->uid);
    r = make_room(charge, amount, instead, error);
    if (r < 0)
        return r;
    add(charge, amount);
    *ret = steal_pointer(charge);
    return 0;
}

int quota_charge(struct quota *quota, const struct payer *payer, enum limit_kind kind,
                 uint64_t amount, struct charge **ret, struct error *error) {
    return charge_unless_full(quota, payer, kind, amount, NULL, ret, error);
}

int quota_charge_instead(const struct charge *old, const struct payer *payer, struct charge **ret,
                         struct error *error) {
    return charge_unless_full(old->quota, payer, old->kind, old->amount, old, ret, error);
}

void quota_set_relief(struct quota *quota, const struct quota_relief *relief) {
    quota->relief = *relief;
}

uint64_t charge_relieves(const struct charge *charge, const struct quota_excess *excess) {
    return charge->kind == excess->kind && counts_in(charge, excess->account) ? charge->amount : 0;
}

static int refuse_request(const struct account *account, uint64_t wait_nsec, struct error *error) {
    char text[ACCOUNT_TEXT_MAX];

    account_describe(account, text);
    return error_set(error, code_of(account),
                     "limit on requests of %s: %llu a second, %llu at once; there will be room for "
                     "one in %llu ms",
                     text, (unsigned long long)account->limits->rate,
                     (unsigned long long)rate_burst(account->limits),
                     (unsigned long long)(wait_nsec / 1000000 + 1));
}

int charge_request(const struct charge *connection, bool always, struct error *error) {
    struct account *limited[OF_COUNT + 1], *account;
    uint64_t now, wait;
    size_t count = 0;

    for (unsigned i = 0; i < OF_COUNT; i++)
        for (account = connection->account[i]; account; account = account->parent)
            if (account->limits && account->limits->rate != 0)
                limited[count++] = account;
    if (count == 0)
        return 0;
    now = boottime_nsec();
    for (size_t i = 0; i < count && !always; i++) {
        wait = rate_wait_nsec(&limited[i]->rate, limited[i]->limits, now);
        if (wait > 0)
            return refuse_request(limited[i], wait, error);
    }
    for (size_t i = 0; i < count; i++)
        rate_take(&limited[i]->rate, limited[i]->limits, now);
    return 0;
}

bool charge_has_payer_of(const struct charge *charge, const struct charge *other) {
    return memcmp(charge->account, other->account, sizeof(charge->account)) == 0;
}

struct payer charge_payer(const struct charge *charge) {
    const struct account *unit = charge->account[OF_UNIT];

    return (struct payer){
        .uid = charge->account[OF_USER]->uid,
        .unit = unit ? unit->name : NULL,
        .name = *charge->name ? charge->name : NULL,
    };
}

uint64_t charge_amount(const struct charge *charge) {
    return charge->amount;
}

const struct accounts *quota_accounts(const struct quota *quota) {
    return quota->accounts;
}

uint64_t quota_used(const struct quota *quota, enum limit_kind kind) {
    return accounts_total(quota->accounts)->used[kind];
}

uint64_t quota_used_by(const struct quota *quota, uid_t uid, enum limit_kind kind) {
    const struct account *user = accounts_find_user(quota->accounts, uid);

    return user ? user->used[kind] : 0;
}
