/*
 * Manager: its own life, ids, the tree of names, what others may ask of it. See manager.h; the
 * requests are in manager-create.c, manager-attach.c, manager-publish.c and manager-change.c.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/declare.h"
#include "daemon/core/policy.h"
#include "daemon/core/reaper.h"
#include "daemon/core/reconcile.h"
#include "daemon/core/record-upgrade.h"
#include "daemon/core/record.h"
#include "daemon/core/removal.h"
#include "daemon/ground/log.h"
#include "proto/region-name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Ids are reserved in blocks, so that handing one out costs no record; 64 bits are enough to lose a
 * block with every restart. */
#define ID_BLOCK (1u << 20)

/* Segments of which somebody else has taken the name, one after the other. */
#define SKIPS_MAX 16u

struct registry *manager_registry(const struct manager *manager, enum backing backing) {
    return backing == BACKING_FILE ? manager->durable_registry : manager->volatile_registry;
}

static int reserve_ids(struct manager *manager, struct error *error) {
    struct registry *registries[] = {manager->durable_registry, manager->volatile_registry};
    uint64_t end = manager->next_id + ID_BLOCK;
    char text[24];
    int r = disk_check(manager->places.disk, error);

    snprintf(text, sizeof(text), "%" PRIu64, end);
    for (size_t i = 0; i < ARRAY_SIZE(registries) && r == 0; i++)
        r = registry_put(registries[i], REGISTRY_META, META_NEXT_ID, text, error);
    if (r < 0)
        return r;
    manager->reserved_ids = end;
    return 0;
}

/* Now and then in the second half of a block: when it ends, the disk may be stuck. */
static bool is_time_to_reserve(uint64_t left) {
    return left <= ID_BLOCK / 2 && left % (ID_BLOCK / 8) == 0;
}

int manager_next_id(struct manager *manager, uint64_t *ret, struct error *error) {
    struct error ignored;
    int r = 0;

    if (manager->next_id >= manager->reserved_ids)
        r = reserve_ids(manager, error);
    else if (is_time_to_reserve(manager->reserved_ids - manager->next_id))
        reserve_ids(manager, &ignored);
    if (r == 0)
        *ret = manager->next_id++;
    return r;
}

bool manager_skip_ids(struct manager *manager, unsigned *attempts) {
    uint32_t random;

    if (++*attempts == SKIPS_MAX || getrandom(&random, sizeof(random), 0) != sizeof(random))
        return false;
    log_warning("an object that is not this daemon's has the name of segment %" PRIu64
                ": it is left alone, and the next id is one that nobody can foresee",
                manager->next_id - 1);
    manager->next_id += random;
    return true;
}

static int load_next_id(struct manager *manager, struct error *error) {
    int r = meta_next_id(manager->volatile_registry, manager->durable_registry, &manager->next_id);

    manager->reserved_ids = manager->next_id;
    return r < 0 ? error_set(error, r, "cannot read the next id: %s", strerror(-r)) : 0;
}

/* The instance outlives either directory: the runtime one a loss of the state, the state one a
 * reboot. */
static int load_instance(struct manager *manager, struct error *error) {
    struct registry *registries[] = {manager->volatile_registry, manager->durable_registry};
    uint64_t random;
    int r = meta_instance(manager->volatile_registry, manager->durable_registry, manager->instance);

    if (r == -ENOENT) {
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
            return error_set(error, -errno, "no random number: %s", strerror(errno));
        snprintf(manager->instance, INSTANCE_MAX, "%016" PRIx64, random);
        r = 0;
    }
    if (r < 0)
        return error_set(error, r, "cannot read the instance: %s", strerror(-r));
    for (size_t i = 0; i < ARRAY_SIZE(registries) && r == 0; i++)
        r = registry_put(registries[i], REGISTRY_META, META_INSTANCE, manager->instance, error);
    return r;
}

/* As the instance. Both registries are closed to other users. */
static int load_secret(struct manager *manager, struct error *error) {
    struct registry *registries[] = {manager->volatile_registry, manager->durable_registry};
    sd_id128_t *secret = &manager->places.secret;
    char text[SD_ID128_STRING_MAX];
    int r = meta_secret(manager->volatile_registry, manager->durable_registry, secret);

    if (r == -ENOENT)
        r = sd_id128_randomize(secret);
    if (r < 0)
        return error_set(error, r, "cannot read the secret of the instance: %s", strerror(-r));
    sd_id128_to_string(*secret, text);
    for (size_t i = 0; i < ARRAY_SIZE(registries) && r == 0; i++)
        r = registry_put(registries[i], REGISTRY_META, META_SECRET, text, error);
    return r;
}

