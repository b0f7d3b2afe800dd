/*
 * What the environment tells the shim: see settings.h.
 */
#include "client/shim/settings.h"

#include "client/shmreg.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINGER 2u
#define MODE 0600u
#define MAX_SIZE (UINT64_C(256) << 20)

static int wrong(const char *variable) {
    fprintf(stderr, "libshmreg-posix: %s makes no sense: '%s'\n", variable, getenv(variable));
    return -EINVAL;
}

static int read_number(const char *variable, int base, uint64_t most, uint64_t *ret) {
    const char *text = getenv(variable);
    char *end;

    if (!text)
        return 0;
    errno = 0;
    *ret = strtoull(text, &end, base);
    return !*text || *text == '-' || *end || errno != 0 || *ret > most ? wrong(variable) : 0;
}

static int read_lifetime(struct settings *settings) {
    static const struct {
        const char *word;
        uint32_t lifetime;
    } lifetimes[] = {
        {"attached", SHMREG_ATTACHED},
        {"owner", SHMREG_OWNER},
        {"persistent", SHMREG_PERSISTENT},
    };
    const char *text = getenv("SHMREG_SHIM_LIFETIME");

    settings->lifetime = SHMREG_ATTACHED;
    for (size_t i = 0; text && i < ARRAY_SIZE(lifetimes); i++) {
        if (strcmp(text, lifetimes[i].word) != 0)
            continue;
        settings->lifetime = lifetimes[i].lifetime;
        return 0;
    }
    return text ? wrong("SHMREG_SHIM_LIFETIME") : 0;
}

static int read_switch(const char *variable, bool *ret) {
    const char *text = getenv(variable);

    *ret = text && strcmp(text, "yes") == 0;
    return text && !*ret && strcmp(text, "no") != 0 ? wrong(variable) : 0;
}

static bool is_mapped(const char *name) {
    const char *pattern = getenv("SHMREG_SHIM_NAMES");

    return !pattern || fnmatch(pattern, name, 0) == 0;
}

static int make_name(const char *name, struct settings *settings) {
    const char *prefix = getenv("SHMREG_SHIM_PREFIX");
    int length = prefix ? snprintf(settings->name, sizeof(settings->name), "%s%s", prefix, name)
                        : snprintf(settings->name, sizeof(settings->name), "user/%u/shm/%s",
                                   (unsigned)geteuid(), name);
    return length < (int)sizeof(settings->name) ? 0 : -ENAMETOOLONG;
}

int settings_read(const char *posix_name, struct settings *ret) {
    const char *name = posix_name + strspn(posix_name, "/");
    uint64_t seconds = LINGER, mode = MODE;
    int r;

    *ret = (struct settings){.max_size = MAX_SIZE};
    if (!is_mapped(name))
        return -ENOENT;
    /* First, for the others' sake. */
    r = read_switch("SHMREG_SHIM_REPORT", &ret->report);
    if (r == 0)
        r = make_name(name, ret);
    if (r == 0)
        r = read_lifetime(ret);
    if (r == 0)
        r = read_switch("SHMREG_SHIM_FALLBACK", &ret->fallback);
    if (r == 0)
        r = read_number("SHMREG_SHIM_LINGER", 10, UINT32_MAX - 1, &seconds);
    if (r == 0)
        r = read_number("SHMREG_SHIM_MODE", 8, 0666, &mode);
    if (r == 0)
        r = read_number("SHMREG_SHIM_MAX_SIZE", 10, INT64_MAX, &ret->max_size);
    ret->seconds = ret->lifetime == SHMREG_ATTACHED ? (uint32_t)seconds : 0;
    ret->mode = (uint32_t)mode;
    return r;
}
