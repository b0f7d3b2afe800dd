/*
 * Declarations: the keys of a declaration, and what each changes about a region that is there
 */
#include "daemon/core/declare-private.h"

#include "daemon/core/durability.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/policy.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One key that has changed. */
struct change {
    struct manager *manager;
    struct region *region;
    const struct declared *declared;
    struct region_spec spec; /* complete */
    struct caller caller;
};

static int refuse(const struct change *change, const char *what, struct error *error) {
    return error_set(error, -EINVAL,
                     "region '%s' %s, which does not change: once it is destroyed, the next reload "
                     "makes it anew",
                     change->region->name, what);
}

static int set_owner(const struct change *change, struct error *error) {
    return manager_set_owner(change->manager, &change->caller, change->region->name,
                             change->declared->owner, change->declared->group, error);
}

static int set_mode(const struct change *change, struct error *error) {
    if (change->region->access.mode == change->spec.mode)
        return 0;
    return manager_set_access(change->manager, &change->caller, change->region->name,
                              &change->spec.mode, NULL, error);
}

static int set_acl(const struct change *change, struct error *error) {
    if (strcmp(change->region->access.acl, change->spec.acl) == 0)
        return 0;
    return manager_set_access(change->manager, &change->caller, change->region->name, NULL,
                              change->spec.acl, error);
}

static int set_attributes(const struct change *change, struct error *error) {
    if (strcmp(change->region->attributes, change->spec.attributes) == 0)
        return 0;
    return manager_set_attributes(change->manager, &change->caller, change->region->name,
                                  change->spec.attributes, error);
}

static int check_backing(const struct change *change, struct error *error) {
    enum backing backing = change->region->segment->backing;
    char what[64];

    if (change->declared->backing == 0 || change->declared->backing == backing)
        return 0;
    snprintf(what, sizeof(what), "has the backing %s", backing_to_word(backing));
    return refuse(change, what, error);
}

static int check_huge_pages(const struct change *change, struct error *error) {
    enum huge_pages pages = change->region->segment->huge_pages;
    char what[64];

    if (pages == change->spec.huge_pages)
        return 0;
    snprintf(what, sizeof(what), "is of %s pages", pages ? huge_pages_to_word(pages) : "ordinary");
    return refuse(change, what, error);
}

static int check_sync_block(const struct change *change, struct error *error) {
    bool has = change->region->sync_block != NULL;

    if (has == change->spec.sync_block)
        return 0;
    return refuse(change, has ? "has a sync block" : "has no sync block", error);
}

static int check_max_size(const struct change *change, struct error *error) {
    uint64_t have = change->region->segment->max_size, want = change->spec.max_size;
    uint64_t page = huge_pages_size(change->region->segment->huge_pages);
    char what[64];

    if (want == 0 || (want + page - 1) / page * page == have)
        return 0;
    snprintf(what, sizeof(what), "has the max_size %" PRIu64, have);
    return refuse(change, what, error);
}

static int set_size(const struct change *change, struct error *error) {
    if (change->spec.size == 0)
        return 0;
    return manager_resize(change->manager, &change->caller, change->region->name, change->spec.size,
                          error);
}

static int set_lifetime(const struct change *change, struct error *error) {
    return manager_set_lifetime(change->manager, &change->caller, change->region->name,
                                change->spec.lifetime, change->spec.seconds, error);
}

static int set_durability(const struct change *change, struct error *error) {
    return manager_set_durability(change->manager, &change->caller, change->region->name,
                                  durability_of(&change->spec, change->region->segment->backing),
                                  change->spec.durability_seconds, error);
}

