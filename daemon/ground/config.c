/*
 * Configuration: see config.h.
 *
 * config-files.c finds and reads the files, config-parse.c applies their keys, config-position.c
 * tells the line of a mistake.
 */
#include "daemon/ground/config.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "daemon/ground/config-files.h"
#include "daemon/ground/config-parse.h"

#define SYSTEM_DIRECTORY "/etc/shmregd"
#define VENDOR_DROP_INS "/usr/lib/shmregd/conf.d"
#define MAIN_FILE "shmregd.json"
#define DROP_INS "conf.d"

/* What suits a server: far above what a program in order needs, far below what hurts. */
static const struct config defaults = {
    .default_backing = BACKING_SHM,
    .log_level = LOG_INFO,
    .total.most =
        {
            [LIMIT_CONNECTIONS] = 16384,
            [LIMIT_REGIONS] = 131072,
            [LIMIT_ATTACHMENTS] = 1048576,
            [LIMIT_BYTES] = LIMIT_NONE,
        },
    .user.most =
        {
            [LIMIT_CONNECTIONS] = 8192,
            [LIMIT_REGIONS] = 65536,
            [LIMIT_ATTACHMENTS] = 262144,
            [LIMIT_BYTES] = LIMIT_NONE,
        },
    .timeouts = {.hello = 10, .request = 10, .reply = 30},
};

/* The directory of a user's own configuration; NULL: no memory. */
static char *user_directory(void) {
    const char *config_home = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const struct passwd *user;
    char *path = NULL;
    int r;

    if (config_home && *config_home == '/')
        r = asprintf(&path, "%s/shmregd", config_home);
    else {
        user = home && *home ? NULL : getpwuid(getuid());
        if (user)
            home = user->pw_dir;
        r = asprintf(&path, "%s/.config/shmregd", home && *home ? home : "");
    }
    return r < 0 ? NULL : path;
}

/* The directory that the main file is in. */
static char *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int find_files(const char *path, bool per_user, struct config_files *ret,
                      struct error *error) {
    _cleanup_free_ char *directory = NULL, *file = NULL, *drop_ins = NULL;
    struct config_places places = {.must_exist = path != NULL};

    if (path)
        directory = directory_of(path);
    else
        directory = per_user ? user_directory() : strdup(SYSTEM_DIRECTORY);
    if (!directory || asprintf(&drop_ins, "%s/%s", directory, DROP_INS) < 0) {
        drop_ins = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    if (!path && asprintf(&file, "%s/%s", directory, MAIN_FILE) < 0) {
        file = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    places.file = path ? path : file;
    if (!path && !per_user)
        places.directories[places.n_directories++] = VENDOR_DROP_INS;
    places.directories[places.n_directories++] = drop_ins;
    return config_files_find(&places, ret, error);
}

static int apply_file(struct config *config, const char *path, struct error *error) {
    _cleanup_free_ char *text = NULL;
    int r = config_file_read(path, &text, error);

    return r < 0 ? r : config_parse(config, path, text, error);
}

static void inherit(struct limits *limits, const struct limits *from) {
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        if (limits->most[kind] == LIMIT_UNSET)
            limits->most[kind] = from->most[kind];
}

static int compare_users(const void *a, const void *b) {
    const struct user_limits *left = a, *right = b;

    return left->uid < right->uid ? -1 : left->uid > right->uid;
}

/* What no file has set is as for everybody; users are put in order, to be found fast. */
static void resolve(struct config *config) {
    for (size_t i = 0; i < config->n_users; i++)
        inherit(&config->users[i].limits, &config->user);
    if (config->n_users > 0)
        qsort(config->users, config->n_users, sizeof(*config->users), compare_users);
}

int config_load(const char *path, bool per_user, struct config **ret, struct error *error) {
    _cleanup_(cleanup_config_free) struct config *config = malloc(sizeof(*config));
    struct config_files files = {0};
    int r;

    if (!config)
        return error_set(error, -ENOMEM, "no memory");
    *config = defaults;
    r = find_files(path, per_user, &files, error);
    config->files = files.paths;
    config->n_files = files.count;
    for (size_t i = 0; r == 0 && i < config->n_files; i++)
        r = apply_file(config, config->files[i], error);
    if (r < 0)
        return r;
    resolve(config);
    *ret = steal_pointer(config);
    return 0;
}

void config_free(struct config *config) {
    struct config_files files = {.paths = config->files, .count = config->n_files};

    config_files_deinit(&files);
    for (size_t i = 0; i < config->n_namespaces; i++)
        namespace_deinit(&config->namespaces[i]);
    free(config->namespaces);
    free(config->users);
    free(config);
}

const struct limits *config_user_limits(const struct config *config, uid_t uid) {
    const struct user_limits key = {.uid = uid};
    const struct user_limits *user =
        config->n_users > 0
            ? bsearch(&key, config->users, config->n_users, sizeof(key), compare_users)
            : NULL;

    return user ? &user->limits : &config->user;
}
