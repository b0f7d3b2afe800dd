/*
 * shmreg-fsck: checks what a daemon has left behind; see shmreg-fsck(8)
 *
 * It works as the daemon's user, who owns the state directory: it sees what the daemon would see, and
 * what it makes is the daemon's. It ends with 0 if nothing is wrong, 1 if something is or was, 2 if
 * it could not check.
 */
#include "daemon/fsck/check.h"
#include "daemon/ground/directories.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NOT_CHECKED 2

struct options {
    char *runtime_directory, *state_directory;
    bool per_user, repair, json;
};

static const char help[] =
    "Usage: shmregctl fsck [OPTION]...\n"
    "Checks records, segments and status page of a shmregd that does not run.\n"
    "\n"
    "      --user                    the calling user's daemon\n"
    "      --runtime-directory=DIR   as the daemon's\n"
    "      --state-directory=DIR     as the daemon's\n"
    "      --repair                  do what the daemon would do at its start\n"
    "      --json                    print one JSON object\n"
    "      --version                 print the version and exit\n"
    "  -h, --help                    print this and exit\n"
    "\n"
    "Ends with 0 if nothing is wrong, 1 if something is or was, 2 if it could not check.\n"
    "See shmreg-fsck(8).\n";

enum option_key {
    OPTION_USER = 256,
    OPTION_RUNTIME,
    OPTION_STATE,
    OPTION_REPAIR,
    OPTION_JSON,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"user", no_argument, NULL, OPTION_USER},
    {"runtime-directory", required_argument, NULL, OPTION_RUNTIME},
    {"state-directory", required_argument, NULL, OPTION_STATE},
    {"repair", no_argument, NULL, OPTION_REPAIR},
    {"json", no_argument, NULL, OPTION_JSON},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool replace(char **text, const char *value) {
    free(*text);
    *text = strdup(value);
    return *text;
}

/* True to go on; else *ret_status is what to exit with. */
static bool apply(struct options *options, int key, int *ret_status) {
    *ret_status = NOT_CHECKED;
    switch (key) {
    case OPTION_USER:
        options->per_user = true;
        return true;
    case OPTION_RUNTIME:
        return replace(&options->runtime_directory, optarg);
    case OPTION_STATE:
        return replace(&options->state_directory, optarg);
    case OPTION_REPAIR:
        options->repair = true;
        return true;
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_VERSION:
        *ret_status = puts("shmreg-fsck " PROJECT_VERSION) < 0 ? NOT_CHECKED : 0;
        return false;
    case 'h':
        *ret_status = fputs(help, stdout) < 0 ? NOT_CHECKED : 0;
        return false;
    default:
        fputs("Try 'shmregctl fsck --help'.\n", stderr);
        return false;
    }
}

static bool parse(int argc, char **argv, struct options *ret, int *ret_status) {
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
        if (!apply(ret, option, ret_status))
            return false;
    if (optind == argc)
        return true;
    fprintf(stderr, "shmreg-fsck: no argument like '%s' is known\n", argv[optind]);
    *ret_status = NOT_CHECKED;
    return false;
}

static int become_owner(const char *directory, struct error *error) {
    struct stat status;

    if (stat(directory, &status) < 0)
        return error_set(error, -errno, "cannot look at %s: %s", directory, strerror(errno));
    if (status.st_uid == geteuid())
        return 0;
    if (geteuid() != 0)
        return error_set(error, -EACCES, "%s belongs to user %u: only they and root can check it",
                         directory, status.st_uid);
    if (setgroups(0, NULL) < 0 || setresgid(status.st_gid, status.st_gid, status.st_gid) < 0 ||
        setresuid(status.st_uid, status.st_uid, status.st_uid) < 0)
        return error_set(error, -errno, "cannot become user %u: %s", status.st_uid,
                         strerror(errno));
    return 0;
}

static int check_and_print(const struct options *options, struct checker *checker,
                           struct error *error) {
    struct error failure;
    int r = check(checker, error), repaired = 0;

    if (r < 0)
        return r;
    if (options->repair && !report_is_clean(&checker->report))
        repaired = repair(checker, &failure);
    r = options->json ? report_print_json(&checker->report, checker->instance)
                      : report_print(&checker->report);
    if (r < 0)
        return error_set(error, r, "cannot print the report: %s", strerror(-r));
    if (repaired < 0)
        fprintf(stderr, "shmreg-fsck: %s\n", failure.text);
    return report_is_clean(&checker->report) ? 0 : 1;
}

static int run(struct options *options, struct error *error) {
    struct checker checker;
    int r = directories_find(options->per_user, &options->runtime_directory,
                             &options->state_directory, error);

    if (r == 0)
        r = become_owner(options->state_directory, error);
    if (r < 0)
        return r;
    r = checker_init(&checker, options->runtime_directory, options->state_directory, error);
    if (r == 0)
        r = check_and_print(options, &checker, error);
    checker_deinit(&checker);
    return r;
}

int main(int argc, char **argv) {
    struct options options = {0};
    struct error error = {0};
    int status, r;

    umask(077);
    log_open(true);
    log_set_level(LOG_CRIT); /* the report says it all */
    if (parse(argc, argv, &options, &status)) {
        r = run(&options, &error);
        if (r < 0)
            fprintf(stderr, "shmreg-fsck: %s\n", error.text);
        status = r < 0 ? NOT_CHECKED : r;
    }
    free(options.runtime_directory);
    free(options.state_directory);
    return status;
}
