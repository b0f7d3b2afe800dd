/*
 * Manager, the status page: what a region's slot says, that a record comes before it, and that the
 * next daemon makes up for what a kill has kept it from saying.
 */
#include "tests/unit/world.h"

#include <string.h>
#include <sys/mman.h>

#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"

static struct region *find(struct world *world, const char *name) {
    struct caller root = world_caller(0);
    struct region *region = NULL;

    ck_assert_int_eq(manager_find(world->manager, &root, name, &region, NULL), 0);
    return region;
}

/* What a client sees. */
static const struct status_slot *map_page(const struct world *world) {
    void *map = mmap(NULL, STATUS_SLOTS * sizeof(struct status_slot), PROT_READ, MAP_SHARED,
                     manager_status_page_fd(world->manager), 0);

    ck_assert_ptr_ne(map, MAP_FAILED);
    return map;
}

static void expect_flags(const struct status_slot *slot, uint32_t flags, uint32_t version) {
    ck_assert_uint_eq(slot->flags & ~SLOT_TURN_MASK, flags | version << SLOT_REGION_VERSION_SHIFT);
}

static void destroy(struct world *world, const char *name) {
    struct caller root = world_caller(0);

    ck_assert_int_eq(manager_destroy(world->manager, &root, name, NULL), 0);
}

START_TEST(a_slot_says_what_has_become_of_its_region) {
    const struct status_slot *slot;
    uint32_t before, slot_version;
    struct world world;

    world_init(&world);
    world_put(&world, WORLD_UID, "value", "first");
    slot = &map_page(&world)[find(&world, "value")->slot];
    expect_flags(slot, SLOT_LIVE, 1);
    before = slot->version;
    world_put(&world, WORLD_UID, "value", "second");
    expect_flags(slot, SLOT_LIVE, 2);
    ck_assert_uint_eq(slot->version, before + 1);
    slot_version = find(&world, "value")->slot_version;
    ck_assert_uint_eq(slot->version, slot_version);
    destroy(&world, "value");
    expect_flags(slot, SLOT_DESTROYED, 2);
    ck_assert_uint_eq(slot->version, before + 2);
    world_deinit(&world);
}
END_TEST

START_TEST(a_change_that_was_recorded_is_shown_by_the_next_daemon) {
    struct region_spec specs[] = {world_spec("shm"), world_spec("file")};
    const struct status_slot *slots, *changed;
    struct world world;

    world_init(&world);
    slots = map_page(&world);
    for (unsigned i = 0; i < 2; i++) {
        struct region *region;
        uint32_t version;

        specs[i].backing = i == 0 ? BACKING_SHM : BACKING_FILE;
        region = world_create(&world, WORLD_UID, &specs[i]);
        changed = &slots[region->slot];
        version = changed->version;
        /* What a kill after the commit leaves. */
        region->slot_version++;
        ck_assert_int_eq(manager_record(world.manager, region, NULL), 0);
        ck_assert_uint_eq(changed->version, version);
        world_restart(&world);
        ck_assert_uint_eq(changed->version, version + 1);
        expect_flags(changed, SLOT_LIVE, 1);
        world_restart(&world);
        ck_assert_uint_eq(changed->version, version + 1);
    }
    world_deinit(&world);
}
END_TEST

START_TEST(a_new_page_goes_on_from_what_was_recorded) {
    struct region_spec spec = world_spec("file");
    const struct status_slot *slot;
    char path[WORLD_PATH_MAX + 16];
    struct world world;
    uint32_t version;

    world_init(&world);
    spec.backing = BACKING_FILE;
    world_create(&world, WORLD_UID, &spec);
    for (unsigned i = 0; i < 5; i++)
        world_put(&world, WORLD_UID, "file", "content");
    version = find(&world, "file")->slot_version;
    world_stop(&world);
    snprintf(path, sizeof(path), "%s/status", world.runtime);
    ck_assert_int_eq(unlink(path), 0);
    world_start(&world);
    slot = &map_page(&world)[find(&world, "file")->slot];
    ck_assert_uint_ge(slot->version, version);
    expect_flags(slot, SLOT_LIVE, 6);
    world_deinit(&world);
}
END_TEST

START_TEST(a_record_that_cannot_be_written_shows_nothing) {
    struct region_spec spec = world_spec("region");
    const struct status_slot *slot;
    struct region *region;
    struct world world;
    uint32_t version;
    char *attributes;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    slot = &map_page(&world)[region->slot];
    version = slot->version;
    attributes = region->attributes;
    region->attributes = "\xff";
    ck_assert_int_lt(manager_record_shown(world.manager, region, NULL), 0);
    region->attributes = attributes;
    ck_assert_uint_eq(slot->version, version);
    ck_assert_uint_eq(region->slot_version, version);
    world_deinit(&world);
}
END_TEST

struct counter {
    struct observer observer;
    unsigned moves;
};

static void on_moved(struct observer *observer, const struct region *region) {
    struct counter *counter = (struct counter *)observer;

    ck_assert_str_eq(region->name, "value");
    counter->moves++;
}

START_TEST(observers_learn_of_every_move_and_of_nothing_else) {
    struct counter counter = {.observer.moved = on_moved};
    struct caller owner = world_caller(WORLD_UID);
    struct world world;

    world_init(&world);
    manager_observe(world.manager, &counter.observer);
    world_put(&world, WORLD_UID, "value", "first");
    ck_assert_uint_eq(counter.moves, 1);
    world_put(&world, WORLD_UID, "value", "second");
    ck_assert_uint_eq(counter.moves, 2);
    ck_assert_int_eq(manager_set_attributes(world.manager, &owner, "value", "{\"a\":1}", NULL), 0);
    ck_assert_uint_eq(counter.moves, 2);
    destroy(&world, "value");
    ck_assert_uint_eq(counter.moves, 3);
    manager_unobserve(&counter.observer);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("manager-slot", a_slot_says_what_has_become_of_its_region,
           a_change_that_was_recorded_is_shown_by_the_next_daemon,
           a_new_page_goes_on_from_what_was_recorded, a_record_that_cannot_be_written_shows_nothing,
           observers_learn_of_every_move_and_of_nothing_else);
