/*
 * Declarations: what is declared is there, as it is declared; what has changed in a file is applied, what
 * would do harm is a problem and nothing more; content appears whole, and old readers keep theirs.
 */
#include "daemon/core/declare.h"

#include "daemon/ground/config.h"
#include "tests/unit/declarations.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(what_is_declared_is_there) {
    static const char *const texts[DECLARATIONS_MAX] = {
        "{\"name\": \"a\", \"size\": 4096, \"owner\": \"20001\", \"group\": \"20002\", \"mode\": "
        "\"0640\", \"acl\": [\"user:20003:rw\"], \"attributes\": {\"dtype\": \"u1\"}}",
        "{\"name\": \"b\", \"size\": 10, \"max_size\": 100, \"backing\": \"file\", \"sync_block\": "
        "true, \"durability\": \"none\"}",
        "{\"name\": \"c\", \"size\": 10, \"backing\": \"memfd\", \"lifetime\": \"attached\", "
        "\"seconds\": 1000}",
    };
    struct region *region;
    struct world world;

    world_init(&world);
    declarations_reload(&world, texts);
    declarations_expect_problems(&world, "");
    region = declarations_find(&world, "a");
    ck_assert_uint_eq(region->access.owner_uid, 20001);
    ck_assert_uint_eq(region->access.owner_gid, 20002);
    ck_assert_uint_eq(region->access.mode, 0640);
    ck_assert_str_eq(region->access.acl, "user:20003:rw");
    ck_assert_str_eq(region->attributes, "{\"dtype\":\"u1\"}");
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), 20001, LIMIT_BYTES), 4096);
    region = declarations_find(&world, "b");
    ck_assert_int_eq(region->segment->backing, BACKING_FILE);
    ck_assert_uint_eq(region->segment->max_size, 100);
    ck_assert_int_eq(region->durability, DURABILITY_NONE);
    ck_assert_ptr_nonnull(region->sync_block);
    ck_assert_uint_eq(region->access.owner_uid, getuid());
    ck_assert_int_eq(declarations_find(&world, "c")->lifetime, LIFETIME_ATTACHED);
    declarations_deinit(&world);
}
END_TEST

START_TEST(a_restart_changes_nothing) {
    static const char text[] = "{\"name\": \"a\", \"size\": 4096, \"owner\": \"20001\", \"group\": "
                               "\"20001\", \"mode\": \"0644\"}";
    struct caller root = world_caller(0);
    struct error error;
    struct world world;
    uint64_t id;

    world_init(&world);
    declarations_reload_one(&world, text);
    id = declarations_find(&world, "a")->id;
    world_put(&world, 20001, "a", "of a user");
    /* What users change since it was declared is theirs. */
    ck_assert_int_eq(manager_set_access(world.manager, &root, "a", &(uint32_t){0600}, NULL, &error),
                     0);
    world_restart(&world);
    declarations_reload_one(&world, text);
    declarations_expect_problems(&world, "");
    ck_assert_uint_eq(declarations_find(&world, "a")->id, id);
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->version, 2);
    ck_assert_uint_eq(declarations_find(&world, "a")->access.mode, 0600);
    world_expect_content(&world, "a", "of a user");
    declarations_deinit(&world);
}
END_TEST

START_TEST(what_has_changed_in_a_file_is_applied) {
    struct region *region;
    struct world world;

    world_init(&world);
    declarations_reload_one(
        &world, "{\"name\": \"a\", \"size\": 100, \"max_size\": 1000, \"owner\": \"20001\", "
                "\"group\": \"20001\", \"sync_block\": true, \"mode\": \"0640\"}");
    declarations_reload_one(
        &world, "{\"name\": \"a\", \"size\": 500, \"max_size\": 1000, \"owner\": \"20002\", "
                "\"group\": \"20003\", \"sync_block\": true, \"acl\": [\"user:20004:r\"], "
                "\"attributes\": {\"x\": 1}, \"lifetime\": \"lease\", \"seconds\": 1000}");
    declarations_expect_problems(&world, "");
    region = declarations_find(&world, "a");
    ck_assert_uint_eq(region->segment->size, 500);
    ck_assert_uint_eq(region->segment->version, 1);
    ck_assert_uint_eq(region->access.owner_uid, 20002);
    ck_assert_uint_eq(region->access.owner_gid, 20003);
    ck_assert_uint_eq(region->access.mode, DEFAULT_MODE);
    ck_assert_str_eq(region->access.acl, "user:20004:r");
    ck_assert_str_eq(region->attributes, "{\"x\":1}");
    ck_assert_int_eq(region->lifetime, LIFETIME_LEASE);
    ck_assert_uint_gt(region->deadline, 0);
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), 20001, LIMIT_BYTES), 0);
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), 20001, LIMIT_REGIONS), 0);
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), 20002, LIMIT_REGIONS), 1);
    ck_assert_uint_gt(quota_used_by(manager_quota(world.manager), 20002, LIMIT_BYTES), 1000);
    world_restart(&world);
    ck_assert_uint_eq(declarations_find(&world, "a")->access.owner_uid, 20002);
    ck_assert_int_eq(declarations_find(&world, "a")->lifetime, LIFETIME_LEASE);
    declarations_deinit(&world);
}
END_TEST

