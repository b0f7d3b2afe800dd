/*
 * Sandbox: see sandbox.h.
 */
#include "tests/support/sandbox.h"

#include "proto/cleanup.h"
#include "tests/support/private-mounts.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int mount_tmpfs(const char *path, const char *options) {
    return mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

static int enter(void) {
    int r = private_mounts();

    if (r == 0)
        r = mount_tmpfs("/dev/shm", "mode=1777");
    return r < 0 ? r : mount_tmpfs(SANDBOX_DIRECTORY, "mode=0755");
}

/* What a sanitizer says of a daemon is in its log, which goes with the sandbox. */
static void print_report(const char *log) {
    _cleanup_fclose_ FILE *file = fopen(log, "re");
    bool is_report = false;
    char line[1024];

    while (file && fgets(line, sizeof(line), file)) {
        is_report = is_report || strstr(line, "Sanitizer") || strstr(line, "runtime error");
        if (is_report)
            fputs(line, stderr);
    }
}

static void print_reports(void) {
    glob_t logs = {0};

    if (glob(SANDBOX_DIRECTORY "/test-*/log", 0, NULL, &logs) == 0)
        for (size_t i = 0; i < logs.gl_pathc; i++)
            print_report(logs.gl_pathv[i]);
    globfree(&logs);
}

int sandbox_run(const char *name, TCase *const cases[], size_t n_cases) {
    Suite *suite = suite_create(name);
    SRunner *runner = srunner_create(suite);
    int failed, r;

    for (size_t i = 0; i < n_cases; i++)
        suite_add_tcase(suite, cases[i]);
    r = geteuid() == 0 ? enter() : -EPERM;
    if (r < 0) {
        fprintf(stderr, "%s: cannot make a sandbox: %s\n", name, strerror(-r));
        srunner_free(runner);
        return r == -EPERM ? SANDBOX_SKIPPED : EXIT_FAILURE;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed > 0)
        print_reports();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void sandbox_mount(const char *path, uint64_t size) {
    char options[64];

    snprintf(options, sizeof(options), "mode=1777,size=%" PRIu64, size);
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount_tmpfs(path, options), 0);
}
