/*
 * Configuration: see config.h.
 *
 * config-files.c finds and reads the files, config-parse.c and declared-parse.c apply their keys,
 * config-position.c tells the line of a mistake, config-resolve.c which limits hold for whom.
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
#define VENDOR_DIRECTORY "/usr/lib/shmregd"
#define MAIN_FILE "shmregd.json"
#define DROP_INS "conf.d"
#define REGIONS "regions.d"

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
    .unit.most = {[0 ... LIMIT_KIND_COUNT - 1] = LIMIT_NONE},
    .timeouts = {.hello = 10, .request = 10, .reply = 30},
    .memory_pressure = {.watch = true, .stall = 200, .window = 2000, .percent = 10},
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

/* Where the files are. */
struct location {
    const char *main_file; /* that was asked for; NULL: by default */
    char *directory;
    bool has_vendor; /* the directory of the vendor counts, too */
};

static int locate(const char *path, bool per_user, struct location *ret) {
    ret->main_file = path;
    ret->has_vendor = !path && !per_user;
    if (path)
        ret->directory = directory_of(path);
    else
        ret->directory = per_user ? user_directory() : strdup(SYSTEM_DIRECTORY);
    return ret->directory ? 0 : -ENOMEM;
}

/* NULL: no memory. */
static char *join(const char *directory, const char *name) {
    char *path;

    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* The files of a directory that is called @name, in both places. */
static int find_in(const struct location *location, const char *name, const char *main_file,
                   struct config_files *ret, struct error *error) {
    struct config_places places = {.file = main_file, .must_exist = location->main_file != NULL};
    _cleanup_free_ char *vendor = join(VENDOR_DIRECTORY, name);
    _cleanup_free_ char *admin = join(location->directory, name);

    if (!vendor || !admin)
        return error_set(error, -ENOMEM, "no memory");
    if (location->has_vendor)
        places.directories[places.n_directories++] = vendor;
    places.directories[places.n_directories++] = admin;
    return config_files_find(&places, ret, error);
}

static int find_main(const struct location *location, struct config_files *ret,
                     struct error *error) {
    _cleanup_free_ char *file = join(location->directory, MAIN_FILE);

    if (!file)
        return error_set(error, -ENOMEM, "no memory");
    return find_in(location, DROP_INS, location->main_file ? location->main_file : file, ret,
                   error);
}

/* Reads each file with @parse, and adds it to those that the configuration was read from. */
static int apply_files(struct config *config, struct config_files *files,
                       int (*parse)(struct config *config, const char *file, const char *text,
                                    struct error *error),
                       struct error *error) {
    char **all = reallocarray(config->files, config->n_files + files->count + 1, sizeof(*all));
    int r = 0;

    if (!all)
        return error_set(error, -ENOMEM, "no memory");
    config->files = all;
    for (size_t i = 0; i < files->count; i++)
        all[config->n_files++] = steal_pointer(files->paths[i]);
    for (size_t i = config->n_files - files->count; r == 0 && i < config->n_files; i++) {
        _cleanup_free_ char *text = NULL;

        r = config_file_read(all[i], &text, error);
        if (r == 0)
            r = parse(config, all[i], text, error);
    }
    return r;
}

static int apply_all(struct config *config, const struct location *location, struct error *error) {
    _cleanup_(config_files_deinit) struct config_files files = {0}, regions = {0};
    int r = find_main(location, &files, error);

    if (r == 0)
        r = apply_files(config, &files, config_parse, error);
    if (r == 0)
        r = find_in(location, REGIONS, NULL, &regions, error);
    if (r == 0)
        r = apply_files(config, &regions, declared_parse, error);
    return r < 0 ? r : declared_settle(config, error);
}

int config_load(const char *path, bool per_user, struct config **ret, struct error *error) {
    _cleanup_(cleanup_config_free) struct config *config = malloc(sizeof(*config));
    struct location location = {0};
    int r;

    if (!config)
        return error_set(error, -ENOMEM, "no memory");
    *config = defaults;
    r = locate(path, per_user, &location);
    r = r < 0 ? error_set(error, r, "no memory") : apply_all(config, &location, error);
    free(location.directory);
    if (r < 0)
        return r;
    config_resolve_limits(config);
    *ret = steal_pointer(config);
    return 0;
}

void config_free(struct config *config) {
    struct config_files files = {.paths = config->files, .count = config->n_files};

    config_files_deinit(&files);
    for (size_t i = 0; i < config->n_namespaces; i++)
        namespace_deinit(&config->namespaces[i]);
    free(config->namespaces);
    for (size_t i = 0; i < config->n_declared; i++)
        declared_deinit(&config->declared[i]);
    free(config->declared);
    free(config->users);
    for (size_t i = 0; i < config->n_units; i++)
        subject_deinit(&config->units[i].unit);
    free(config->units);
    free(config);
}
