/*
 * Manager, new content: a version replaces the one before in one step, whoever has the old one
 * keeps it, and a stage that is not published leaves nothing.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/stage.h"

static struct stage *stage(struct world *world, const char *name, uint64_t size) {
    struct caller owner = world_caller(WORLD_UID);
    struct region_spec spec = world_spec(name);
    struct stage *stage = NULL;
    struct error error = {0};
    int r;

    spec.size = size;
    r = manager_stage(world->manager, &owner, &spec, &stage, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return stage;
}

START_TEST(a_put_makes_a_region_and_then_versions_of_it) {
    struct caller owner = world_caller(WORLD_UID);
    uint32_t version = 0;
    struct world world;

    world_init(&world);
    for (uint32_t i = 1; i <= 5; i++) {
        ck_assert_int_eq(
            manager_put(world.manager, &owner, "value", "abcdefgh", i, 0640, &version, NULL), 0);
        ck_assert_uint_eq(version, i);
        world_expect_segments(&world, 1, 0);
    }
    world_expect_content(&world, "value", "abcde");
    world_expect_usage(&world, 1, 5, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_version_of_each_backing_outlives_the_daemon) {
    static const enum backing backings[] = {BACKING_SHM, BACKING_FILE};
    struct world world;

    world_init(&world);
    for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
        struct region_spec spec = world_spec(backing_to_word(backings[i]));

        spec.backing = backings[i];
        world_create(&world, WORLD_UID, &spec);
        world_put(&world, WORLD_UID, spec.name, "second");
        world_put(&world, WORLD_UID, spec.name, "third");
    }
    world_restart(&world);
    world_expect_content(&world, "shm", "third");
    world_expect_content(&world, "file", "third");
    world_expect_usage(&world, 2, 8192, 0, 0);
    world_expect_segments(&world, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(who_has_the_old_version_keeps_it_whole) {
    struct attachment *attachment = NULL;
    struct client *client;
    struct world world;
    const char *map;
    struct attachment_fds fds;
    uint32_t before;

    world_init(&world);
    world_put(&world, WORLD_UID, "value", "old");
    client = world_client(&world, WORLD_UID, getpid(), 1);
    ck_assert_int_eq(
        manager_attach(world.manager, client, "value", RIGHT_READ, &attachment, &fds, NULL), 0);
    map = mmap(NULL, 3, PROT_READ, MAP_SHARED, fds.segment, 0);
    attachment_fds_close(&fds);
    before = manager_slot_version(world.manager, attachment->region);
    world_put(&world, WORLD_UID, "value", "newer");
    ck_assert_uint_ne(manager_slot_version(world.manager, attachment->region), before);
    ck_assert_mem_eq(map, "old", 3);
    ck_assert_uint_eq(attachment->segment->version, 1);
    world_expect_content(&world, "value", "newer");
    /* Both versions are somebody's memory. */
    world_expect_usage(&world, 1, 8, 1, 1);
    ck_assert_int_eq(manager_detach(world.manager, client, attachment->id, NULL), 0);
    world_expect_usage(&world, 1, 5, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_is_nobodys_until_it_is_published) {
    struct caller owner = world_caller(WORLD_UID);
    struct stage *staged;
    struct world world;
    uint32_t version;

    world_init(&world);
    staged = stage(&world, "value", 6);
    ck_assert(!world_has(&world, "value"));
    ck_assert_int_eq(stage_write(staged, 3, "def", 3, NULL), 0);
    ck_assert_int_eq(stage_write(staged, 0, "abc", 3, NULL), 0);
    ck_assert_int_eq(stage_write(staged, 4, "abc", 3, NULL), -EINVAL);
    ck_assert_int_eq(stage_write(staged, UINT64_MAX, "abc", 3, NULL), -EINVAL);
    ck_assert_int_eq(manager_publish(world.manager, &owner, staged, 0, &version, NULL), 0);
    ck_assert_uint_eq(version, 1);
    world_expect_content(&world, "value", "abcdef");
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_that_is_freed_leaves_nothing) {
    struct region_spec spec = world_spec("file");
    struct world world;
    struct stage *staged;

    world_init(&world);
    spec.backing = BACKING_FILE;
    world_create(&world, WORLD_UID, &spec);
    staged = stage(&world, "value", 100);
    world_expect_segments(&world, 1, 1);
    world_expect_usage(&world, 1, 4196, 0, 0);
    stage_free(staged);
    staged = stage(&world, "file", 100);
    world_expect_segments(&world, 0, 2);
    stage_free(staged);
    world_expect_segments(&world, 0, 1);
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_left_by_a_killed_daemon_is_swept) {
    char name[80];
    struct world world;
    int fd;

    world_init(&world);
    /* What a kill between stage and publish leaves: a segment that no record points to. */
    snprintf(name, sizeof(name), "/dev/shm/shmreg.%s.77.1", manager_instance(world.manager));
    fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    world_expect_segments(&world, 1, 0);
    world_restart(&world);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_publish_is_refused_when_the_region_is_another_one_by_then) {
    struct caller owner = world_caller(WORLD_UID);
    struct stage *early, *late;
    struct error error = {0};
    struct world world;
    uint32_t version;

    world_init(&world);
    early = stage(&world, "value", 10);
    world_put(&world, WORLD_UID, "value", "first");
    late = stage(&world, "value", 10);
    ck_assert_int_eq(manager_publish(world.manager, &owner, early, 0, &version, &error), -ESTALE);
    ck_assert_ptr_nonnull(strstr(error.text, "was created meanwhile"));
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "value", NULL), 0);
    ck_assert_int_eq(manager_publish(world.manager, &owner, late, 0, &version, &error), -ESTALE);
    ck_assert_ptr_nonnull(strstr(error.text, "was destroyed meanwhile"));
    world_expect_segments(&world, 0, 0);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(who_may_publish) {
    struct caller other = world_caller(OTHER_UID);
    struct region_spec spec = world_spec("value");
    struct error error = {0};
    struct world world;
    uint32_t version;

    world_init(&world);
    spec.acl = "user:20002:r";
    world_create(&world, WORLD_UID, &spec);
    ck_assert_int_eq(manager_put(world.manager, &other, "value", "x", 1, 0600, &version, &error),
                     -EACCES);
    ck_assert_ptr_nonnull(strstr(error.text, "lacks the right 'w'"));
    ck_assert_int_eq(manager_set_access(world.manager, &(struct caller){.administrator = true},
                                        "value", NULL, "user:20002:w", NULL),
                     0);
    ck_assert_int_eq(manager_put(world.manager, &other, "value", "x", 1, 0600, &version, NULL), 0);
    ck_assert_uint_eq(version, 2);
    /* The region is its owner's, so is what it costs. */
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), WORLD_UID, LIMIT_BYTES), 4096);
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), OTHER_UID, LIMIT_BYTES), 0);
    world_deinit(&world);
}
END_TEST

