/*
 * The operations of the soak: every one that the library has, with everything about it left to
 * chance, and the errors that chance may lead to.
 */
#include "tests/soak/actor.h"

#include "proto/cleanup.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGIONS 512u
#define VALUES 64u
#define REGION_SIZE_MAX (64u << 10)
#define VALUE_SIZE_MAX 4096u
#define WAIT_MSEC 3
#define ACCESS_ALL "group:20100:rwm"
#define ACCESS_LESS "group:20100:rm"

/* The regions that are mapped, and those that are only put and got: what is got of those is whole. */
const char *actor_name(unsigned i, char ret[static 16]) {
    if (i >= REGIONS + VALUES)
        return NULL;
    snprintf(ret, 16, i < REGIONS ? "soak/%u" : "value/%u", i);
    return ret;
}

static const char *some_region(struct actor *actor, char ret[static 16]) {
    return actor_name((unsigned)actor_random(actor, REGIONS), ret);
}

static const char *some_value(struct actor *actor, char ret[static 16]) {
    return actor_name(REGIONS + (unsigned)actor_random(actor, VALUES), ret);
}

static struct shmreg_options some_options(struct actor *actor) {
    struct shmreg_options options = {
        .struct_size = sizeof(options), .mode = 0666, .acl = ACCESS_ALL};

    options.backing = (uint32_t)actor_random(actor, SHMREG_FILE + 1);
    options.lifetime = 1 + (uint32_t)actor_random(actor, SHMREG_LEASE);
    if (options.lifetime == SHMREG_ATTACHED || options.lifetime == SHMREG_LEASE)
        options.seconds = 1;
    if (options.backing == SHMREG_FILE && actor_once_in(actor, 2)) {
        options.durability = SHMREG_DURABILITY_INTERVAL;
        options.durability_seconds = 1;
    }
    if (actor_once_in(actor, 2))
        options.flags |= SHMREG_SYNC_BLOCK;
    if (actor_once_in(actor, 4))
        options.map_flags = SHMREG_POPULATE;
    if (actor_once_in(actor, 4))
        options.attributes = "{\"dtype\": \"u8\"}";
    return options;
}

static uint32_t some_access(struct actor *actor) {
    return actor_once_in(actor, 2) ? SHMREG_READ : SHMREG_WRITE;
}

static int create(struct actor *actor) {
    struct shmreg_options options = some_options(actor);
    uint64_t size = 1 + actor_random(actor, REGION_SIZE_MAX);
    shmreg_region *region = NULL;
    char name[16];
    int r;

    options.max_size = size * (1 + actor_random(actor, 2));
    if (actor_once_in(actor, 4))
        options.flags |= SHMREG_DETACHED;
    else if (options.lifetime == SHMREG_ATTACHED)
        options.seconds = (uint32_t)actor_random(actor, 2);
    r = shmreg_create(actor->client->conn, some_region(actor, name), size, &options, &region);
    if (r == 0 && region)
        memset(shmreg_data(region), 1, size);
    if (r == 0)
        actor_replace(actor, region);
    return r;
}

