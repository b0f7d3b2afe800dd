/*
 * fsck: runs shmreg-fsck, which knows the daemon's files, in the place of shmregctl
 */
#include "client/ctl/commands.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "shmreg-fsck"
#define NOT_CHECKED 2 /* as that program's */
#define ARGUMENTS_MAX 8

static char *find_program(void) {
    const char *directory = getenv("SHMREG_EXEC_PATH");
    char *path;

    if (!directory || *directory != '/')
        directory = EXEC_PATH;
    return asprintf(&path, "%s/" PROGRAM, directory) < 0 ? NULL : path;
}

static int run_program(char **arguments, struct error *error) {
    _cleanup_free_ char *path = find_program();

    if (!path)
        return error_set(error, -ENOMEM, "no memory");
    signal(SIGPIPE, SIG_DFL);
    execv(path, arguments);
    return error_set(error, -errno, "cannot run %s: %s", path, strerror(errno));
}

int command_fsck(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    const char *runtime = invocation->option[FSCK_RUNTIME_DIRECTORY];
    const char *state = invocation->option[FSCK_STATE_DIRECTORY];
    char *arguments[ARGUMENTS_MAX] = {PROGRAM};
    unsigned n = 1;

    if (invocation->global[GLOBAL_SOCKET])
        return error_set(error, -EINVAL, "fsck asks no daemon: --socket has no place here");
    if (ctl->json)
        arguments[n++] = "--json";
    if (invocation->global[GLOBAL_USER])
        arguments[n++] = "--user";
    if (invocation->option[FSCK_REPAIR])
        arguments[n++] = "--repair";
    if (runtime) {
        arguments[n++] = "--runtime-directory";
        arguments[n++] = (char *)runtime;
    }
    if (state) {
        arguments[n++] = "--state-directory";
        arguments[n++] = (char *)state;
    }
    run_program(arguments, error);
    /* It ends as that program does when it cannot check. */
    ctl_report(error);
    exit(NOT_CHECKED);
}
