/*
 * Account: see account.h.
 */
#include "daemon/core/account.h"

#include "daemon/core/clock.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct accounts {
    const struct config *config;
    struct account total;
    struct account *namespaces; /* in the order of the configuration's */
    size_t n_namespaces;
    void *members; /* tsearch(3) tree of users and units */
    TAILQ_HEAD(, account) idle;
};

static int compare(const void *a, const void *b) {
    const struct account *left = a, *right = b;

    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    if (left->kind == ACCOUNT_UNIT)
        return strcmp(left->name, right->name);
    return (left->uid > right->uid) - (left->uid < right->uid);
}

static const struct limits *find_limits(const struct config *config,
                                        const struct account *account) {
    return account->kind == ACCOUNT_USER ? config_user_limits(config, account->uid)
                                         : config_unit_limits(config, account->name);
}

static int make_namespaces(const struct config *config, struct account **ret) {
    size_t count = config->n_namespaces;
    struct account *accounts = calloc(count + 1, sizeof(*accounts));

    if (!accounts)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct namespace *namespace = &config->namespaces[i];
        const struct namespace *around = namespace_around(config->namespaces, count, namespace);

        accounts[i] = (struct account){
            .kind = ACCOUNT_NAMESPACE,
            .name = namespace->prefix,
            .limits = namespace->limits,
            .parent = around ? &accounts[around - config->namespaces] : NULL,
        };
    }
    *ret = accounts;
    return 0;
}

static void set_limits(const void *node, VISIT visit, void *config) {
    struct account *account = *(struct account *const *)node;

    if (visit != postorder && visit != leaf)
        return;
    account->limits = find_limits(config, account);
    account->rate = (struct rate){0};
}

int accounts_configure(struct accounts *accounts, const struct config *config) {
    struct account *namespaces;
    int r = make_namespaces(config, &namespaces);

    if (r < 0)
        return r;
    free(accounts->namespaces);
    accounts->namespaces = namespaces;
    accounts->n_namespaces = config->n_namespaces;
    accounts->config = config;
    accounts->total.limits = &config->total;
    accounts->total.rate = (struct rate){0};
    twalk_r(accounts->members, set_limits, (void *)config);
    return 0;
}

int accounts_new(const struct config *config, struct accounts **ret) {
    _cleanup_(cleanup_accounts_free) struct accounts *accounts = calloc(1, sizeof(*accounts));
    int r;

    if (!accounts)
        return -ENOMEM;
    accounts->total.kind = ACCOUNT_TOTAL;
    TAILQ_INIT(&accounts->idle);
    r = accounts_configure(accounts, config);
    if (r < 0)
        return r;
    *ret = steal_pointer(accounts);
    return 0;
}

static void account_free(struct accounts *accounts, struct account *account) {
    if (account->is_idle)
        TAILQ_REMOVE(&accounts->idle, account, idle);
    tdelete(account, &accounts->members, compare);
    free(account);
}

void accounts_free(struct accounts *accounts) {
    while (!TAILQ_EMPTY(&accounts->idle))
        account_free(accounts, TAILQ_FIRST(&accounts->idle));
    free(accounts->namespaces);
    free(accounts);
}

static struct account *find(const struct accounts *accounts, const struct account *key) {
    struct account **node = tfind(key, &accounts->members, compare);

    return node ? *node : NULL;
}

static struct account *get(struct accounts *accounts, const struct account *key) {
    size_t room = key->name ? strlen(key->name) + 1 : 0;
    struct account *account = find(accounts, key);

    if (account && account->is_idle)
        TAILQ_REMOVE(&accounts->idle, account, idle);
    if (account) {
        account->is_idle = false;
        return account;
    }
    account = malloc(sizeof(*account) + room);
    if (!account)
        return NULL;
    *account = *key;
    if (key->name)
        account->name = memcpy(account + 1, key->name, room);
    account->limits = find_limits(accounts->config, account);
    if (!tsearch(account, &accounts->members, compare)) {
        free(account);
        return NULL;
    }
    return account;
}

