/*
 * Declared regions in a world: texts take the place of the files in regions.d.
 */
#pragma once

#include "daemon/core/manager-private.h"
#include "tests/unit/world.h"

#include <stdbool.h>

#define DECLARATIONS_MAX 4

/* A reload with these files, of which content may still be loaded; a text that is NULL is no file. */
void declarations_begin_reload(struct world *world, const char *const texts[DECLARATIONS_MAX]);

/* For world_wait(). */
bool declarations_are_loaded(struct world *world, void *data);

/* A reload, until all is loaded. */
void declarations_reload(struct world *world, const char *const texts[DECLARATIONS_MAX]);
void declarations_reload_one(struct world *world, const char *text);

/* Of the world, too. */
void declarations_deinit(struct world *world);

/* Fails unless these are all the problems, one a line. */
void declarations_expect_problems(struct world *world, const char *expected);

/* Fails if there is none. */
struct region *declarations_find(struct world *world, const char *name);

void declarations_write_file(const char *path, const char *text);

/* As an administrator replaces a file. */
void declarations_replace_file(struct world *world, const char *path, const char *text);
