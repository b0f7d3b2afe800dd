/*
 * Recount: see recount.h.
 */
#include "tests/unit/recount.h"

#include <search.h>
#include <string.h>

#include "daemon/core/attachment.h"
#include "daemon/core/quota.h"
#include "daemon/core/stage.h"
#include "tests/unit/suite.h"

#define USES_MAX 2048
#define SEGMENTS_MAX 512

/* One thing that counts, as it is found. */
struct use {
    uid_t uid;
    const char *unit, *name;
    enum limit_kind kind;
    uint64_t amount;
};

struct count {
    struct makers *makers;
    struct use uses[USES_MAX];
    size_t n_uses;
    const struct segment *segments[SEGMENTS_MAX];
    size_t n_segments;
    uint64_t of_users[LIMIT_KIND_COUNT], of_units[LIMIT_KIND_COUNT];
};

static struct maker *find_maker(struct makers *makers, uint64_t id, uint32_t version) {
    for (size_t i = makers->count; i-- > 0;)
        if (makers->made[i].id == id && makers->made[i].version == version)
            return &makers->made[i];
    return NULL;
}

/* Who has it; if it is new, @by has. */
static struct maker *get_maker(struct makers *makers, uint64_t id, uint32_t version,
                               struct maker by) {
    struct maker *maker = find_maker(makers, id, version);

    if (maker)
        return maker;
    if (makers->count == MAKERS_MAX)
        ck_abort_msg("too many makers");
    maker = &makers->made[makers->count++];
    *maker = (struct maker){id, version, by.uid, by.unit};
    return maker;
}

static struct maker *get_owner(struct makers *makers, uint64_t id) {
    return get_maker(makers, id, 0, (struct maker){.uid = makers->uid, .unit = makers->unit});
}

static void add(struct count *count, const struct maker *maker, const char *name,
                enum limit_kind kind, uint64_t amount) {
    if (count->n_uses == USES_MAX)
        ck_abort_msg("too much to count");
    count->uses[count->n_uses++] = (struct use){maker->uid, maker->unit, name, kind, amount};
}

static void add_segment(struct count *count, const struct maker *maker, const char *name,
                        const struct segment *segment) {
    for (size_t i = 0; i < count->n_segments; i++)
        if (count->segments[i] == segment)
            return;
    if (!segment)
        return;
    if (count->n_segments == SEGMENTS_MAX)
        ck_abort_msg("too many segments");
    count->segments[count->n_segments++] = segment;
    add(count, maker, name, LIMIT_BYTES, segment->max_size);
}

static void count_segments(struct count *count, const struct region *region,
                           const struct segment *version) {
    const struct maker *owner = get_owner(count->makers, region->id);
    struct maker *maker = get_maker(count->makers, region->id, version->version, *owner);

    if (version == region->segment) {
        maker->uid = owner->uid;
        maker->unit = owner->unit;
    }
    add_segment(count, maker, region->name, version);
    add_segment(count, owner, region->name, region->sync_block);
}

static int count_region(void *data, struct region *region) {
    struct count *count = data;

    add(count, get_owner(count->makers, region->id), region->name, LIMIT_REGIONS, 1);
    count_segments(count, region, region->segment);
    return 0;
}

static void count_attachment(const void *node, VISIT visit, void *data) {
    const struct attachment *attachment = *(struct attachment *const *)node;
    const struct caller *holder = &attachment->client->caller;
    const struct maker maker = {.uid = holder->uid, .unit = holder->units.name};
    struct count *count = data;

    if (visit != postorder && visit != leaf)
        return;
    add(count, &maker, attachment->region->name, LIMIT_ATTACHMENTS, 1);
    count_segments(count, attachment->region, attachment->segment);
}

/* One for a region is charged to who had that then. */
static const struct maker *get_stager(struct makers *makers, const struct stage *stage) {
    if (stage->region_id == 0)
        return get_owner(makers, stage->id);
    return get_maker(makers, stage->id, 0, *get_owner(makers, stage->region_id));
}

static int count_client(void *data, struct client *client) {
    const struct maker holder = {.uid = client->caller.uid, .unit = client->caller.units.name};
    struct count *count = data;
    const struct stage *stage;

    if (client->connected)
        add(count, &holder, NULL, LIMIT_CONNECTIONS, 1);
    LIST_FOREACH (stage, &client->stages, link) {
        add(count, &holder, stage->spec.name, LIMIT_ATTACHMENTS, 1);
        add_segment(count, get_stager(count->makers, stage), stage->spec.name, stage->segment);
    }
    twalk_r(client->attachments, count_attachment, count);
    return 0;
}

static bool concerns(const struct account *account, const struct use *use) {
    switch (account->kind) {
    case ACCOUNT_TOTAL:
        return true;
    case ACCOUNT_USER:
        return account->uid == use->uid;
    case ACCOUNT_UNIT:
        return use->unit && strcmp(account->name, use->unit) == 0;
    case ACCOUNT_NAMESPACE:
        return use->name &&
               namespace_covers(&(struct namespace){.prefix = (char *)account->name}, use->name);
    }
    return false;
}

static void compare(void *data, const struct account *account) {
    uint64_t counted[LIMIT_KIND_COUNT] = {0};
    char text[ACCOUNT_TEXT_MAX];
    struct count *count = data;

    account_describe(account, text);
    for (size_t i = 0; i < count->n_uses; i++)
        if (concerns(account, &count->uses[i]))
            counted[count->uses[i].kind] += count->uses[i].amount;
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
        if (account->used[kind] != counted[kind])
            ck_abort_msg("%s of %s: %llu in the account, %llu there", limit_word(kind), text,
                         (unsigned long long)account->used[kind],
                         (unsigned long long)counted[kind]);
        if (account->kind == ACCOUNT_USER)
            count->of_users[kind] += counted[kind];
        if (account->kind == ACCOUNT_UNIT)
            count->of_units[kind] += counted[kind];
    }
}

/* What there is has its accounts, too. */
static void check_sums(const struct count *count) {
    uint64_t all[LIMIT_KIND_COUNT] = {0}, in_units[LIMIT_KIND_COUNT] = {0};

    for (size_t i = 0; i < count->n_uses; i++) {
        all[count->uses[i].kind] += count->uses[i].amount;
        if (count->uses[i].unit)
            in_units[count->uses[i].kind] += count->uses[i].amount;
    }
    ck_assert_mem_eq(count->of_users, all, sizeof(all));
    ck_assert_mem_eq(count->of_units, in_units, sizeof(in_units));
}

void recount_check(struct manager *manager, struct makers *makers) {
    static struct count count;

    count = (struct count){.makers = makers};
    manager_each_region(manager, count_region, &count);
    manager_each_client(manager, count_client, &count);
    accounts_each(quota_accounts(manager_quota(manager)), compare, &count);
    check_sums(&count);
}

void recount_give(struct makers *makers, uint64_t id, uid_t uid) {
    struct maker *owner = find_maker(makers, id, 0);

    if (owner->uid == uid)
        return;
    owner->uid = uid;
    owner->unit = NULL;
}

void recount_restart(struct makers *makers) {
    size_t count = makers->count;

    makers->count = 0;
    for (size_t i = 0; i < count; i++)
        if (makers->made[i].version == 0)
            makers->made[makers->count++] = makers->made[i];
}