START_TEST(what_would_do_harm_is_a_problem) {
    static const char first[] = "{\"name\": \"a\", \"size\": 100, \"max_size\": 200}";
    static const char second[] = "{\n\"name\": \"a\",\n\"size\": 50,\n\"max_size\": 300,\n"
                                 "\"backing\": \"memfd\",\n\"sync_block\": true,\n"
                                 "\"mode\": \"0644\"}";
    static const char problems[] =
        "0.json:5: backing: region 'a' has the backing shm, which does not change: once it is "
        "destroyed, the next reload makes it anew\n"
        "0.json:3: size: region 'a' has 100 bytes and does not shrink: publish a version of 50 "
        "instead\n"
        "0.json:4: max_size: region 'a' has the max_size 200, which does not change: once it is "
        "destroyed, the next reload makes it anew\n"
        "0.json:6: sync_block: region 'a' has no sync block, which does not change: once it is "
        "destroyed, the next reload makes it anew\n";
    struct caller root = world_caller(0);
    struct error error;
    struct world world;

    world_init(&world);
    declarations_reload_one(&world, first);
    log_capture();
    declarations_reload_one(&world, second);
    declarations_expect_problems(&world, problems);
    ck_assert(log_has("0.json:3: size: region 'a' has 100 bytes"));
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->size, 100);
    ck_assert_uint_eq(declarations_find(&world, "a")->access.mode, 0644);
    /* It stays one, until it is as declared. */
    declarations_reload_one(&world, second);
    declarations_expect_problems(&world, problems);
    ck_assert_int_eq(manager_destroy(world.manager, &root, "a", &error), 0);
    declarations_reload_one(&world, second);
    declarations_expect_problems(&world, "");
    ck_assert_int_eq(declarations_find(&world, "a")->segment->backing, BACKING_MEMFD);
    declarations_deinit(&world);
}
END_TEST

START_TEST(the_region_of_another_is_left_alone) {
    static const char text[] = "{\"name\": \"a\", \"size\": 8192, \"mode\": \"0644\", \"owner\": "
                               "\"20001\", \"group\": \"20001\"}";
    struct region_spec spec = world_spec("a");
    struct caller root = world_caller(0);
    struct error error;
    struct world world;

    world_init(&world);
    world_create(&world, OTHER_UID, &spec);
    declarations_reload_one(&world, text);
    declarations_expect_problems(
        &world, "0.json:1: name: region 'a' exists and belongs to user 20002, who has "
                "made it: it is left alone\n");
    ck_assert_uint_eq(declarations_find(&world, "a")->access.owner_uid, OTHER_UID);
    ck_assert_uint_eq(declarations_find(&world, "a")->access.mode, DEFAULT_MODE);

    /* The owner's own becomes the declared one. */
    ck_assert_int_eq(manager_destroy(world.manager, &root, "a", &error), 0);
    spec.max_size = 8192;
    world_create(&world, 20001, &spec);
    declarations_reload_one(&world, text);
    declarations_expect_problems(&world, "");
    ck_assert_uint_eq(declarations_find(&world, "a")->access.mode, 0644);
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->size, 8192);
    declarations_deinit(&world);
}
END_TEST

