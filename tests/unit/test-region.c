/*
 * Region: the time it has left, and references that keep it until the last one goes.
 */
#include "daemon/core/region.h"
#include "daemon/core/clock.h"
#include "tests/unit/world.h"

#include <fcntl.h>
#include <unistd.h>

START_TEST(remaining_seconds_are_rounded_up) {
    struct region region = {0};

    ck_assert_uint_eq(region_remaining_seconds(&region), UINT32_MAX);
    region.deadline = boottime_usec();
    ck_assert_uint_eq(region_remaining_seconds(&region), 0);
    region.deadline = boottime_usec() + 100 * USEC_PER_SEC;
    ck_assert_uint_eq(region_remaining_seconds(&region), 100);
    region.deadline = boottime_usec() + 100 * USEC_PER_SEC + USEC_PER_SEC / 2;
    ck_assert_uint_eq(region_remaining_seconds(&region), 101);
    region.deadline = 1;
    ck_assert_uint_eq(region_remaining_seconds(&region), 0);
}
END_TEST

START_TEST(a_destroyed_region_lives_as_long_as_its_attachments) {
    struct caller owner = world_caller(WORLD_UID);
    struct region_spec spec = world_spec("kept");
    struct attachment *attachment;
    struct client *client;
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    client = world_client(&world, WORLD_UID, 0, 1);
    attachment = world_attach(client, "kept", RIGHT_READ);
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "kept", NULL), 0);
    ck_assert(!world_has(&world, "kept"));
    ck_assert(attachment->region->ended);
    ck_assert_str_eq(attachment->region->name, "kept");
    /* The name is free, the memory is still somebody's. */
    world_expect_usage(&world, 0, 4096, 1, 1);
    world_expect_segments(&world, 0, 0);
    ck_assert_int_eq(manager_detach(world.manager, client, attachment->id, NULL), 0);
    world_expect_usage(&world, 0, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(its_memory_goes_with_the_last_one_who_has_that_version) {
    struct caller owner = world_caller(WORLD_UID);
    struct region_spec spec = world_spec("versions");
    struct client *client;
    struct world world;
    unsigned before;

    world_init(&world);
    spec.backing = BACKING_MEMFD;
    before = count_descriptors();
    world_create(&world, WORLD_UID, &spec);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    world_attach(client, "versions", RIGHT_READ);
    world_put(&world, WORLD_UID, "versions", "second");
    world_expect_usage(&world, 1, 2 * 4096, 1, 1);
    /* Nobody has the second version: only the memory of the first is left after this. */
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "versions", NULL), 0);
    world_expect_usage(&world, 0, 4096, 1, 1);
    manager_remove_client(world.manager, client);
    world_expect_usage(&world, 0, 0, 0, 0);
    ck_assert_uint_eq(count_descriptors(), before);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("region", remaining_seconds_are_rounded_up,
           a_destroyed_region_lives_as_long_as_its_attachments,
           its_memory_goes_with_the_last_one_who_has_that_version);