struct account *accounts_get_user(struct accounts *accounts, uid_t uid) {
    return get(accounts,
               &(struct account){.kind = ACCOUNT_USER, .uid = uid, .parent = &accounts->total});
}

struct account *accounts_get_unit(struct accounts *accounts, const char *unit) {
    return get(accounts, &(struct account){.kind = ACCOUNT_UNIT, .name = unit});
}

struct account *accounts_find_namespace(const struct accounts *accounts, const char *name) {
    const struct namespace *first = accounts->config->namespaces;
    const struct namespace *namespace = namespace_find(first, accounts->n_namespaces, name);

    return namespace ? &accounts->namespaces[namespace - first] : NULL;
}

/* Those whose rate is nothing to be remembered by now. They wait in the order in which they came, so
 * one may stay for a while behind another. */
static void free_idle(struct accounts *accounts) {
    struct account *account;

    while ((account = TAILQ_FIRST(&accounts->idle)) && account->rate.full_nsec <= boottime_nsec())
        account_free(accounts, account);
}

/* Who comes again at once has no fresh allowance of requests. */
void account_settle(struct accounts *accounts, struct account *account) {
    if (account->n_charges > 0 || account->kind == ACCOUNT_NAMESPACE)
        return;
    free_idle(accounts);
    if (account->rate.full_nsec == 0 || account->rate.full_nsec <= boottime_nsec()) {
        account_free(accounts, account);
        return;
    }
    account->is_idle = true;
    TAILQ_INSERT_TAIL(&accounts->idle, account, idle);
}

const struct account *accounts_total(const struct accounts *accounts) {
    return &accounts->total;
}

const struct account *accounts_find_user(const struct accounts *accounts, uid_t uid) {
    return find(accounts, &(struct account){.kind = ACCOUNT_USER, .uid = uid});
}

struct visitor {
    void (*each)(void *data, const struct account *account);
    void *data;
};

static void call_visitor(const void *node, VISIT visit, void *data) {
    const struct visitor *visitor = data;

    if (visit == postorder || visit == leaf)
        visitor->each(visitor->data, *(struct account *const *)node);
}

void accounts_each(const struct accounts *accounts,
                   void (*each)(void *data, const struct account *account), void *data) {
    struct visitor visitor = {.each = each, .data = data};

    each(data, &accounts->total);
    twalk_r(accounts->members, call_visitor, &visitor);
    for (size_t i = 0; i < accounts->n_namespaces; i++)
        each(data, &accounts->namespaces[i]);
}

void account_add(struct account *account, enum limit_kind kind, uint64_t amount) {
    for (; account; account = account->parent)
        account->used[kind] += amount;
}

void account_subtract(struct account *account, enum limit_kind kind, uint64_t amount) {
    for (; account; account = account->parent)
        account->used[kind] -= amount;
}

bool account_contains(const struct account *account, const struct account *part) {
    while (part && part != account)
        part = part->parent;
    return part;
}

uint64_t account_limit(const struct account *account, enum limit_kind kind) {
    return account->limits ? account->limits->most[kind] : LIMIT_NONE;
}

void account_describe(const struct account *account, char ret[static ACCOUNT_TEXT_MAX]) {
    switch (account->kind) {
    case ACCOUNT_TOTAL:
        snprintf(ret, ACCOUNT_TEXT_MAX, "all users together");
        break;
    case ACCOUNT_USER:
        snprintf(ret, ACCOUNT_TEXT_MAX, "user %u", account->uid);
        break;
    case ACCOUNT_UNIT:
        snprintf(ret, ACCOUNT_TEXT_MAX, "unit %s", account->name);
        break;
    case ACCOUNT_NAMESPACE:
        snprintf(ret, ACCOUNT_TEXT_MAX, "namespace '%s'", account->name);
        break;
    }
}
