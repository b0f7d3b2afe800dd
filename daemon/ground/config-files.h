/*
 * The files that make up the configuration
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/cleanup.h"
#include "proto/error.h"

#define CONFIG_DIRECTORIES_MAX 2

struct config_places {
    const char *file; /* the main file, NULL for none */
    bool must_exist;
    /* Drop-ins: a file of a later directory hides one of the same name of an earlier one. */
    const char *directories[CONFIG_DIRECTORIES_MAX];
    size_t n_directories;
};

/* Paths, in the order in which they apply: the main file, then drop-ins in order of file name. */
struct config_files {
    char **paths;
    size_t count;
};

int config_files_find(const struct config_places *places, struct config_files *ret,
                      struct error *error);
void config_files_deinit(struct config_files *files);

/* The text of a file, to be freed. Anything but a regular file is refused, and one of a size that
 * no configuration has; /dev/null is empty (a link to it hides a drop-in). */
int config_file_read(const char *path, char **ret, struct error *error);