static int publish_described(struct world *world, uid_t uid, const char *attributes) {
    struct region_spec spec = world_spec("value");
    struct caller caller = world_caller(uid);
    struct stage *stage = NULL;
    uint32_t version;
    int r;

    spec.mode = 0666;
    spec.attributes = attributes;
    r = manager_stage(world->manager, &caller, &spec, &stage, NULL);
    return r < 0 ? r : manager_publish(world->manager, &caller, stage, 0, &version, NULL);
}

START_TEST(attributes_go_with_the_version_they_describe) {
    struct caller owner = world_caller(WORLD_UID);
    struct region *region;
    struct world world;

    world_init(&world);
    ck_assert_int_eq(publish_described(&world, WORLD_UID, "{\"shape\":[1]}"), 0);
    ck_assert_int_eq(publish_described(&world, WORLD_UID, "{\"shape\":[2]}"), 0);
    ck_assert_int_eq(publish_described(&world, WORLD_UID, ""), 0);
    ck_assert_int_eq(publish_described(&world, WORLD_UID, "[2]"), -EINVAL);
    /* Who may write may replace the content, and not what is said of it. */
    ck_assert_int_eq(publish_described(&world, WORLD_UID + 1, "{}"), -EACCES);
    ck_assert_int_eq(publish_described(&world, WORLD_UID + 1, ""), 0);
    world_restart(&world);
    ck_assert_int_eq(manager_find_with(world.manager, &owner, "value", RIGHT_READ, &region, NULL),
                     0);
    ck_assert_str_eq(region->attributes, "{\"shape\":[2]}");
    ck_assert_uint_eq(region->segment->version, 4);
    world_deinit(&world);
}
END_TEST

START_TEST(a_put_that_cannot_be_leaves_the_old_content) {
    struct caller owner = world_caller(WORLD_UID);
    struct error error = {0};
    struct world world;
    uint32_t version;

    world_init(&world);
    world_put(&world, WORLD_UID, "value", "kept");
    world.config.user.most[LIMIT_BYTES] = 10;
    ck_assert_int_eq(
        manager_put(world.manager, &owner, "value", "0123456", 7, 0600, &version, &error), -EDQUOT);
    ck_assert_int_eq(manager_put(world.manager, &owner, "value", "", 0, 0600, &version, &error),
                     -EINVAL);
    ck_assert_int_eq(manager_put(world.manager, &owner, "a b", "x", 1, 0600, &version, &error),
                     -EINVAL);
    ck_assert_int_eq(manager_put(world.manager, &owner, "new", "x", 1, 0777, &version, &error),
                     -EINVAL);
    world_expect_content(&world, "value", "kept");
    world_expect_segments(&world, 1, 0);
    world_expect_usage(&world, 1, 4, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_of_a_region_takes_no_rule_from_its_request) {
    struct region_spec spec = world_spec("value");
    struct attachment *attachment = NULL;
    struct stage *staged = NULL;
    struct client *client;
    struct world world;
    int fd = -1;

    world_init(&world);
    world_put(&world, WORLD_UID, "value", "old");
    client = world_client(&world, WORLD_UID, getpid(), 1);
    spec.size = 100;
    spec.mode = 0777;
    spec.lifetime = UINT32_MAX;
    spec.durability = UINT32_MAX;
    spec.acl = "nobody";
    ck_assert_int_eq(manager_stage_as_client(world.manager, client, &spec, &staged, &fd, NULL), 0);
    close_fd(&fd);
    world_restart(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    staged = LIST_FIRST(&client->stages);
    ck_assert_ptr_nonnull(staged);
    ck_assert_int_eq(
        manager_publish_as_client(world.manager, client, staged->id, 1, &attachment, &fd, NULL), 0);
    ck_assert_uint_eq(attachment->segment->size, 100);
    ck_assert_uint_eq(attachment->region->access.mode, DEFAULT_MODE);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("manager-publish", a_put_makes_a_region_and_then_versions_of_it,
           a_version_of_each_backing_outlives_the_daemon, who_has_the_old_version_keeps_it_whole,
           a_stage_is_nobodys_until_it_is_published, a_stage_that_is_freed_leaves_nothing,
           a_stage_left_by_a_killed_daemon_is_swept,
           a_publish_is_refused_when_the_region_is_another_one_by_then, who_may_publish,
           a_stage_of_a_region_takes_no_rule_from_its_request,
           attributes_go_with_the_version_they_describe,
           a_put_that_cannot_be_leaves_the_old_content);
