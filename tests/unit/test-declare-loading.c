/*
 * Loading content takes time: what comes in between, a reload, a stop or a disk that does not answer, loses
 * nothing and leaves nothing behind.
 */
#include "daemon/core/disk.h"
#include "tests/unit/declarations.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

START_TEST(a_reload_gives_up_what_is_being_loaded) {
    char path[WORLD_PATH_MAX + 16], text[256];
    struct world world;

    world_init(&world);
    snprintf(path, sizeof(path), "%s/content", world.directory);
    declarations_write_file(path, "content");
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\", \"size\": \"1M\"}", path);
    for (unsigned i = 0; i < 20; i++) {
        declarations_begin_reload(&world, (const char *const[DECLARATIONS_MAX]){text});
        world_settle(&world);
    }
    world_wait(&world, declarations_are_loaded, NULL);
    declarations_expect_problems(&world, "");
    ck_assert_uint_eq(declarations_find(&world, "a")->segment->size, 1 << 20);
    world_expect_content(&world, "a", "content");
    world_expect_usage(&world, 1, 1 << 20, 0, 0);
    /* One that is stopped while it loads leaves nothing behind either. */
    declarations_replace_file(&world, path, "other");
    manager_configure(world.manager, &world.config);
    world_restart(&world);
    manager_declare(world.manager);
    world_wait(&world, declarations_are_loaded, NULL);
    world_expect_segments(&world, 1, 0);
    declarations_deinit(&world);
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
    const char *texts[DECLARATIONS_MAX] = {NULL,
                                           "{\"name\": \"b\", \"size\": 1, \"backing\": \"file\"}",
                                           "{\"name\": \"c\", \"size\": 1}"};
    char path[WORLD_PATH_MAX + 16], text[256];
    struct world world;
    int pipe[2];

    world_init(&world);
    snprintf(path, sizeof(path), "%s/content", world.directory);
    declarations_write_file(path, "content");
    declarations_reload_one(&world,
                            "{\"name\": \"d\", \"size\": 1}"); /* ids are reserved on disk */
    snprintf(text, sizeof(text), "{\"name\": \"a\", \"content\": \"%s\", \"backing\": \"file\"}",
             path);
    texts[0] = text;
    ck_assert_int_eq(pipe2(pipe, O_CLOEXEC), 0);
    for (size_t i = 0; i < ARRAY_SIZE(stuck); i++) {
        stuck[i] = (struct stuck){.job = {.run = wait_for_disk, .done = note}, .pipe = pipe[0]};
        ck_assert_int_eq(disk_start(world.manager->places.disk, &stuck[i].job), 0);
    }
    declarations_begin_reload(&world, texts);
    world_settle(&world);
    ck_assert(!world_has(&world, "a") && !world_has(&world, "b") && world_has(&world, "c"));
    ck_assert_int_eq(write(pipe[1], "ab", 2), 2);
    world_wait(&world, declarations_are_loaded, NULL);
    declarations_expect_problems(
        &world, "region 'd' is not declared any more, and stays as it is (lifetime "
                "persistent)\n");
    world_expect_content(&world, "a", "content");
    ck_assert(world_has(&world, "b") && stuck[0].done && stuck[1].done);
    ck_assert_ptr_nonnull(declarations_find(&world, "b")->declared);
    ck_assert_int_eq(close(pipe[0]) | close(pipe[1]), 0);
    declarations_deinit(&world);
}
END_TEST

SUITE_MAIN("declare-loading", a_reload_gives_up_what_is_being_loaded,
           what_waits_for_the_disk_is_done_when_it_answers);
