/*
 * Fsck: see fsck.h.
 */
#include "tests/support/fsck.h"

#include "proto/cleanup.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void execute(const struct test_daemon *daemon, bool repair, int output) {
    char runtime[DAEMON_PATH_MAX + 32], state[DAEMON_PATH_MAX + 32];
    char *arguments[] = {"shmreg-fsck", "--json", runtime, state, repair ? "--repair" : NULL, NULL};
    const char *path = getenv("SHMREG_FSCK");

    snprintf(runtime, sizeof(runtime), "--runtime-directory=%s", daemon->runtime);
    snprintf(state, sizeof(state), "--state-directory=%s", daemon->state);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execv(path ? path : "", arguments);
    perror("cannot execute $SHMREG_FSCK");
    _exit(127);
}

static char *read_all(int fd) {
    struct stat status;
    char *text;

    ck_assert_int_eq(fstat(fd, &status), 0);
    text = calloc(1, (size_t)status.st_size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)status.st_size, 0), status.st_size);
    return text;
}

struct fsck fsck_run(const struct test_daemon *daemon, bool repair) {
    _cleanup_close_ int output = memfd_create("fsck", MFD_CLOEXEC);
    struct fsck fsck;
    pid_t pid;
    int status;

    ck_assert_int_ge(output, 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        execute(daemon, repair, output);
    status = wait_for_end(pid);
    fsck.printed = read_all(output);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= 2, "the checker failed (%#x): %s",
                  (unsigned)status, fsck.printed);
    fsck.status = WEXITSTATUS(status);
    fsck.report = json_loads(fsck.printed, JSON_DISABLE_EOF_CHECK, NULL);
    return fsck;
}

void fsck_deinit(struct fsck *fsck) {
    json_decref(fsck->report);
    free(fsck->printed);
}

unsigned fsck_count(const struct fsck *fsck, const char *kind) {
    const json_t *finding;
    unsigned count = 0;
    size_t i;

    json_array_foreach (json_object_get(fsck->report, "findings"), i, finding)
        count += strcmp(json_string_value(json_object_get(finding, "kind")), kind) == 0;
    return count;
}

void expect_sound(const struct test_daemon *daemon) {
    struct fsck fsck = fsck_run(daemon, false);

    ck_assert_msg(fsck.status == 0, "something is wrong (%d): %s", fsck.status, fsck.printed);
    fsck_deinit(&fsck);
}