START_TEST(limits_hold_for_the_owner) {
    static const char text[] = "{\"name\": \"a\", \"size\": 8192, \"owner\": \"20001\", \"group\": "
                               "\"20001\"}";
    struct world world;

    world_init(&world);
    world.config.user.most[LIMIT_BYTES] = 4096;
    declarations_reload_one(&world, text);
    ck_assert(!world_has(&world, "a"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world.config.user.most[LIMIT_BYTES] = 10000;
    declarations_reload_one(&world, text);
    declarations_expect_problems(&world, "");
    ck_assert(world_has(&world, "a"));

    /* The next owner has to afford it, too; else it stays whose it is. */
    world.config.user.most[LIMIT_BYTES] = 4096;
    declarations_reload_one(&world,
                            "{\"name\": \"a\", \"size\": 8192, \"owner\": \"20002\", \"group\": "
                            "\"20001\"}");
    ck_assert_uint_eq(declarations_find(&world, "a")->access.owner_uid, 20001);
    world_expect_usage(&world, 1, 8192, 0, 0);
    declarations_deinit(&world);
}
END_TEST

START_TEST(what_is_not_declared_any_more_stays) {
    static const char text[] = "{\"name\": \"a\", \"size\": 1}";
    struct caller root = world_caller(0);
    struct error error;
    struct world world;

    world_init(&world);
    declarations_reload_one(&world, text);
    declarations_reload_one(&world, NULL);
    declarations_expect_problems(
        &world, "region 'a' is not declared any more, and stays as it is (lifetime "
                "persistent)\n");
    world_restart(&world);
    manager_declare(world.manager);
    declarations_expect_problems(
        &world, "region 'a' is not declared any more, and stays as it is (lifetime "
                "persistent)\n");
    ck_assert_int_eq(manager_destroy(world.manager, &root, "a", &error), 0);
    declarations_reload_one(&world, NULL);
    declarations_expect_problems(&world, "");
    declarations_deinit(&world);
}
END_TEST

START_TEST(content_is_loaded_once_for_each_change_of_the_file) {
    char path[WORLD_PATH_MAX + 16], text[256], attributes[] = "{\"n\":1}";
    struct attachment *reader;
    struct segment *old;
    struct world world;

    world_init(&world);
    snprintf(path, sizeof(path), "%s/content", world.directory);
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\", \"mode\": \"0644\"}",
             path);
    declarations_write_file(path, "one");
    declarations_reload_one(&world, text);
    declarations_expect_problems(&world, "");
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->size, 3);
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->version, 1);
    world_expect_content(&world, "a", "one");
    world_restart(&world);
    declarations_reload_one(&world, text);
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->version, 1);

    reader = world_attach(world_client(&world, WORLD_UID, 0, 1), "a", RIGHT_READ);
    old = segment_ref(reader->segment);
    declarations_replace_file(&world, path, "another");
    snprintf(text, sizeof(text),
             "{\"name\": \"a\", \"content\": \"%s\", \"mode\": \"0644\", \"attributes\": %s}", path,
             attributes);
    declarations_reload_one(&world, text);
    declarations_expect_problems(&world, "");
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->version, 2);
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->size, 7);
    ck_assert_str_eq(declarations_find(&world, "a")->attributes, attributes);
    world_expect_content(&world, "a", "another");
    ck_assert_uint_eq(reader->segment->version, 1);
    ck_assert_uint_eq(old->size, 3);
    segment_unref(old);
    /* What a user publishes stays, as long as the file is the same. */
    world_put(&world, 0, "a", "user's");
    declarations_reload_one(&world, text);
    world_expect_content(&world, "a", "user's");
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->version, 3);
    declarations_deinit(&world);
}
END_TEST

/* Fails unless loading the path makes no region and is that problem. */
static void expect_unloadable(const char *path, const char *size, const char *problem) {
    char text[512], expected[512];
    struct world world;

    world_init(&world);
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\"%s}", path, size);
    snprintf(expected, sizeof(expected), "0.json:1: content: %s\n", problem);
    declarations_reload_one(&world, text);
    declarations_expect_problems(&world, expected);
    ck_assert(!world_has(&world, "a"));
    world_expect_usage(&world, 0, 0, 0, 0);
    declarations_deinit(&world);
}

START_TEST(what_is_no_content_is_a_problem) {
    char directory[] = "/tmp/shmreg-content-XXXXXX", path[64], other[64], problem[256];

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/none", directory);
    snprintf(problem, sizeof(problem), "cannot open %s: No such file or directory", path);
    expect_unloadable(path, "", problem);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    snprintf(problem, sizeof(problem), "%s is not a regular file", path);
    expect_unloadable(path, "", problem);
    ck_assert_int_eq(unlink(path), 0);
    declarations_write_file(path, "12345");
    snprintf(problem, sizeof(problem), "%s has 5 bytes, and the region is to have 4", path);
    expect_unloadable(path, ", \"size\": 4", problem);
    snprintf(other, sizeof(other), "%s/link", directory);
    ck_assert_int_eq(symlink(path, other), 0);
    snprintf(problem, sizeof(problem), "%s: a part of the path is a symbolic link", other);
    expect_unloadable(other, "", problem);
    ck_assert_int_eq(unlink(other), 0);
    ck_assert_int_eq(symlink(directory, other), 0);
    snprintf(other, sizeof(other), "%s/link/none", directory);
    snprintf(problem, sizeof(problem), "%s: a part of the path is a symbolic link", other);
    expect_unloadable(other, "", problem);
    snprintf(other, sizeof(other), "%s/link", directory);
    ck_assert_int_eq(unlink(other) | unlink(path) | rmdir(directory), 0);
}
END_TEST

START_TEST(what_cannot_be_is_a_mistake) {
    struct config config = {.default_backing = BACKING_SHM};
    struct error error = {0};

    ck_assert_int_eq(declared_parse(&config, "a.json",
                                    "{\n\"name\": \"a\", \"size\": 2, \"max_size\": 1}", &error),
                     0);
    ck_assert_int_eq(declare_check(&config, &error), -EINVAL);
    ck_assert_str_eq(error.text, "a.json:2: region 'a': max_size 1 is smaller than size 2");
    declared_deinit(config.declared);
    free(config.declared);
}
END_TEST

SUITE_MAIN("declare", what_is_declared_is_there, a_restart_changes_nothing,
           what_has_changed_in_a_file_is_applied, what_would_do_harm_is_a_problem,
           the_region_of_another_is_left_alone, limits_hold_for_the_owner,
           what_is_not_declared_any_more_stays, content_is_loaded_once_for_each_change_of_the_file,
           what_is_no_content_is_a_problem, what_cannot_be_is_a_mistake);
