/*
 * Check: the whole, and what the parts share. See check.h.
 */
#include "daemon/fsck/check.h"

#include "daemon/core/record-upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b) {
    const struct known_region *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int compare_ids(const void *a, const void *b) {
    const struct known_region *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static struct known_region *find(void *tree, const struct known_region *key,
                                 int (*compare)(const void *, const void *)) {
    struct known_region *const *found = tfind(key, &tree, compare);

    return found ? *found : NULL;
}

struct known_region *checker_find_name(const struct checker *checker, const char *name) {
    return find(checker->by_name, &(struct known_region){.name = (char *)name}, compare_names);
}

struct known_region *checker_find_id(const struct checker *checker, uint64_t id) {
    return find(checker->by_id, &(struct known_region){.id = id}, compare_ids);
}

static void forget(void *node) {
    struct known_region *region = node;

    free(region->name);
    free(region);
}

int checker_know(struct checker *checker, const struct known_region *region) {
    struct known_region *copy = malloc(sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    *copy = *region;
    copy->name = strdup(region->name);
    if (!copy->name || !tsearch(copy, &checker->by_id, compare_ids)) {
        forget(copy);
        return -ENOMEM;
    }
    return tsearch(copy, &checker->by_name, compare_names) ? 0 : -ENOMEM;
}

struct upgraded {
    enum registry_table table;
    int (*each)(void *data, const char *key, const char *value);
    void *data;
};

static int on_record(void *data, const char *key, const char *value) {
    const struct upgraded *upgraded = data;
    _cleanup_free_ char *text = NULL;
    int r = record_upgrade(upgraded->table, value, &text);

    return r < 0 ? r : upgraded->each(upgraded->data, key, text);
}

int checker_each(struct checker *checker, int registry, enum registry_table table,
                 int (*each)(void *data, const char *key, const char *value), void *data) {
    if (!checker->registries[registry] || checker->damaged[registry])
        return 0;
    if (registry_format(checker->registries[registry]) == REGISTRY_FORMAT)
        return registry_each(checker->registries[registry], table, each, data);
    return registry_each(checker->registries[registry], table, on_record,
                         &(struct upgraded){table, each, data});
}

static void keep(void *node) {
    (void)node;
}

static int open_registries(struct checker *checker, struct error *error) {
    for (int i = 0; i < REGISTRIES; i++) {
        int r =
            registry_inspect(checker->directories[i], i == DURABLE, &checker->registries[i], error);

        if (r == -EBUSY)
            return error_set(error, r, "a shmregd is running in %s: stop it first",
                             checker->directories[i]);
        checker->damaged[i] = r == -EUCLEAN;
        if (r == -EUCLEAN)
            r = report_add(&checker->report,
                           FOUND(.severity = SEVERITY_ERROR, .kind = "registry-damaged",
                                 .remedy = REMEDY_NEW_REGISTRY, .registry = checker->registries[i]),
                           "%s", error->text);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    if (!checker->registries[VOLATILE] && !checker->registries[DURABLE])
        return error_set(error, -ENOENT, "there is no registry in %s, and none in %s",
                         checker->directories[VOLATILE], checker->directories[DURABLE]);
    return 0;
}

/* What can be read. */
static struct registry *readable(const struct checker *checker, int i) {
    return checker->damaged[i] ? NULL : checker->registries[i];
}

static int find_instance(struct checker *checker) {
    int r =
        meta_instance(readable(checker, VOLATILE), readable(checker, DURABLE), checker->instance);
    char other[INSTANCE_MAX];

    if (r == -ENOENT)
        return report_add(&checker->report,
                          FOUND(.severity = SEVERITY_ERROR, .kind = "instance-lost"),
                          "no registry says how this daemon's segments are called");
    if (r == 0 && readable(checker, DURABLE) && readable(checker, VOLATILE) &&
        meta_instance_of(checker->registries[DURABLE], other) == 0 &&
        strcmp(checker->instance, other) != 0)
        r = report_add(
            &checker->report, FOUND(.severity = SEVERITY_ERROR, .kind = "instance-conflict"),
            "the volatile registry is of instance %s, the durable one of %s: they do not "
            "belong together",
            checker->instance, other);
    return r;
}

/* Segments of daemons that had none have names without it. */
static int find_secret(struct checker *checker) {
    int r = meta_secret(readable(checker, VOLATILE), readable(checker, DURABLE),
                        &checker->places.secret);

    return r == -ENOENT ? 0 : r;
}

static void open_places(struct checker *checker) {
    _cleanup_close_ int state =
        open(checker->directories[DURABLE], O_DIRECTORY | O_RDONLY | O_CLOEXEC);

    checker->places.instance = checker->instance;
    checker->places.shm_directory = open("/dev/shm", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (state >= 0)
        checker->places.file_directory =
            openat(state, "segments", O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

int checker_init(struct checker *checker, const char *runtime_directory,
                 const char *state_directory, struct error *error) {
    int r;

    *checker = (struct checker){
        .directories = {runtime_directory, state_directory},
        .places = {.shm_directory = -1, .file_directory = -1},
    };
    report_init(&checker->report);
    r = open_registries(checker, error);
    if (r == 0)
        r = find_instance(checker);
    if (r == 0)
        r = find_secret(checker);
    if (r < 0)
        return r;
    open_places(checker);
    checker->inventory = (struct inventory){
        .places = &checker->places,
        .volatile_registry = checker->registries[VOLATILE],
        .durable_registry = checker->registries[DURABLE],
    };
    return 0;
}

void checker_deinit(struct checker *checker) {
    tdestroy(checker->by_name, keep);
    tdestroy(checker->by_id, forget);
    inventory_deinit(&checker->inventory);
    close_fd(&checker->places.shm_directory);
    close_fd(&checker->places.file_directory);
    for (int i = 0; i < REGISTRIES; i++)
        if (checker->registries[i])
            registry_close(checker->registries[i]);
    report_deinit(&checker->report);
}

/* Ids are never used twice: the next one is above all that are there. */
static int check_next_id(struct checker *checker) {
    uint64_t next;
    int r = meta_next_id(readable(checker, VOLATILE), readable(checker, DURABLE), &next);

    if (r == 0 && next <= checker->highest_id)
        r = report_add(&checker->report, FOUND(.severity = SEVERITY_ERROR, .kind = "id-used-again"),
                       "the next id would be %" PRIu64 ", but %" PRIu64 " was used already", next,
                       checker->highest_id);
    return r;
}

static int note_nameless(struct checker *checker) {
    if (checker->n_nameless == 0)
        return 0;
    return report_add(&checker->report,
                      FOUND(.severity = SEVERITY_NOTE, .kind = "memory-unverified"),
                      "%u memfds and adopted descriptors cannot be looked at: the service manager "
                      "keeps them",
                      checker->n_nameless);
}

static int note_format(struct checker *checker) {
    int r = 0;

    for (int i = 0; r == 0 && i < REGISTRIES; i++)
        if (readable(checker, i) && registry_format(checker->registries[i]) < REGISTRY_FORMAT)
            r = report_add(&checker->report,
                           FOUND(.severity = SEVERITY_NOTE, .kind = "registry-older"),
                           "registry %s is of an older format, and the next daemon upgrades it",
                           registry_path(checker->registries[i]));
    return r;
}

int check(struct checker *checker, struct error *error) {
    int r = note_format(checker);

    if (r == 0)
        r = check_regions(checker);
    if (r == 0)
        r = check_holders(checker);
    if (r == 0)
        r = check_stages(checker);
    if (r == 0)
        r = check_sessions(checker);
    if (r == 0)
        r = check_next_id(checker);
    if (r == 0)
        r = check_slots(checker);
    if (r == 0)
        r = note_nameless(checker);
    if (r < 0)
        return error_set(error, r, "cannot read the records: %s", strerror(-r));
    r = check_strays(checker, error);
    if (r == 0)
        r = check_quarantine(checker, error);
    return r;
}
