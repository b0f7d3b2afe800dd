/*
 * Cache: the least recently used goes first, as many as it takes, and never one that somebody has,
 * stages for or reads; none goes in vain; the order outlives the daemon.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "daemon/core/manager-private.h"
#include "daemon/core/snapshot.h"
#include "daemon/core/stage.h"
#include "proto/cleanup.h"
#include "proto/rights.h"

#define PAGE 4096u

static struct world world;

/* What was told of regions that were reaped. */
static struct {
    struct observer observer;
    char names[256];
    char reason[ERROR_TEXT_MAX];
} reaped;

static void on_notice(struct observer *observer, enum region_event event,
                      const struct region *region, const char *reason) {
    (void)observer;
    if (event != REGION_REAPED)
        return;
    strcat(strcat(reaped.names, region->name), " ");
    strcpy(reaped.reason, reason);
}

/* Fails unless these were reaped, in this order, since the last call; and if any, for that reason. */
static void expect_reaped(const char *names, const char *reason) {
    ck_assert_str_eq(reaped.names, names);
    ck_assert_msg(!*names || strstr(reaped.reason, reason), "%s", reaped.reason);
    *reaped.names = '\0';
}

static void observe(void) {
    reaped.observer.notice = on_notice;
    manager_observe(world.manager, &reaped.observer);
}

static void begin(void) {
    log_capture();
    world_init(&world);
    observe();
}

static void end(void) {
    world_deinit(&world);
}

static void limit_user(enum limit_kind kind, uint64_t most) {
    world.config.user.most[kind] = most;
}

static void limit_total(enum limit_kind kind, uint64_t most) {
    world.config.total.most[kind] = most;
}

static struct region_spec spec_of(const char *name, enum lifetime lifetime, uint64_t pages) {
    struct region_spec spec = world_spec(name);

    spec.lifetime = lifetime;
    spec.size = pages * PAGE;
    return spec;
}

static struct region *cached(uid_t uid, const char *name, uint64_t pages) {
    struct region_spec spec = spec_of(name, LIFETIME_CACHE, pages);

    return world_create(&world, uid, &spec);
}

static int try_create(uid_t uid, const char *name, uint64_t pages, struct error *error) {
    struct region_spec spec = spec_of(name, LIFETIME_PERSISTENT, pages);
    struct caller caller = world_caller(uid);
    struct region *region;

    return manager_create(world.manager, &caller, NULL, &spec, &region, error);
}

static void create(uid_t uid, const char *name, uint64_t pages) {
    struct error error = {0};
    int r = try_create(uid, name, pages, &error);

    ck_assert_msg(r == 0, "%s: %d: %s", name, r, error.text);
}

static void expect_refusal(uid_t uid, uint64_t pages, int code) {
    uint64_t bytes = quota_used(manager_quota(world.manager), LIMIT_BYTES);
    struct error error;

    ck_assert_int_eq(try_create(uid, "refused", pages, &error), code);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on "));
    ck_assert_uint_eq(quota_used(manager_quota(world.manager), LIMIT_BYTES), bytes);
    expect_reaped("", "");
}

START_TEST(the_least_recently_used_goes_and_no_more) {
    struct client *client;

    begin();
    client = world_client(&world, WORLD_UID, 0, 1);
    cached(WORLD_UID, "a", 1);
    cached(WORLD_UID, "b", 1);
    cached(WORLD_UID, "c", 1);
    limit_user(LIMIT_BYTES, (uint64_t)4 * PAGE);
    create(WORLD_UID, "fits", 1);
    expect_reaped("", "");
    manager_detach(world.manager, client, world_attach(client, "a", RIGHT_READ)->id, NULL);
    world_expect_content(&world, "b", "");
    create(WORLD_UID, "one", 1);
    expect_reaped("c ",
                  "its space was wanted: limit on bytes of user 20001: 16384 of 16384 in use, "
                  "4096 more asked for");
    ck_assert(log_has("region 'c' reaped: its space was wanted"));
    create(WORLD_UID, "two", 2);
    expect_reaped("a b ", "8192 more");
    world_expect_usage(&world, 3, (uint64_t)4 * PAGE, 0, 1);
    world_expect_segments(&world, 3, 0);
    expect_refusal(WORLD_UID, 1, -EDQUOT);
    end();
}
END_TEST

