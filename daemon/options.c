/*
 * Options: see options.h.
 */
#include "daemon/options.h"

#include "daemon/ground/directories.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#define USAGE_ERROR 2

static const char *const levels[] = {
    [LOG_EMERG] = "emerg",     [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "err",
    [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static const char help[] =
    "Usage: shmregd [OPTION]...\n"
    "Owner of named shared memory regions.\n"
    "\n"
    "      --user                    serve the calling user, in the user's directories\n"
    "      --config=FILE             main configuration file\n"
    "      --runtime-directory=DIR   sockets, volatile records, status page\n"
    "      --state-directory=DIR     file regions and their records\n"
    "      --log-level=LEVEL         emerg, alert, crit, err, warning, notice, info, debug\n"
    "      --foreground              log as text to standard error, whatever that is\n"
    "      --check                   check the configuration and exit\n"
    "      --version                 print the version and exit\n"
    "  -h, --help                    print this and exit\n"
    "\n"
    "See shmregd(8) and shmregd.json(5).\n";

enum option_key {
    OPTION_USER = 256,
    OPTION_CONFIG,
    OPTION_RUNTIME_DIRECTORY,
    OPTION_STATE_DIRECTORY,
    OPTION_LOG_LEVEL,
    OPTION_FOREGROUND,
    OPTION_CHECK,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"user", no_argument, NULL, OPTION_USER},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"runtime-directory", required_argument, NULL, OPTION_RUNTIME_DIRECTORY},
    {"state-directory", required_argument, NULL, OPTION_STATE_DIRECTORY},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int level_from_word(const char *word) {
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (strcmp(levels[i], word) == 0)
            return (int)i;
    return -1;
}

static bool replace(char **text, const char *value) {
    free(*text);
    *text = strdup(value);
    return *text;
}

/* True to go on; else *ret_status is what to exit with. */
static bool apply(struct options *options, int key, int *ret_status) {
    *ret_status = USAGE_ERROR;
    switch (key) {
    case OPTION_USER:
        options->per_user = true;
        return true;
    case OPTION_CONFIG:
        options->config = optarg;
        return true;
    case OPTION_RUNTIME_DIRECTORY:
        return replace(&options->runtime_directory, optarg);
    case OPTION_STATE_DIRECTORY:
        return replace(&options->state_directory, optarg);
    case OPTION_LOG_LEVEL:
        options->log_level = level_from_word(optarg);
        if (options->log_level < 0)
            fprintf(stderr, "shmregd: no log level '%s'\n", optarg);
        return options->log_level >= 0;
    case OPTION_FOREGROUND:
        options->foreground = true;
        return true;
    case OPTION_CHECK:
        options->check = true;
        return true;
    case OPTION_VERSION:
        *ret_status = puts("shmregd " PROJECT_VERSION) < 0;
        return false;
    case 'h':
        *ret_status = fputs(help, stdout) < 0;
        return false;
    default:
        fputs("Try 'shmregd --help'.\n", stderr);
        return false;
    }
}

bool options_parse(int argc, char **argv, struct options *ret, int *ret_status) {
    int option;

    *ret = (struct options){.log_level = -1};
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
        if (!apply(ret, option, ret_status))
            return false;
    if (optind == argc)
        return true;
    fprintf(stderr, "shmregd: no argument like '%s' is known\n", argv[optind]);
    *ret_status = USAGE_ERROR;
    return false;
}

void options_deinit(struct options *options) {
    free(options->runtime_directory);
    free(options->state_directory);
}

/* Makes the directory, and those above it for the daemon's user alone. */
static int make_directory(char *path, mode_t mode, struct error *error) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    /* The umask would take from the mode. */
    if (mkdir(path, mode) == 0 ? chmod(path, mode) < 0 : errno != EEXIST)
        return error_set(error, -errno, "cannot make %s: %s", path, strerror(errno));
    return 0;
}

int options_find_directories(struct options *options, struct error *error) {
    int r = directories_find(options->per_user, &options->runtime_directory,
                             &options->state_directory, error);

    if (r == 0)
        r = make_directory(options->runtime_directory, 0755, error);
    return r < 0 ? r : make_directory(options->state_directory, 0700, error);
}
