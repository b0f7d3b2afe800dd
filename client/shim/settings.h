/*
 * What the environment tells the shim: which names become regions, and what regions
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_NAME_MAX 256

struct settings {
    char name[SETTINGS_NAME_MAX]; /* of the region */
    uint32_t lifetime;            /* enum shmreg_lifetime */
    uint32_t seconds;
    uint32_t mode;
    uint64_t max_size;
    bool fallback; /* without a daemon, the real functions are called */
    bool report;   /* failures, on standard error */
};

/* Returns 0; -ENOENT if the name is not to become a region; -EINVAL for a variable that is wrong,
 * which standard error names. */
int settings_read(const char *posix_name, struct settings *ret);
