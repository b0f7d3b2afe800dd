/*
 * Declarations: what is declared is there, as it is declared; what has changed in a file is applied, what
 * would do harm is a problem and nothing more; content appears whole, and old readers keep theirs.
 */
#include "daemon/core/declare.h"

#include "daemon/core/disk.h"
#include "daemon/core/manager-private.h"
#include "daemon/ground/config.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4

/* What the files say; a text that is NULL is no file. */
static struct config *declare(struct world *world, const char *const texts[FILES_MAX]) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int r = 0;

    ck_assert_ptr_nonnull(config);
    *config = world->config;
    config->declared = NULL;
    config->n_declared = 0;
    for (size_t i = 0; r == 0 && i < FILES_MAX; i++) {
        char file[16];

        snprintf(file, sizeof(file), "%zu.json", i);
        r = texts[i] ? declared_parse(config, file, texts[i], &error) : 0;
    }
    if (r == 0)
        r = declared_settle(config, &error);
    if (r == 0)
        r = declare_check(config, &error);
    ck_assert_msg(r == 0, "%s", error.text);
    return config;
}

static bool is_loaded(struct world *world, void *data) {
    (void)data;
    return declarations_n_loading(manager_declarations(world->manager)) == 0;
}

/* A reload with these files, of which content may still be loaded; or until all is. */
static void begin_reload(struct world *world, const char *const texts[FILES_MAX]) {
    struct config old = world->config, *new = declare(world, texts);

    world->config.declared = new->declared;
    world->config.n_declared = new->n_declared;
    manager_configure(world->manager, &world->config);
    for (size_t i = 0; i < old.n_declared; i++)
        declared_deinit(&old.declared[i]);
    free(old.declared);
    free(new);
}

static void reload(struct world *world, const char *const texts[FILES_MAX]) {
    begin_reload(world, texts);
    world_wait(world, is_loaded, NULL);
}

static void reload_one(struct world *world, const char *text) {
    reload(world, (const char *const[FILES_MAX]){text});
}

static void deinit(struct world *world) {
    reload_one(world, NULL);
    world_deinit(world);
}

static void append(void *data, const char *problem) {
    strcat(strcat(data, problem), "\n");
}

/* Fails unless these are all the problems, one a line. */
static void expect_problems(struct world *world, const char *expected) {
    char problems[2048] = "";

    declarations_each_problem(manager_declarations(world->manager), append, problems);
    ck_assert_str_eq(problems, expected);
}

static struct region *find(struct world *world, const char *name) {
    struct region *region = manager_lookup(world->manager, name);

