/*
 * Names in /dev/shm, found without knowing their suffix (daemon/core/segment-name.c)
 */
#pragma once

#include <glob.h>
#include <stdio.h>

/* Completes the path of a segment that has none, if there is one with it. */
static inline void shm_find_suffix(char *path, size_t size) {
    glob_t found = {0};
    char pattern[4096];

    snprintf(pattern, sizeof(pattern), "%s.????????????????", path);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        snprintf(path, size, "%s", found.gl_pathv[0]);
    globfree(&found);
}
