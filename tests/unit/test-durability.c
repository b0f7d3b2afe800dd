/*
 * Durability: what a region may ask for, what is recorded, and when a timer runs.
 */
#include "daemon/core/durability.h"

#include "tests/unit/world.h"

#include <errno.h>
#include <string.h>

static struct world world;

static struct region_spec file_spec(enum durability durability, uint32_t seconds) {
    struct region_spec spec = world_spec("file");

    spec.backing = BACKING_FILE;
    spec.durability = durability;
    spec.durability_seconds = seconds;
    return spec;
}

static void expect_refused(const struct region_spec *spec, const char *text) {
    struct caller caller = world_caller(WORLD_UID);
    struct region *region;
    struct error error = {0};

    ck_assert_int_eq(manager_create(world.manager, &caller, NULL, spec, &region, &error), -EINVAL);
    ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
}

START_TEST(test_what_fits_together) {
    struct region_spec spec = file_spec(DURABILITY_INTERVAL, 0);

    world_init(&world);
    expect_refused(&spec, "seconds");
    spec = file_spec(DURABILITY_PUBLISH, 5);
    expect_refused(&spec, "seconds");
    spec = file_spec(99, 0);
    expect_refused(&spec, "none, interval, publish");
    spec = file_spec(DURABILITY_INTERVAL, 5);
    spec.backing = BACKING_MEMFD;
    expect_refused(&spec, "file");
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_defaults) {
    struct region_spec spec = file_spec(0, 0), shm = world_spec("shm");

    world_init(&world);
    ck_assert_int_eq(world_create(&world, WORLD_UID, &spec)->durability, DURABILITY_PUBLISH);
    ck_assert_int_eq(world_create(&world, WORLD_UID, &shm)->durability, DURABILITY_NONE);
    world_deinit(&world);
}
END_TEST

static struct region *find(const char *name) {
    struct caller root = world_caller(0);
    struct region *region = NULL;

    ck_assert_int_eq(manager_find(world.manager, &root, name, &region, NULL), 0);
    return region;
}

START_TEST(test_it_is_recorded) {
    struct region_spec spec = file_spec(DURABILITY_INTERVAL, 7);

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    world_restart(&world);
    ck_assert_int_eq(find("file")->durability, DURABILITY_INTERVAL);
    ck_assert_uint_eq(find("file")->durability_seconds, 7);
    world_deinit(&world);
}
END_TEST

static bool is_at_rest(struct world *w, void *data) {
    const struct region *region = data;

    (void)w;
    return !region->unsynced && !region->syncing && !evtimer_pending(region->sync_timer, NULL);
}

static bool is_syncing(struct world *w, void *data) {
    (void)w;
    return ((struct region *)data)->syncing;
}

START_TEST(test_a_change_is_synced_and_then_no_timer_runs) {
    struct region_spec spec = file_spec(DURABILITY_INTERVAL, 1);
    struct region *region;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    ck_assert(evtimer_pending(region->sync_timer, NULL));
    world_wait(&world, is_syncing, region);
    world_wait(&world, is_at_rest, region);
    world_put(&world, WORLD_UID, "file", "new");
    ck_assert(evtimer_pending(region->sync_timer, NULL));
    world_wait(&world, is_at_rest, region);
    world_deinit(&world);
}
END_TEST

START_TEST(test_while_there_are_writers_it_is_synced_again) {
    struct region_spec spec = file_spec(DURABILITY_INTERVAL, 1);
    struct client *client;
    struct region *region;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    world_wait(&world, is_at_rest, region);
    client = world_client(&world, WORLD_UID, 0, 1);
    world_attach(client, "file", RIGHT_READ);
    ck_assert(!region->unsynced);
    world_attach(client, "file", RIGHT_WRITE);
    ck_assert(region->unsynced);
    world_wait(&world, is_syncing, region);
    ck_assert(region->unsynced);
    manager_remove_client(world.manager, client);
    world_wait(&world, is_at_rest, region);
    world_deinit(&world);
}
END_TEST

static void destroy(void *data) {
    struct caller caller = world_caller(WORLD_UID);

    ck_assert_int_eq(manager_destroy(world.manager, &caller, "file", NULL), 0);
    *(bool *)data = true;
}

static bool is_true(struct world *w, void *data) {
    (void)w;
    return *(const bool *)data;
}

START_TEST(test_ended_while_it_waits_or_is_synced) {
    struct region_spec spec = file_spec(DURABILITY_INTERVAL, 1);
    struct region *region;
    struct disk_wait *wait;
    bool done;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    destroy(&done);
    region = world_create(&world, WORLD_UID, &spec);
    world_wait(&world, is_syncing, region);
    done = false;
    ck_assert_int_eq(manager_await_disk(world.manager, destroy, &done, &wait), 0);
    world_wait(&world, is_true, &done);
    world_settle(&world);
    world_deinit(&world);
}
END_TEST

START_TEST(test_without_interval_there_is_no_timer) {
    struct region_spec spec = file_spec(DURABILITY_NONE, 0);
    struct client *client;
    struct region *region;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    client = world_client(&world, WORLD_UID, 0, 1);
    world_attach(client, "file", RIGHT_WRITE);
    world_put(&world, WORLD_UID, "file", "new");
    ck_assert_ptr_null(region->sync_timer);
    manager_remove_client(world.manager, client);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("durability", test_what_fits_together, test_defaults, test_it_is_recorded,
           test_a_change_is_synced_and_then_no_timer_runs,
           test_while_there_are_writers_it_is_synced_again, test_ended_while_it_waits_or_is_synced,
           test_without_interval_there_is_no_timer);