static int adopt(struct actor *actor) {
    struct shmreg_options options = some_options(actor);
    _cleanup_close_ int fd = memfd_create("soak", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    shmreg_region *region;
    char name[16];
    int r;

    ck_assert_int_eq(ftruncate(fd, 1 + (off_t)actor_random(actor, REGION_SIZE_MAX)), 0);
    options.backing = 0;
    options.durability = 0;
    options.durability_seconds = 0;
    r = shmreg_adopt(actor->client->conn, some_region(actor, name), fd, &options, &region);
    if (r == 0)
        actor_replace(actor, region);
    return r;
}

static int open_one(struct actor *actor) {
    shmreg_region *region;
    char name[16];
    int r = shmreg_open(actor->client->conn, some_region(actor, name), some_access(actor), &region);

    if (r == 0)
        actor_replace(actor, region);
    return r;
}

static int open_many(struct actor *actor) {
    char texts[3][16];
    const char *names[3];
    shmreg_region *regions[3];
    int r;

    for (unsigned i = 0; i < 3; i++)
        names[i] = some_region(actor, texts[i]);
    r = shmreg_open_many(actor->client->conn, names, 3, SHMREG_READ, regions);
    for (unsigned i = 0; r == 0 && i < 3; i++) {
        actor->handle = &actor->client->handles[i];
        actor_replace(actor, regions[i]);
    }
    return r;
}

static int stage(struct actor *actor) {
    struct shmreg_options options = some_options(actor);
    uint64_t size = 1 + actor_random(actor, REGION_SIZE_MAX);
    shmreg_region *region;
    char name[16];
    int r = shmreg_stage(actor->client->conn, some_region(actor, name), size, &options, &region);

    if (r == 0) {
        memset(shmreg_data(region), 2, size);
        actor_replace(actor, region);
    }
    return r;
}

static int publish(struct actor *actor) {
    if (shmreg_version(actor->handle->region) > 0)
        return stage(actor);
    return shmreg_publish(actor->handle->region, actor_once_in(actor, 2) ? 0 : 1, NULL);
}

static int close_one(struct actor *actor) {
    actor_replace(actor, NULL);
    return 0;
}

static int put(struct actor *actor) {
    size_t size = 1 + (size_t)actor_random(actor, VALUE_SIZE_MAX);
    char value[VALUE_SIZE_MAX], name[16];

    memset(value, (int)(size % 251), size);
    return shmreg_put(actor->client->conn, some_value(actor, name), value, size, 0666);
}

static int put_version(struct actor *actor) {
    char name[16];

    return shmreg_put(actor->client->conn, some_region(actor, name), name, sizeof(name), 0666);
}

static int get(struct actor *actor) {
    char value[VALUE_SIZE_MAX], name[16];
    size_t size;
    int r = shmreg_get(actor->client->conn, some_value(actor, name), value, sizeof(value), &size);

    for (size_t i = 0; r == 0 && i < size; i++)
        ck_assert_msg((unsigned char)value[i] == size % 251, "%s is a mixture", name);
    return r;
}

/* Somebody may resize, replace or destroy it between the two calls. */
static int resize(struct actor *actor) {
    struct shmreg_description *description;
    uint64_t size;
    char name[16];
    int r = shmreg_describe(actor->client->conn, some_region(actor, name), &description);

    if (r < 0)
        return r;
    size = description->size + actor_random(actor, 1 + description->max_size - description->size);
    shmreg_description_free(description);
    return shmreg_resize(actor->client->conn, name, size);
}

static int seal(struct actor *actor) {
    char name[16];

    return shmreg_seal(actor->client->conn, some_region(actor, name));
}

static int snapshot(struct actor *actor) {
    struct shmreg_options options = some_options(actor);
    char source[16], name[16];

    options.map_flags = 0;
    options.flags = 0;
    return shmreg_snapshot(actor->client->conn, some_region(actor, source),
                           some_region(actor, name), &options, NULL, NULL);
}

static int lock(struct actor *actor) {
    shmreg_region *region = actor->handle->region;
    int r = shmreg_lock(region, WAIT_MSEC);

    if (r == -EOWNERDEAD)
        r = shmreg_lock_recovered(region);
    if (r < 0)
        return r;
    r = shmreg_write_begin(region);
    if (r == 0)
        r = shmreg_write_end(region);
    return shmreg_unlock(region) < 0 || r < 0 ? -EPERM : 0;
}

static int notify(struct actor *actor) {
    return shmreg_notify(actor->handle->region);
}

static int wait_event(struct actor *actor) {
    struct handle *handle = actor->handle;

    if (actor_once_in(actor, 2))
        shmreg_notify(handle->region); /* if it may */
    return shmreg_wait_event(handle->region, handle->event, WAIT_MSEC, &handle->event);
}

static int wait_change(struct actor *actor) {
    return shmreg_wait(actor->handle->region, WAIT_MSEC);
}

static int refresh(struct actor *actor) {
    int r = shmreg_refresh(actor->handle->region);

    if (actor_once_in(actor, 2))
        shmreg_drop_old(actor->handle->region);
    return r;
}

static void count_news(void *data, shmreg_region *region, uint32_t what) {
    (void)data;
    ck_assert_uint_ne(what, 0);
    ck_assert(what & SHMREG_NEWS_DESTROYED || shmreg_version(region) > 0);
}

static int watch(struct actor *actor) {
    struct pollfd poller = {.events = POLLIN};

    poller.fd = shmreg_conn_fd(actor->client->conn);
    if (poller.fd < 0)
        return poller.fd;
    poll(&poller, 1, WAIT_MSEC);
    return shmreg_process(actor->client->conn, count_news, NULL);
}

static int destroy(struct actor *actor) {
    char name[16];

    return shmreg_destroy(actor->client->conn, actor_once_in(actor, 4) ? some_value(actor, name)
                                                                       : some_region(actor, name));
}

static int renew(struct actor *actor) {
    char name[16];

    return shmreg_renew(actor->client->conn, some_region(actor, name), 1);
}

static int describe(struct actor *actor) {
    struct shmreg_description *description;
    char name[16];
    int r = shmreg_describe(actor->client->conn, some_region(actor, name), &description);

    if (r == 0)
        shmreg_description_free(description);
    return r;
}

static int set_attributes(struct actor *actor) {
    char name[16];

    return shmreg_set_attributes(actor->client->conn, some_region(actor, name), "{\"shape\": [1]}");
}

static int set_access(struct actor *actor) {
    bool all = actor_once_in(actor, 2);
    char name[16];

    return shmreg_set_access(actor->client->conn, some_region(actor, name), all ? 0666 : 0644,
                             all ? ACCESS_ALL : ACCESS_LESS);
}

static int flush(struct actor *actor) {
    return shmreg_flush(actor->handle->region, 0, 1);
}

/* All handles go with the connection. */
static int reconnect(struct actor *actor) {
    shmreg_disconnect(actor->client->conn);
    *actor->client = (struct client){.conn = actor_connect(actor->daemon)};
    return 0;
}

const struct operation actor_operations[] = {
    {"create", create, 12, false, {-EEXIST}},
    {"adopt", adopt, 2, false, {-EEXIST}},
    {"open", open_one, 16, false, {-ENOENT, -EACCES, -EPERM}},
    {"open-many", open_many, 2, false, {-ENOENT}},
    {"stage", stage, 6, false, {-EACCES, -EOPNOTSUPP}},
    {"publish", publish, 16, true, {-ESTALE, -ENOENT, -EACCES, -EOPNOTSUPP}},
    {"close", close_one, 6, true, {0}},
    {"put", put, 4, false, {-EACCES}},
    {"put-version", put_version, 2, false, {-EACCES, -EOPNOTSUPP}},
    {"get", get, 4, false, {-ENOENT}},
    {"resize", resize, 3, false, {-ENOENT, -EACCES, -EINVAL, -EPERM}},
    {"seal", seal, 1, false, {-ENOENT, -EACCES, -EBUSY}},
    {"snapshot", snapshot, 2, false, {-ENOENT, -EEXIST}},
    {"lock", lock, 8, true, {-EOPNOTSUPP, -EACCES, -ETIMEDOUT}},
    {"notify", notify, 4, true, {-EOPNOTSUPP, -EACCES}},
    {"wait-event", wait_event, 2, true, {-EOPNOTSUPP, -ETIMEDOUT}},
    {"wait", wait_change, 2, true, {-ETIMEDOUT}},
    {"refresh", refresh, 6, true, {-ENOENT, -EACCES, -EPERM}},
    {"watch", watch, 3, false, {-ENOENT, -ECONNREFUSED, -ECONNRESET, -EACCES}},
    {"destroy", destroy, 12, false, {-ENOENT, -EACCES}},
    {"renew", renew, 2, false, {-ENOENT, -EACCES, -EINVAL}},
    {"describe", describe, 2, false, {-ENOENT}},
    {"set-attributes", set_attributes, 1, false, {-ENOENT, -EACCES}},
    {"set-access", set_access, 2, false, {-ENOENT, -EACCES}},
    {"flush", flush, 2, true, {-EOPNOTSUPP, -EBADF}},
    {"reconnect", reconnect, 1, false, {0}},
};

const unsigned actor_n_operations = ARRAY_SIZE(actor_operations);
_Static_assert(ARRAY_SIZE(actor_operations) <= ACTOR_OPERATIONS_MAX, "a tally has room for them");