/* How each key is applied; those of which nothing is to be done have none. */
static const struct {
    int (*apply)(const struct change *change, struct error *error);
    bool of_content; /* goes with the version that is loaded */
} appliers[DECLARED_KEY_COUNT] = {
    [DECLARED_OWNER] = {set_owner},
    [DECLARED_GROUP] = {set_owner},
    [DECLARED_MODE] = {set_mode},
    [DECLARED_ACL] = {set_acl},
    [DECLARED_ATTRIBUTES] = {set_attributes, true},
    [DECLARED_BACKING] = {check_backing},
    [DECLARED_SIZE] = {set_size, true},
    [DECLARED_MAX_SIZE] = {check_max_size, true},
    [DECLARED_HUGE_PAGES] = {check_huge_pages},
    [DECLARED_SYNC_BLOCK] = {check_sync_block},
    [DECLARED_LIFETIME] = {set_lifetime},
    [DECLARED_SECONDS] = {set_lifetime},
    [DECLARED_DURABILITY] = {set_durability},
    [DECLARED_DURABILITY_SECONDS] = {set_durability},
};

static bool is_in_scope(enum declared_key key, enum declare_scope scope) {
    return scope == DECLARE_ALL || appliers[key].of_content == (scope == DECLARE_CONTENT);
}

static bool is_same(const json_t *a, const json_t *b) {
    return a && b ? json_equal(a, b) : a == b;
}

/* False: it could not be applied, and is to be tried again. */
static bool apply(struct declarations *declarations, const struct change *change,
                  enum declared_key key) {
    struct error error;

    if (!appliers[key].apply || appliers[key].apply(change, &error) == 0)
        return true;
    declare_fail(declarations, change->declared, key, &error);
    return false;
}

static void apply_all(struct declarations *declarations, const struct change *change,
                      enum declare_scope scope, json_t *remembered) {
    for (enum declared_key key = 0; key < DECLARED_KEY_COUNT; key++) {
        const char *word = declared_key_word(key);
        json_t *value = json_object_get(change->declared->keys, word);

        if (!is_in_scope(key, scope) || is_same(json_object_get(remembered, word), value) ||
            !apply(declarations, change, key))
            continue;
        if (value)
            json_object_set(remembered, word, value);
        else
            json_object_del(remembered, word);
    }
}

void declare_keys(struct declarations *declarations, struct region *region,
                  const struct declared *declared, enum declare_scope scope) {
    json_t *remembered = region->declared ? json_loads(region->declared, 0, NULL) : NULL;
    struct change change = {
        .manager = declarations->manager,
        .region = region,
        .declared = declared,
        .spec = declare_spec(declared),
        .caller = declare_changer(),
    };

    if (!json_is_object(remembered)) {
        json_decref(remembered);
        remembered = json_object();
    }
    policy_complete(declarations->manager->config, &change.spec);
    if (change.spec.lifetime == 0)
        change.spec.lifetime = LIFETIME_PERSISTENT;
    apply_all(declarations, &change, scope, remembered);
    declare_remember(declarations, region, declared, remembered, NULL);
    json_decref(remembered);
}

void declare_remember(struct declarations *declarations, struct region *region,
                      const struct declared *declared, const json_t *keys, const char *stamp) {
    char *old = region->declared, *old_loaded = region->loaded;
    _cleanup_free_ char *text =
        keys ? json_dumps(keys, JSON_COMPACT | JSON_SORT_KEYS) : strdup(old ? old : "{}");
    _cleanup_free_ char *loaded = stamp ? strdup(stamp) : NULL;
    struct error error;

    if (!text || (stamp && !loaded)) {
        declare_report(declarations, declared, DECLARED_NAME, "no memory");
        return;
    }
    if (!stamp && old && strcmp(old, text) == 0)
        return;
    region->declared = text;
    if (stamp)
        region->loaded = loaded;
    if (manager_record(declarations->manager, region, &error) < 0) {
        declare_fail(declarations, declared, DECLARED_NAME, &error);
        region->declared = old;
        region->loaded = old_loaded;
        return;
    }
    (void)steal_pointer(text);
    free(old);
    if (stamp) {
        (void)steal_pointer(loaded);
        free(old_loaded);
    }
}