static int open_places(struct manager *manager, struct error *error) {
    _cleanup_close_ int state = -1;

    manager->places.instance = manager->instance;
    manager->places.shm_directory = open("/dev/shm", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (manager->places.shm_directory < 0)
        return error_set(error, -errno, "cannot open /dev/shm: %s", strerror(errno));
    state = open(manager->state_directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (state < 0 || (mkdirat(state, "segments", 0700) < 0 && errno != EEXIST))
        return error_set(error, -errno, "cannot use %s: %s", manager->state_directory,
                         strerror(errno));
    manager->places.file_directory =
        openat(state, "segments", O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (manager->places.file_directory < 0)
        return error_set(error, -errno, "cannot open %s/segments: %s", manager->state_directory,
                         strerror(errno));
    return 0;
}

static int open_ground(struct manager *manager, struct error *error) {
    int r = registry_open(manager->state_directory, true, &manager->durable_registry, error);

    if (r == 0)
        r = registry_open(manager->runtime_directory, false, &manager->volatile_registry, error);
    /* Not before this shmregd knows that it can read both. */
    if (r == 0)
        r = registry_upgrade(manager->durable_registry, error);
    if (r == 0)
        r = registry_upgrade(manager->volatile_registry, error);
    if (r == 0)
        r = status_page_open(manager->runtime_directory, &manager->status, error);
    if (r == 0)
        r = load_instance(manager, error);
    if (r == 0)
        r = load_secret(manager, error);
    if (r == 0)
        r = load_next_id(manager, error);
    if (r == 0)
        r = open_places(manager, error);
    return r;
}

static int make_parts(struct manager *manager, const struct manager_options *options,
                      struct error *error) {
    int r;

    manager->runtime_directory = strdup(options->runtime_directory);
    manager->state_directory = strdup(options->state_directory);
    if (!manager->runtime_directory || !manager->state_directory ||
        audit_new(options->base, &manager->audit) < 0 ||
        quota_new(options->config, &manager->quota) < 0 ||
        processes_new(options->base, &manager->processes) < 0 ||
        removals_new(options->base, &manager->places.removals) < 0)
        return error_set(error, -ENOMEM, "no memory for the manager");
    quota_set_relief(manager->quota, &(struct quota_relief){cache_relieve, manager});
    r = workers_new(options->base, &manager->workers);
    if (r == 0)
        r = disk_new(options->base, &manager->places.disk);
    return r < 0 ? error_set(error, r, "cannot prepare workers: %s", strerror(-r)) : 0;
}

int manager_new(const struct manager_options *options, struct manager **ret, struct error *error) {
    _cleanup_(cleanup_manager_free) struct manager *manager = calloc(1, sizeof(*manager));
    int r;

    if (!manager)
        return error_set(error, -ENOMEM, "no memory for the manager");
    manager->base = options->base;
    manager->config = options->config;
    cache_init(&manager->cache);
    kept_init(&manager->kept);
    manager->places = (struct segment_places){
        .shm_directory = -1,
        .file_directory = -1,
        .kept = &manager->kept,
    };
    TAILQ_INIT(&manager->clients);
    LIST_INIT(&manager->observers);
    prelude_init(&manager->prelude);

    r = make_parts(manager, options, error);
    if (r == 0)
        r = open_ground(manager, error);
    if (r == 0)
        r = reconcile(manager, options->fdstore, error);
    if (r == 0)
        r = declarations_new(manager, &manager->declarations, error);
    manager->prelude.open = false;
    if (r < 0)
        return r;
    *ret = steal_pointer(manager);
    return 0;
}

void manager_free(struct manager *manager) {
    struct client *client;

    cleanup_declarations_free(&manager->declarations);
    prelude_deinit(&manager->prelude);
    cleanup_workers_free(&manager->workers);
    cleanup_disk_free(&manager->places.disk);
    manager->places.disk = NULL;
    while ((client = TAILQ_FIRST(&manager->clients)))
        client_forget(client);
    while (manager->regions) {
        struct region *region = *(struct region **)manager->regions;

        reaper_stop(region);
        manager_take_out(manager, region);
    }
    cleanup_removals_free(&manager->places.removals);
    cleanup_audit_free(&manager->audit);
    if (manager->quota)
        quota_free(manager->quota);
    if (manager->processes)
        processes_free(manager->processes);
    close_fd(&manager->places.shm_directory);
    close_fd(&manager->places.file_directory);
    cleanup_status_page_close(&manager->status);
    cleanup_registry_close(&manager->volatile_registry);
    cleanup_registry_close(&manager->durable_registry);
    free(manager->runtime_directory);
    free(manager->state_directory);
    free(manager);
}

void manager_declare(struct manager *manager) {
    manager->prelude.open = true;
    declarations_apply(manager->declarations);
}

static int set_namespace_owner(void *data, struct region *region) {
    region->access.namespace_uid = policy_namespace_owner(data, region->name);
    return 0;
}

int manager_configure(struct manager *manager, const struct config *config) {
    int r = quota_configure(manager->quota, config);

    if (r < 0)
        return r;
    manager->config = config;
    manager_each_region(manager, set_namespace_owner, (void *)config);
    declarations_apply(manager->declarations);
    return 0;
}

const struct config *manager_config(const struct manager *manager) {
    return manager->config;
}

const char *manager_instance(const struct manager *manager) {
    return manager->instance;
}

const char *manager_runtime_directory(const struct manager *manager) {
    return manager->runtime_directory;
}

const char *manager_state_directory(const struct manager *manager) {
    return manager->state_directory;
}

int manager_status_page_fd(const struct manager *manager) {
    return status_page_fd(manager->status);
}

uint32_t manager_slot_version(const struct manager *manager, const struct region *region) {
    return status_slot_version(manager->status, region->slot);
}

const struct kept *manager_kept(const struct manager *manager) {
    return &manager->kept;
}

struct declarations *manager_declarations(const struct manager *manager) {
    return manager->declarations;
}

int manager_await_disk(struct manager *manager, void (*answered)(void *data), void *data,
                       struct disk_wait **ret) {
    return disk_await(manager->places.disk, manager->places.file_directory, answered, data, ret);
}

struct quota *manager_quota(struct manager *manager) {
    return manager->quota;
}

struct audit *manager_audit(struct manager *manager) {
    return manager->audit;
}

unsigned manager_n_regions(const struct manager *manager) {
    return manager->n_regions;
}