    ck_assert_msg(region, "there is no region '%s'", name);
    return region;
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* As an administrator replaces a file. */
static void replace_file(struct world *world, const char *path, const char *text) {
    char next[WORLD_PATH_MAX + 16];

    snprintf(next, sizeof(next), "%s/next", world->directory);
    write_file(next, text);
    ck_assert_int_eq(rename(next, path), 0);
}

START_TEST(what_is_declared_is_there) {
    static const char *const texts[FILES_MAX] = {
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
    reload(&world, texts);
    expect_problems(&world, "");
    region = find(&world, "a");
    ck_assert_uint_eq(region->access.owner_uid, 20001);
    ck_assert_uint_eq(region->access.owner_gid, 20002);
    ck_assert_uint_eq(region->access.mode, 0640);
    ck_assert_str_eq(region->access.acl, "user:20003:rw");
    ck_assert_str_eq(region->attributes, "{\"dtype\":\"u1\"}");
    ck_assert_uint_eq(quota_used_by(manager_quota(world.manager), 20001, LIMIT_BYTES), 4096);
    region = find(&world, "b");
    ck_assert_int_eq(region->segment->backing, BACKING_FILE);
    ck_assert_uint_eq(region->segment->max_size, 100);
    ck_assert_int_eq(region->durability, DURABILITY_NONE);
    ck_assert_ptr_nonnull(region->sync_block);
    ck_assert_uint_eq(region->access.owner_uid, getuid());
    ck_assert_int_eq(find(&world, "c")->lifetime, LIFETIME_ATTACHED);
    deinit(&world);
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
    reload_one(&world, text);
    id = find(&world, "a")->id;
    world_put(&world, 20001, "a", "of a user");
    /* What users change since it was declared is theirs. */
    ck_assert_int_eq(manager_set_access(world.manager, &root, "a", &(uint32_t){0600}, NULL, &error),
                     0);
    world_restart(&world);
    reload_one(&world, text);
    expect_problems(&world, "");
    ck_assert_uint_eq(find(&world, "a")->id, id);
    ck_assert_uint_eq(find(&world, "a")->segment->version, 2);
    ck_assert_uint_eq(find(&world, "a")->access.mode, 0600);
    world_expect_content(&world, "a", "of a user");
    deinit(&world);
}
END_TEST

START_TEST(what_has_changed_in_a_file_is_applied) {
    struct region *region;
    struct world world;

    world_init(&world);
    reload_one(&world, "{\"name\": \"a\", \"size\": 100, \"max_size\": 1000, \"owner\": \"20001\", "
                       "\"group\": \"20001\", \"sync_block\": true, \"mode\": \"0640\"}");
    reload_one(&world, "{\"name\": \"a\", \"size\": 500, \"max_size\": 1000, \"owner\": \"20002\", "
                       "\"group\": \"20003\", \"sync_block\": true, \"acl\": [\"user:20004:r\"], "
                       "\"attributes\": {\"x\": 1}, \"lifetime\": \"lease\", \"seconds\": 1000}");
    expect_problems(&world, "");
    region = find(&world, "a");
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
    ck_assert_uint_eq(find(&world, "a")->access.owner_uid, 20002);
    ck_assert_int_eq(find(&world, "a")->lifetime, LIFETIME_LEASE);
    deinit(&world);
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
    reload_one(&world, first);
    log_capture();
    reload_one(&world, second);
    expect_problems(&world, problems);
    ck_assert(log_has("0.json:3: size: region 'a' has 100 bytes"));
    ck_assert_uint_eq(find(&world, "a")->segment->size, 100);
    ck_assert_uint_eq(find(&world, "a")->access.mode, 0644);
    /* It stays one, until it is as declared. */
    reload_one(&world, second);
    expect_problems(&world, problems);
    ck_assert_int_eq(manager_destroy(world.manager, &root, "a", &error), 0);
    reload_one(&world, second);
    expect_problems(&world, "");
    ck_assert_int_eq(find(&world, "a")->segment->backing, BACKING_MEMFD);
    deinit(&world);
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
    reload_one(&world, text);
    expect_problems(&world, "0.json:1: name: region 'a' exists and belongs to user 20002, who has "
                            "made it: it is left alone\n");
    ck_assert_uint_eq(find(&world, "a")->access.owner_uid, OTHER_UID);
    ck_assert_uint_eq(find(&world, "a")->access.mode, DEFAULT_MODE);

    /* The owner's own becomes the declared one. */
    ck_assert_int_eq(manager_destroy(world.manager, &root, "a", &error), 0);
    spec.max_size = 8192;
    world_create(&world, 20001, &spec);
    reload_one(&world, text);
    expect_problems(&world, "");
    ck_assert_uint_eq(find(&world, "a")->access.mode, 0644);
    ck_assert_uint_eq(find(&world, "a")->segment->size, 8192);
    deinit(&world);
}
END_TEST

START_TEST(limits_hold_for_the_owner) {
    static const char text[] = "{\"name\": \"a\", \"size\": 8192, \"owner\": \"20001\", \"group\": "
                               "\"20001\"}";
    struct world world;

    world_init(&world);
    world.config.user.most[LIMIT_BYTES] = 4096;
    reload_one(&world, text);
    ck_assert(!world_has(&world, "a"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world.config.user.most[LIMIT_BYTES] = 10000;
    reload_one(&world, text);
    expect_problems(&world, "");
    ck_assert(world_has(&world, "a"));

    /* The next owner has to afford it, too; else it stays whose it is. */
    world.config.user.most[LIMIT_BYTES] = 4096;
    reload_one(&world, "{\"name\": \"a\", \"size\": 8192, \"owner\": \"20002\", \"group\": "
                       "\"20001\"}");
    ck_assert_uint_eq(find(&world, "a")->access.owner_uid, 20001);
    world_expect_usage(&world, 1, 8192, 0, 0);
    deinit(&world);
}
END_TEST

START_TEST(what_is_not_declared_any_more_stays) {
    static const char text[] = "{\"name\": \"a\", \"size\": 1}";
    struct caller root = world_caller(0);
    struct error error;
    struct world world;

    world_init(&world);
    reload_one(&world, text);
    reload_one(&world, NULL);
    expect_problems(&world, "region 'a' is not declared any more, and stays as it is (lifetime "
                            "persistent)\n");
    world_restart(&world);
    manager_declare(world.manager);
    expect_problems(&world, "region 'a' is not declared any more, and stays as it is (lifetime "
                            "persistent)\n");
    ck_assert_int_eq(manager_destroy(world.manager, &root, "a", &error), 0);
    reload_one(&world, NULL);
    expect_problems(&world, "");
    deinit(&world);
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
    write_file(path, "one");
    reload_one(&world, text);
    expect_problems(&world, "");
    ck_assert_uint_eq(find(&world, "a")->segment->size, 3);
    ck_assert_uint_eq(find(&world, "a")->segment->version, 1);
    world_expect_content(&world, "a", "one");
    world_restart(&world);
    reload_one(&world, text);
    ck_assert_uint_eq(find(&world, "a")->segment->version, 1);

    reader = world_attach(world_client(&world, WORLD_UID, 0, 1), "a", RIGHT_READ);
    old = segment_ref(reader->segment);
    replace_file(&world, path, "another");
    snprintf(text, sizeof(text),
             "{\"name\": \"a\", \"content\": \"%s\", \"mode\": \"0644\", \"attributes\": %s}", path,
             attributes);
    reload_one(&world, text);
    expect_problems(&world, "");
    ck_assert_uint_eq(find(&world, "a")->segment->version, 2);
    ck_assert_uint_eq(find(&world, "a")->segment->size, 7);
    ck_assert_str_eq(find(&world, "a")->attributes, attributes);
    world_expect_content(&world, "a", "another");
    ck_assert_uint_eq(reader->segment->version, 1);
    ck_assert_uint_eq(old->size, 3);
    segment_unref(old);
    /* What a user publishes stays, as long as the file is the same. */
    world_put(&world, 0, "a", "user's");
    reload_one(&world, text);
    world_expect_content(&world, "a", "user's");
    ck_assert_uint_eq(find(&world, "a")->segment->version, 3);
    deinit(&world);
}
END_TEST

/* Fails unless loading the path makes no region and is that problem. */
static void expect_unloadable(const char *path, const char *size, const char *problem) {
    char text[512], expected[512];
    struct world world;

    world_init(&world);
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\"%s}", path, size);
    snprintf(expected, sizeof(expected), "0.json:1: content: %s\n", problem);
    reload_one(&world, text);
    expect_problems(&world, expected);
    ck_assert(!world_has(&world, "a"));
    world_expect_usage(&world, 0, 0, 0, 0);
    deinit(&world);
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
    write_file(path, "12345");
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

START_TEST(a_reload_gives_up_what_is_being_loaded) {
    char path[WORLD_PATH_MAX + 16], text[256];
    struct world world;

    world_init(&world);
    snprintf(path, sizeof(path), "%s/content", world.directory);
    write_file(path, "content");
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\", \"size\": \"1M\"}", path);
    for (unsigned i = 0; i < 20; i++) {
        begin_reload(&world, (const char *const[FILES_MAX]){text});
        world_settle(&world);
    }
    world_wait(&world, is_loaded, NULL);
    expect_problems(&world, "");
    ck_assert_uint_eq(find(&world, "a")->segment->size, 1 << 20);
    world_expect_content(&world, "a", "content");
    world_expect_usage(&world, 1, 1 << 20, 0, 0);
    /* One that is stopped while it loads leaves nothing behind either. */
    replace_file(&world, path, "other");
    manager_configure(world.manager, &world.config);
    world_restart(&world);
    manager_declare(world.manager);
    world_wait(&world, is_loaded, NULL);
    world_expect_segments(&world, 1, 0);
    deinit(&world);
}
END_TEST

/* A job that waits for the disk, until there is something in the pipe. */
struct stuck {
    struct job job;
    int pipe;
    bool done;
};

static void wait_for_disk(struct job *job) {
    struct stuck *stuck = (struct stuck *)job;
    char byte;

    ck_assert_int_eq(read(stuck->pipe, &byte, 1), 1);
}

static void note(struct job *job) {
    ((struct stuck *)job)->done = true;
}

START_TEST(what_waits_for_the_disk_is_done_when_it_answers) {
    struct stuck stuck[2]; /* there are no more workers for the disk */
    const char *texts[FILES_MAX] = {NULL, "{\"name\": \"b\", \"size\": 1, \"backing\": \"file\"}",
                                    "{\"name\": \"c\", \"size\": 1}"};
    char path[WORLD_PATH_MAX + 16], text[256];
    struct world world;
    int pipe[2];

    world_init(&world);
    snprintf(path, sizeof(path), "%s/content", world.directory);
    write_file(path, "content");
    reload_one(&world, "{\"name\": \"d\", \"size\": 1}"); /* ids are reserved on disk */
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\", \"backing\": \"file\"}",
             path);
    texts[0] = text;
    ck_assert_int_eq(pipe2(pipe, O_CLOEXEC), 0);
    for (size_t i = 0; i < ARRAY_SIZE(stuck); i++) {
        stuck[i] = (struct stuck){.job = {.run = wait_for_disk, .done = note}, .pipe = pipe[0]};
        ck_assert_int_eq(disk_start(world.manager->places.disk, &stuck[i].job), 0);
    }
    begin_reload(&world, texts);
    world_settle(&world);
    ck_assert(!world_has(&world, "a") && !world_has(&world, "b") && world_has(&world, "c"));
    ck_assert_int_eq(write(pipe[1], "ab", 2), 2);
    world_wait(&world, is_loaded, NULL);
    expect_problems(&world, "region 'd' is not declared any more, and stays as it is (lifetime "
                            "persistent)\n");
    world_expect_content(&world, "a", "content");
    ck_assert(world_has(&world, "b") && stuck[0].done && stuck[1].done);
    ck_assert_ptr_nonnull(find(&world, "b")->declared);
    ck_assert_int_eq(close(pipe[0]) | close(pipe[1]), 0);
    deinit(&world);
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
           what_is_no_content_is_a_problem, a_reload_gives_up_what_is_being_loaded,
           what_waits_for_the_disk_is_done_when_it_answers, what_cannot_be_is_a_mistake);
