/*
 * Configuration
 *
 * One JSON file and its drop-ins, read whole and checked whole before any of it is used; a mistake
 * names file, line and key. shmregd.json(5) is the manual. A struct config never changes once it is
 * loaded: a reload makes a new one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/ground/declared.h"
#include "daemon/ground/limits.h"
#include "daemon/ground/namespace.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/words.h"

struct user_limits {
    uid_t uid;
    struct limits limits;
};

struct unit_limits {
    struct subject_id unit; /* a unit, or a template: then each of its instances has these */
    struct limits limits;
};

/* How long the daemon waits for a peer that is in the middle of something, in seconds. */
struct timeouts {
    uint32_t hello;   /* from the connection to its first message */
    uint32_t request; /* from the first byte of a message to its last */
    uint32_t reply;   /* while a reply cannot be sent, because those before it are not read */
};

/* When to give up regions of lifetime `cache`, and how much each time. */
struct memory_pressure {
    bool watch;
    uint32_t stall;   /* milliseconds that somebody waited for memory... */
    uint32_t window;  /* ...within so many */
    uint32_t percent; /* of what those regions are charged */
};

struct config {
    char **files; /* that it was read from, in order */
    size_t n_files;

    bool has_admin_group;
    gid_t admin_group;
    enum backing default_backing;
    int log_level; /* syslog(3) priority: messages above it are dropped */

    struct limits total; /* of the whole daemon */
    struct limits user;  /* of each user who has none of his own */
    struct user_limits *users;
    size_t n_users;
    struct limits unit; /* of each unit that has none of its own */
    struct unit_limits *units;
    size_t n_units;

    struct timeouts timeouts;
    struct memory_pressure memory_pressure;
    struct namespace *namespaces;
    size_t n_namespaces;

    struct declared *declared; /* regions, in order of name */
    size_t n_declared;
};

/*
 * Loads the configuration.
 *
 * @path: the main file, which must exist, with drop-ins in "conf.d" beside it; NULL for the
 * defaults: /etc/shmregd/shmregd.json, or with @per_user $XDG_CONFIG_HOME/shmregd/shmregd.json
 * (~/.config), which may be missing. Drop-ins of the system's default are also in
 * /usr/lib/shmregd/conf.d, where one of the same file name in /etc hides them. Drop-ins apply
 * after the main file, in order of file name; keys that come later win. Declared regions are found
 * as drop-ins are, in "regions.d".
 *
 * Returns 0, -EINVAL for a mistake in it (the sentence says "FILE:LINE: KEY: what is wrong"), or
 * the errno that reading gave.
 */
int config_load(const char *path, bool per_user, struct config **ret, struct error *error);
void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free);

/* The limits that hold for a user; for a unit, as units_of_process() calls it. */
const struct limits *config_user_limits(const struct config *config, uid_t uid);
const struct limits *config_unit_limits(const struct config *config, const char *unit);