START_TEST(who_is_at_it_keeps_it) {
    struct caller caller = world_caller(WORLD_UID);
    struct region_spec spec = world_spec("staged");
    struct segment *read = NULL;
    struct attachment *attachment;
    struct client *client;
    struct stage *stage;

    begin();
    client = world_client(&world, WORLD_UID, 0, 1);
    cached(WORLD_UID, "attached", 1);
    cached(WORLD_UID, "staged", 1);
    cached(WORLD_UID, "read", 1);
    attachment = world_attach(client, "attached", RIGHT_READ);
    ck_assert_int_eq(manager_stage(world.manager, &caller, &spec, &stage, NULL), 0);
    ck_assert_int_eq(manager_read(world.manager, &caller, "read", &read, NULL), 0);
    limit_user(LIMIT_BYTES, (uint64_t)4 * PAGE);
    expect_refusal(WORLD_UID, 1, -EDQUOT);
    ck_assert_uint_eq(manager_relieve_pressure(world.manager, 100), 0);
    ck_assert(!cache_make_room(world.manager, BACKING_SHM, false));
    stage_free(stage);
    /* Nor does what replaces it take its place before it is there. */
    world_put(&world, WORLD_UID, "staged", "whole");
    limit_user(LIMIT_BYTES, (uint64_t)3 * PAGE);
    ck_assert_int_eq(manager_stage(world.manager, &caller, &spec, &stage, NULL), -EDQUOT);
    expect_reaped("", "");
    segment_unref(read);
    ck_assert_int_eq(manager_detach(world.manager, client, attachment->id, NULL), 0);
    create(WORLD_UID, "three", 3);
    expect_reaped("read staged attached ", "");
    world_expect_usage(&world, 1, (uint64_t)3 * PAGE, 0, 1);
    end();
}
END_TEST

START_TEST(a_snapshot_has_its_source_kept) {
    const struct region_spec spec = {
        .name = "copy", .mode = DEFAULT_MODE, .acl = "", .attributes = ""};
    struct caller caller = world_caller(WORLD_UID);
    struct snapshot *snapshot;
    struct region *region;
    struct error error;

    begin();
    cached(WORLD_UID, "source", 2);
    limit_user(LIMIT_BYTES, (uint64_t)3 * PAGE);
    ck_assert_int_eq(manager_snapshot(world.manager, &caller, NULL, "source", &spec,
                                      &(struct snapshot_listener){0}, &snapshot, &region, &error),
                     -EDQUOT);
    expect_reaped("", "");
    ck_assert(world_has(&world, "source"));
    end();
}
END_TEST

START_TEST(only_what_counts_for_the_limit_goes) {
    begin();
    cached(OTHER_UID, "other", 8);
    cached(WORLD_UID, "own", 1);
    limit_user(LIMIT_BYTES, (uint64_t)2 * PAGE);
    create(WORLD_UID, "two", 2);
    expect_reaped("own ", "user 20001");
    expect_refusal(WORLD_UID, 1, -EDQUOT);
    limit_total(LIMIT_REGIONS, 2);
    create(20003, "third", 1);
    expect_reaped("other ", "limit on regions of all users together: 2 of 2");
    expect_refusal(20003, 1, -ENOSPC);
    end();
}
END_TEST

START_TEST(a_namespace_makes_room_in_itself) {
    struct limits most;
    struct namespace feed = {.prefix = "feed", .anyone = true, .limits = &most};

    begin();
    most = world.config.user;
    most.most[LIMIT_BYTES] = (uint64_t)3 * PAGE;
    world.config.namespaces = &feed;
    ck_assert_int_eq(manager_configure(world.manager, &world.config), 0);
    cached(OTHER_UID, "user/20002/outside", 1);
    cached(OTHER_UID, "feed/a", 1);
    cached(OTHER_UID, "feed/b", 1);
    create(WORLD_UID, "feed/c", 2);
    expect_reaped("feed/a ", "limit on bytes of namespace 'feed': 8192 of 12288 in use");
    create(WORLD_UID, "feed/d", 1);
    expect_reaped("feed/b ", "");
    end();
}
END_TEST

static int give(const char *name, uid_t uid, struct error *error) {
    struct caller root = world_caller(0);

    return manager_set_owner(world.manager, &root, name, uid, uid, error);
}

