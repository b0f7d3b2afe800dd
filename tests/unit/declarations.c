/*
 * Declared regions in a world: see declarations.h.
 */
#include "tests/unit/declarations.h"

#include "daemon/core/declare.h"
#include "daemon/ground/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the files say. */
static struct config *declare(struct world *world, const char *const texts[DECLARATIONS_MAX]) {
    struct config *config = calloc(1, sizeof(*config));
    struct error error = {0};
    int r = 0;

    ck_assert_ptr_nonnull(config);
    *config = world->config;
    config->declared = NULL;
    config->n_declared = 0;
    for (size_t i = 0; r == 0 && i < DECLARATIONS_MAX; i++) {
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

bool declarations_are_loaded(struct world *world, void *data) {
    (void)data;
    return declarations_n_loading(manager_declarations(world->manager)) == 0;
}

void declarations_begin_reload(struct world *world, const char *const texts[DECLARATIONS_MAX]) {
    struct config old = world->config, *new = declare(world, texts);

    world->config.declared = new->declared;
    world->config.n_declared = new->n_declared;
    manager_configure(world->manager, &world->config);
    for (size_t i = 0; i < old.n_declared; i++)
        declared_deinit(&old.declared[i]);
    free(old.declared);
    free(new);
}

void declarations_reload(struct world *world, const char *const texts[DECLARATIONS_MAX]) {
    declarations_begin_reload(world, texts);
    world_wait(world, declarations_are_loaded, NULL);
}

void declarations_reload_one(struct world *world, const char *text) {
    declarations_reload(world, (const char *const[DECLARATIONS_MAX]){text});
}

void declarations_deinit(struct world *world) {
    declarations_reload_one(world, NULL);
    world_deinit(world);
}

static void append(void *data, const char *problem) {
    strcat(strcat(data, problem), "\n");
}

void declarations_expect_problems(struct world *world, const char *expected) {
    char problems[2048] = "";

    declarations_each_problem(manager_declarations(world->manager), append, problems);
    ck_assert_str_eq(problems, expected);
}

struct region *declarations_find(struct world *world, const char *name) {
    struct region *region = manager_lookup(world->manager, name);

    ck_assert_msg(region, "there is no region '%s'", name);
    return region;
}

void declarations_write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

void declarations_replace_file(struct world *world, const char *path, const char *text) {
    char next[WORLD_PATH_MAX + 16];

    snprintf(next, sizeof(next), "%s/next", world->directory);
    declarations_write_file(next, text);
    ck_assert_int_eq(rename(next, path), 0);
}
