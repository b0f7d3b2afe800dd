/*
 * Reconcile: what the next daemon finds. Regions, holders, owners and slots go on; what is broken
 * is set aside, what is lost is said, what is left over is removed.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"

static struct region *find(struct world *world, const char *name) {
    struct caller root = world_caller(0);
    struct region *region = NULL;

    ck_assert_int_eq(manager_find(world->manager, &root, name, &region, NULL), 0);
    return region;
}

START_TEST(regions_go_on_as_they_were) {
    struct region_spec spec = world_spec("shm"), file = world_spec("file");
    uint32_t slot, slot_version;
    struct region *region;
    struct world world;
    int64_t created;
    uint64_t id;

    world_init(&world);
    spec.max_size = 10000;
    file.backing = BACKING_FILE;
    region = world_create(&world, WORLD_UID, &spec);
    world_create(&world, OTHER_UID, &file);
    id = region->id;
    slot = region->slot;
    created = region->created_usec;
    slot_version = manager_slot_version(world.manager, region);
    for (unsigned i = 0; i < 3; i++) {
        world_restart(&world);
        region = find(&world, "shm");
        ck_assert_uint_eq(region->id, id);
        ck_assert_uint_eq(region->slot, slot);
        ck_assert_int_eq(region->created_usec, created);
        ck_assert_uint_eq(manager_slot_version(world.manager, region), slot_version);
        ck_assert_uint_eq(region->segment->max_size, 10000);
        ck_assert_uint_eq(find(&world, "file")->access.owner_uid, OTHER_UID);
        world_expect_usage(&world, 2, 14096, 0, 0);
        world_expect_segments(&world, 1, 1);
    }
    spec.name = "next";
    ck_assert_uint_gt(world_create(&world, WORLD_UID, &spec)->id, id);
    world_deinit(&world);
}
END_TEST

START_TEST(holders_go_on_until_their_process_ends) {
    struct region_spec spec = world_spec("held");
    pid_t holder = process_spawn();
    struct client *client;
    struct region *region;
    struct world world;

    world_init(&world);
    client = world_client(&world, WORLD_UID, holder, 42);
    spec.lifetime = LIFETIME_ATTACHED;
    world_create_attached(client, &spec);
    world_attach(client, "held", RIGHT_READ);
    world_restart(&world);
    world_restart(&world);
    region = find(&world, "held");
    ck_assert_uint_eq(region->readers, 1);
    ck_assert_uint_eq(region->writers, 1);
    world_expect_usage(&world, 1, 4096, 2, 0);
    world_settle(&world);
    ck_assert(world_has(&world, "held"));
    process_kill(holder);
    world_wait_gone(&world, "held");
    world_expect_usage(&world, 0, 0, 0, 0);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_client_that_comes_back_has_what_it_had) {
    struct region_spec spec = world_spec("held");
    pid_t process = process_spawn(), stranger = process_spawn();
    struct caller caller = world_caller(WORLD_UID);
    struct client *client, *other;
    struct world world;
    uint64_t id;

    world_init(&world);
    client = world_client(&world, WORLD_UID, process, 42);
    world_create(&world, WORLD_UID, &spec);
    id = world_attach(client, "held", RIGHT_READ)->id;
    world_restart(&world);

    caller.pid = stranger;
    ck_assert_int_eq(manager_add_client(world.manager, &caller, -1, &other, NULL), 0);
    ck_assert(!manager_identify_client(world.manager, other, 42));
    caller = world_caller(OTHER_UID);
    caller.pid = process;
    ck_assert_int_eq(manager_add_client(world.manager, &caller, -1, &other, NULL), 0);
    ck_assert(!manager_identify_client(world.manager, other, 42));
    caller = world_caller(WORLD_UID);
    caller.pid = process;
    ck_assert_int_eq(manager_add_client(world.manager, &caller, -1, &client, NULL), 0);
    ck_assert(!manager_identify_client(world.manager, client, 43));
    ck_assert(manager_identify_client(world.manager, client, 42));
    ck_assert_ptr_nonnull(client_find_attachment(client, id));
    world_expect_usage(&world, 1, 4096, 1, 3);
    /* From now on it is the connection that counts, not the process. */
    manager_remove_client(world.manager, client);
    world_expect_usage(&world, 1, 4096, 0, 2);
    world_restart(&world);
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_holder_killed_meanwhile_holds_nothing) {
    struct region_spec spec = world_spec("held");
    pid_t holder = process_spawn();
    struct client *client;
    struct world world;

    world_init(&world);
    client = world_client(&world, WORLD_UID, holder, 42);
    spec.lifetime = LIFETIME_ATTACHED;
    world_create_attached(client, &spec);
    world_stop(&world);
    process_kill(holder);
    world_start(&world);
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_wait_gone(&world, "held");
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(holders_of_an_old_version_share_what_it_costs) {
    struct client *first, *second;
    struct world world;

    world_init(&world);
    world_put(&world, WORLD_UID, "value", "one");
    first = world_client(&world, WORLD_UID, getpid(), 1);
    second = world_client(&world, WORLD_UID, getpid(), 2);
    world_attach(first, "value", RIGHT_READ);
    world_attach(second, "value", RIGHT_READ);
    world_put(&world, WORLD_UID, "value", "three");
    world_expect_usage(&world, 1, 8, 2, 2);
    world_restart(&world);
    world_expect_usage(&world, 1, 8, 2, 0);
    first = world_client(&world, WORLD_UID, getpid(), 1);
    manager_remove_client(world.manager, first);
    world_expect_usage(&world, 1, 8, 1, 0);
    second = world_client(&world, WORLD_UID, getpid(), 2);
    manager_remove_client(world.manager, second);
    world_expect_usage(&world, 1, 5, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(an_owner_region_follows_its_owner_across_restarts) {
    struct region_spec spec = world_spec("alive");
    pid_t alive = process_spawn(), killed = process_spawn();
    struct client *client;
    struct region *region;
    struct world world;

    log_capture();
    world_init(&world);
    spec.lifetime = LIFETIME_OWNER;
    client = world_client(&world, WORLD_UID, alive, 1);
    ck_assert_int_eq(manager_create(world.manager, &client->caller, client, &spec, &region, NULL),
                     0);
    spec.name = "dead";
    client = world_client(&world, WORLD_UID, killed, 2);
    ck_assert_int_eq(manager_create(world.manager, &client->caller, client, &spec, &region, NULL),
                     0);
    world_stop(&world);
    process_kill(killed);
    world_start(&world);
    ck_assert(world_has(&world, "alive"));
    ck_assert(!world_has(&world, "dead"));
    ck_assert(log_has("region 'dead' reaped: its owner's process ended while"));
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_expect_segments(&world, 1, 0);
    process_kill(alive);
    world_wait_gone(&world, "alive");
    world_deinit(&world);
}
END_TEST

/* Writes the region's record again with another start time of its owner, as if its pid had been
 * given to another process. */
static void recycle_owner(struct world *world, const char *name) {
    struct region *region = find(world, name);

    region->owner_identity.start_time--;
    ck_assert_int_eq(manager_record(world->manager, region, NULL), 0);
}

START_TEST(a_recycled_pid_is_not_the_owner) {
    struct region_spec spec = world_spec("owned");
    struct client *client;
    struct region *region;
    struct world world;

    world_init(&world);
    spec.lifetime = LIFETIME_OWNER;
    client = world_client(&world, WORLD_UID, getpid(), 1);
    ck_assert_int_eq(manager_create(world.manager, &client->caller, client, &spec, &region, NULL),
                     0);
    world_restart(&world);
    ck_assert(world_has(&world, "owned"));
    recycle_owner(&world, "owned");
    world_restart(&world);
    ck_assert(!world_has(&world, "owned"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_lease_goes_on_where_it_was) {
    struct region_spec spec = world_spec("leased"), over = world_spec("over");
    uint64_t deadline;
    struct world world;

    world_init(&world);
    spec.lifetime = over.lifetime = LIFETIME_LEASE;
    spec.seconds = 500;
    over.seconds = 1;
    deadline = world_create(&world, WORLD_UID, &spec)->deadline;
    world_create(&world, WORLD_UID, &over);
    world_restart(&world);
    ck_assert_uint_eq(find(&world, "leased")->deadline, deadline);
    world_wait_gone(&world, "over");
    ck_assert(world_has(&world, "leased"));
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("reconcile", regions_go_on_as_they_were, holders_go_on_until_their_process_ends,
           a_client_that_comes_back_has_what_it_had, a_holder_killed_meanwhile_holds_nothing,
           holders_of_an_old_version_share_what_it_costs,
           an_owner_region_follows_its_owner_across_restarts, a_recycled_pid_is_not_the_owner,
           a_lease_goes_on_where_it_was);