START_TEST(only_the_next_owner_makes_room_for_what_he_is_given) {
    struct error error;

    begin();
    cached(WORLD_UID, "given", 1);
    cached(OTHER_UID, "other", 1);
    create(20003, "kept", 1);
    limit_total(LIMIT_REGIONS, 3);
    limit_total(LIMIT_BYTES, (uint64_t)3 * PAGE);
    limit_user(LIMIT_REGIONS, 1);
    ck_assert_int_eq(give("given", 20004, NULL), 0);
    expect_reaped("", "");
    /* It is the least recently used. */
    ck_assert_int_eq(give("given", OTHER_UID, NULL), 0);
    expect_reaped("other ", "limit on regions of user 20002: 1 of 1 in use");
    ck_assert_int_eq(give("given", 20003, &error), -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on regions of user 20003: 1 of 1 in use"));
    expect_reaped("", "");
    world_expect_usage(&world, 2, (uint64_t)2 * PAGE, 0, 0);
    end();
}
END_TEST

START_TEST(none_goes_in_vain) {
    struct region_spec spec = spec_of("block", LIFETIME_CACHE, 1);

    begin();
    spec.sync_block = true;
    world_create(&world, WORLD_UID, &spec);
    create(OTHER_UID, "kept", 2);
    limit_user(LIMIT_BYTES, (uint64_t)2 * PAGE);
    limit_total(LIMIT_BYTES, (uint64_t)4 * PAGE);
    /* More than the user may have at all; more than goes by all together. */
    expect_refusal(WORLD_UID, 3, -EDQUOT);
    limit_total(LIMIT_BYTES, (uint64_t)3 * PAGE);
    expect_refusal(WORLD_UID, 2, -EDQUOT);
    /* Both limits are in the way, and one region helps with both, with its sync block. */
    limit_total(LIMIT_BYTES, (uint64_t)4 * PAGE);
    create(WORLD_UID, "two", 2);
    expect_reaped("block ", "user 20001");
    world_expect_usage(&world, 2, (uint64_t)4 * PAGE, 0, 0);
    end();
}
END_TEST

static bool is_without_clients(struct world *of, void *data) {
    (void)data;
    return TAILQ_EMPTY(&of->manager->clients);
}

START_TEST(the_order_outlives_the_daemon) {
    struct region_spec file = spec_of("d", LIFETIME_CACHE, 1);
    pid_t holder = process_spawn();
    struct client *client;

    begin();
    cached(WORLD_UID, "a", 1);
    cached(WORLD_UID, "b", 1);
    cached(WORLD_UID, "c", 1);
    file.backing = BACKING_FILE;
    world_create(&world, WORLD_UID, &file);
    cached(WORLD_UID, "e", 1);
    client = world_client(&world, WORLD_UID, holder, 1);
    manager_detach(world.manager, client, world_attach(client, "b", RIGHT_READ)->id, NULL);
    world_attach(client, "a", RIGHT_READ);
    world_put(&world, WORLD_UID, "c", "new");
    world_restart(&world);
    observe();
    limit_user(LIMIT_BYTES, (uint64_t)5 * PAGE);
    create(WORLD_UID, "one", 3);
    expect_reaped("d e b ", "");
    process_kill(holder);
    world_wait(&world, is_without_clients, NULL);
    create(WORLD_UID, "two", 2);
    expect_reaped("c a ", "");
    end();
}
END_TEST

START_TEST(pressure_takes_a_share) {
    struct region_spec file = spec_of("file", LIFETIME_CACHE, 100);
    struct client *client;

    begin();
    file.backing = BACKING_FILE;
    world_create(&world, WORLD_UID, &file);
    ck_assert_uint_eq(manager_relieve_pressure(world.manager, 100), 0);
    client = world_client(&world, WORLD_UID, 0, 1);
    cached(WORLD_UID, "attached", 100);
    world_attach(client, "attached", RIGHT_READ);
    cached(WORLD_UID, "a", 10);
    cached(OTHER_UID, "b", 10);
    cached(WORLD_UID, "c", 80);
    ck_assert_uint_eq(manager_relieve_pressure(world.manager, 11), 2);
    expect_reaped("a b ", "its space was wanted: the host is short of memory");
    cached(WORLD_UID, "d", 1);
    ck_assert_uint_eq(manager_relieve_pressure(world.manager, 1), 1);
    expect_reaped("c ", "");
    ck_assert_uint_eq(manager_relieve_pressure(world.manager, 0), 1);
    expect_reaped("d ", "");
    ck_assert_uint_eq(manager_relieve_pressure(world.manager, 100), 0);
    world_expect_usage(&world, 2, (uint64_t)200 * PAGE, 1, 1);
    end();
}
END_TEST

START_TEST(room_is_made_of_what_is_missing) {
    struct region_spec file = spec_of("file", LIFETIME_CACHE, 1);
    struct client *client;

    begin();
    file.backing = BACKING_FILE;
    world_create(&world, WORLD_UID, &file);
    cached(WORLD_UID, "empty", 1);
    cached(WORLD_UID, "full", 1);
    world_put(&world, WORLD_UID, "full", "text");
    client = world_client(&world, WORLD_UID, 0, 1);
    /* It is not the request under way that has taken effect. */
    manager_begin_request(client, 7, false);
    ck_assert(cache_make_room(world.manager, BACKING_SHM, true));
    expect_reaped("full ", "its space was wanted: no space is left for a shm segment");
    ck_assert_uint_ne(client->session.serial, 7);
    manager_end_request(client, 7, false);
    ck_assert(!cache_make_room(world.manager, BACKING_SHM, true));
    ck_assert(cache_make_room(world.manager, BACKING_SHM, false));
    expect_reaped("empty ", "");
    ck_assert(!cache_make_room(world.manager, BACKING_SHM, false));
    ck_assert(cache_make_room(world.manager, BACKING_FILE, false));
    expect_reaped("file ", "file segment");
    world_expect_usage(&world, 0, 0, 0, 1);
    end();
}
END_TEST

SUITE_MAIN("cache", the_least_recently_used_goes_and_no_more, who_is_at_it_keeps_it,
           a_snapshot_has_its_source_kept, only_what_counts_for_the_limit_goes,
           a_namespace_makes_room_in_itself, only_the_next_owner_makes_room_for_what_he_is_given,
           none_goes_in_vain, the_order_outlives_the_daemon, pressure_takes_a_share,
           room_is_made_of_what_is_missing);
