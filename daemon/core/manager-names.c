/*
 * Manager: the tree of names, who may look something up in it, and who watches what happens there.
 */
#include "daemon/core/manager-private.h"

#include "proto/region-name.h"

#include <errno.h>
#include <search.h>
#include <string.h>

static int compare_regions(const void *a, const void *b) {
    return strcmp(((const struct region *)a)->name, ((const struct region *)b)->name);
}

struct region *manager_lookup(const struct manager *manager, const char *name) {
    struct region key = {.name = (char *)name};
    struct region **node = tfind(&key, &manager->regions, compare_regions);

    return node ? *node : NULL;
}

int manager_insert(struct manager *manager, struct region *region) {
    if (!tsearch(region, &manager->regions, compare_regions))
        return -ENOMEM;
    manager->n_regions++;
    return 0;
}

void manager_take_out(struct manager *manager, struct region *region) {
    tdelete(region, &manager->regions, compare_regions);
    manager->n_regions--;
    region_unref(region);
}

static int find_named(struct manager *manager, const char *name, struct region **ret,
                      struct error *error) {
    const char *fault = region_name_fault(name);

    if (fault)
        return error_set(error, -EINVAL, "%s", fault);
    *ret = manager_lookup(manager, name);
    return *ret ? 0 : error_set(error, -ENOENT, "there is no region '%s'", name);
}

int manager_find(struct manager *manager, const struct caller *caller, const char *name,
                 struct region **ret, struct error *error) {
    int r = find_named(manager, name, ret, error);

    if (r == 0 && access_rights(&(*ret)->access, caller) == 0)
        r = access_check(&(*ret)->access, caller, RIGHT_READ, name, error);
    return r;
}

int manager_find_with(struct manager *manager, const struct caller *caller, const char *name,
                      uint32_t rights, struct region **ret, struct error *error) {
    int r = find_named(manager, name, ret, error);

    return r < 0 ? r : access_check(&(*ret)->access, caller, rights, name, error);
}

struct walk {
    int (*each)(void *data, struct region *region);
    void *data;
    int result;
};

static void visit(const void *node, VISIT order, void *data) {
    struct walk *walk = data;

    if (walk->result == 0 && (order == postorder || order == leaf))
        walk->result = walk->each(walk->data, *(struct region *const *)node);
}

int manager_each_region(struct manager *manager, int (*each)(void *data, struct region *region),
                        void *data) {
    struct walk walk = {.each = each, .data = data};

    twalk_r(manager->regions, visit, &walk);
    return walk.result;
}

const char *region_event_word(enum region_event event) {
    static const char *const words[] = {
#define X(name, word) [REGION_##name] = word,
        REGION_EVENTS(X)
#undef X
    };

    return words[event];
}

void manager_notify(struct manager *manager, enum region_event event, const struct region *region,
                    const char *reason) {
    struct observer *observer;

    if (manager->prelude.open)
        prelude_add(&manager->prelude, event, region, reason);
    LIST_FOREACH (observer, &manager->observers, link)
        if (observer->notice)
            observer->notice(observer, event, region, reason);
}

void manager_observe(struct manager *manager, struct observer *observer) {
    LIST_INSERT_HEAD(&manager->observers, observer, link);
}

void manager_unobserve(struct observer *observer) {
    LIST_REMOVE(observer, link);
}
