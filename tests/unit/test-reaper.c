/*
 * Reaper: each lifetime ends its region when it should and not before. Owners are killed, deadlines
 * run out; nothing is charged or left afterwards.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/clock.h"

/* Creates a region in the name of a client, without attaching. */
static struct region *create_owned(struct world *world, struct client *client,
                                   struct region_spec spec) {
    struct region *region = NULL;
    struct error error = {0};
    int r = manager_create(world->manager, &client->caller, client, &spec, &region, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return region;
}

static struct region_spec spec_of(const char *name, enum lifetime lifetime, uint32_t seconds) {
    struct region_spec spec = world_spec(name);

    spec.lifetime = lifetime;
    spec.seconds = seconds;
    return spec;
}

START_TEST(an_owner_region_ends_when_its_owner_is_killed) {
    pid_t owner = process_spawn();
    struct client *client;
    struct world world;
    uint64_t killed;

    log_capture();
    world_init(&world);
    client = world_client(&world, WORLD_UID, owner, 1);
    create_owned(&world, client, spec_of("owned/a", LIFETIME_OWNER, 0));
    create_owned(&world, client, spec_of("owned/b", LIFETIME_OWNER, 0));
    /* Its connection ends, the process lives on: so does the region. */
    manager_remove_client(world.manager, client);
    world_settle(&world);
    world_expect_usage(&world, 2, 8192, 0, 0);

    process_kill(owner);
    killed = boottime_usec();
    world_wait_gone(&world, "owned/a");
    world_wait_gone(&world, "owned/b");
    ck_assert_uint_lt(boottime_usec() - killed, 100000);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_expect_segments(&world, 0, 0);
    ck_assert(log_has("region 'owned/a' reaped: its owner's process ended"));
    world_deinit(&world);
}
END_TEST

START_TEST(an_owner_region_whose_owner_has_it_attached_ends_too) {
    pid_t owner = process_spawn(), reader = process_spawn();
    struct client *client, *other;
    struct region_spec spec = spec_of("owned", LIFETIME_OWNER, 0);
    struct world world;

    world_init(&world);
    client = world_client(&world, WORLD_UID, owner, 1);
    other = world_client(&world, WORLD_UID, reader, 2);
    create_owned(&world, client, spec);
    world_attach(client, "owned", RIGHT_WRITE);
    world_attach(other, "owned", RIGHT_READ);
    process_kill(owner);
    world_wait_gone(&world, "owned");
    world_expect_usage(&world, 0, 4096, 2, 2);
    manager_remove_client(world.manager, client);
    manager_remove_client(world.manager, other);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_destroyed_owner_region_is_not_reaped_again) {
    pid_t owner = process_spawn();
    struct client *client;
    struct world world;

    log_capture();
    world_init(&world);
    client = world_client(&world, WORLD_UID, owner, 1);
    create_owned(&world, client, spec_of("owned", LIFETIME_OWNER, 0));
    ck_assert_int_eq(manager_destroy(world.manager, &client->caller, "owned", NULL), 0);
    process_kill(owner);
    world_settle(&world);
    ck_assert(!log_has("reaped"));
    world_deinit(&world);
}
END_TEST

START_TEST(an_attached_region_with_linger_0_ends_with_its_last_attachment) {
    struct region_spec spec = spec_of("held", LIFETIME_ATTACHED, 0);
    struct attachment *first, *second;
    struct client *client;
    struct world world;

    world_init(&world);
    client = world_client(&world, WORLD_UID, 0, 1);
    first = world_create_attached(client, &spec);
    second = world_attach(client, "held", RIGHT_READ);
    world_settle(&world);
    ck_assert(world_has(&world, "held"));
    ck_assert_int_eq(manager_detach(world.manager, client, first->id, NULL), 0);
    world_settle(&world);
    ck_assert(world_has(&world, "held"));
    ck_assert_int_eq(manager_detach(world.manager, client, second->id, NULL), 0);
    world_wait_gone(&world, "held");
    world_expect_usage(&world, 0, 0, 0, 1);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_linger_is_waited_for_and_called_off) {
    struct attachment *attachment;
    struct client *client;
    struct region *region;
    struct world world;
    uint64_t detached;

    world_init(&world);
    client = world_client(&world, WORLD_UID, 0, 1);
    region = create_owned(&world, client, spec_of("held", LIFETIME_ATTACHED, 1));
    ck_assert_uint_eq(region_remaining_seconds(region), 1);
    attachment = world_attach(client, "held", RIGHT_READ);
    ck_assert_uint_eq(region_remaining_seconds(region), UINT32_MAX);
    ck_assert_int_eq(manager_detach(world.manager, client, attachment->id, NULL), 0);
    ck_assert_uint_eq(region_remaining_seconds(region), 1);
    world_attach(client, "held", RIGHT_READ);
    ck_assert_uint_eq(region_remaining_seconds(region), UINT32_MAX);
    manager_remove_client(world.manager, client);
    detached = boottime_usec();
    world_wait_gone(&world, "held");
    ck_assert_uint_ge(boottime_usec() - detached, USEC_PER_SEC);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_lease_runs_out_unless_it_is_renewed) {
    struct region_spec spec = spec_of("leased", LIFETIME_LEASE, 1);
    struct caller owner = world_caller(WORLD_UID), other = world_caller(OTHER_UID);
    struct error error = {0};
    struct world world;
    uint64_t created, renewed;
    struct region *region;

    log_capture();
    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    created = boottime_usec();
    ck_assert_uint_eq(region_remaining_seconds(region), 1);
    ck_assert_int_eq(manager_renew(world.manager, &other, "leased", 9, &error), -EACCES);
    ck_assert_int_eq(manager_renew(world.manager, &owner, "leased", 100, NULL), 0);
    ck_assert_uint_eq(region_remaining_seconds(region), 100);
    ck_assert_int_eq(manager_renew(world.manager, &owner, "leased", 1, NULL), 0);
    renewed = boottime_usec();
    world_wait_gone(&world, "leased");
    ck_assert_uint_ge(boottime_usec() - created, USEC_PER_SEC);
    ck_assert_uint_ge(boottime_usec() - renewed, USEC_PER_SEC - 1000);
    ck_assert(log_has("region 'leased' reaped: its lease ran out"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_renewal_of_0_is_for_the_duration_it_has) {
    struct region_spec lease = spec_of("leased", LIFETIME_LEASE, 50);
    struct region_spec plain = world_spec("plain");
    struct caller owner = world_caller(WORLD_UID);
    struct error error = {0};
    struct region *region;
    struct world world;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &lease);
    world_create(&world, WORLD_UID, &plain);
    ck_assert_int_eq(manager_renew(world.manager, &owner, "leased", 70, NULL), 0);
    ck_assert_int_eq(manager_renew(world.manager, &owner, "leased", 0, NULL), 0);
    ck_assert_uint_eq(region_remaining_seconds(region), 70);
    ck_assert_int_eq(manager_renew(world.manager, &owner, "plain", 70, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "has no lease"));
    ck_assert_int_eq(manager_renew(world.manager, &owner, "none", 70, NULL), -ENOENT);
    world_deinit(&world);
}
END_TEST

START_TEST(a_persistent_region_needs_nobody) {
    struct region_spec spec = world_spec("plain");
    struct client *client;
    struct world world;
    int n_events;

    world_init(&world);
    n_events = event_base_get_num_events(world.base, EVENT_BASE_COUNT_ADDED);
    world_create(&world, WORLD_UID, &spec);
    client = world_client(&world, WORLD_UID, 0, 1);
    world_attach(client, "plain", RIGHT_WRITE);
    process_kill(client->caller.pid);
    manager_remove_client(world.manager, client);
    world_settle(&world);
    ck_assert(world_has(&world, "plain"));
    /* Nor does an idle daemon wait for anything more than one without regions. */
    ck_assert_int_eq(event_base_get_num_events(world.base, EVENT_BASE_COUNT_ADDED), n_events);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("reaper", an_owner_region_ends_when_its_owner_is_killed,
           an_owner_region_whose_owner_has_it_attached_ends_too,
           a_destroyed_owner_region_is_not_reaped_again,
           an_attached_region_with_linger_0_ends_with_its_last_attachment,
           a_linger_is_waited_for_and_called_off, a_lease_runs_out_unless_it_is_renewed,
           a_renewal_of_0_is_for_the_duration_it_has, a_persistent_region_needs_nobody);
