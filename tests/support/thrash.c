/*
 * Thrash: see thrash.h.
 */
#include "tests/support/thrash.h"

#include "proto/cleanup.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT "16777216"
#define SIZE (64u << 20)
#define PART (1u << 20)
/* Far below what a daemon takes for pressure by default. */
#define STALL_USEC 10000
#define PAUSE_MSEC 1000

/* Where control groups of memory are, and what limits one, in both versions. */
static const struct {
    const char *directory, *limit;
} hierarchies[] = {
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
    {"/sys/fs/cgroup", "memory.max"},
};

static bool write_to(const char *directory, const char *name, const char *text) {
    _cleanup_close_ int fd = -1;
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool make_group(struct thrash *thrash) {
    for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++) {
        snprintf(thrash->group, sizeof(thrash->group), "%s/shmreg-test-%d",
                 hierarchies[i].directory, getpid());
        if (mkdir(thrash->group, 0755) < 0)
            continue;
        if (write_to(thrash->group, hierarchies[i].limit, LIMIT))
            return true;
        rmdir(thrash->group);
    }
    return false;
}

/* On a disk, and not in memory any more: what is read again has to be fetched again. */
static int make_file(void) {
    static const char part[PART];
    char path[] = "/var/tmp/shmreg-test-XXXXXX";
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
    struct statfs status;

    if (fd < 0)
        return -1;
    unlink(path);
    if (fstatfs(fd, &status) < 0 || status.f_type == TMPFS_MAGIC)
        return -1;
    for (unsigned i = 0; i < SIZE / PART; i++)
        ck_assert_int_eq(write(fd, part, sizeof(part)), (ssize_t)sizeof(part));
    ck_assert_int_eq(fsync(fd), 0);
    ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return steal_fd(&fd);
}

/* Microseconds for which somebody on this host has waited for memory so far. */
static uint64_t stalled_usec(void) {
    _cleanup_fclose_ FILE *file = fopen("/proc/pressure/memory", "re");
    uint64_t total;

    if (!file || fscanf(file, "some %*s %*s %*s total=%" SCNu64, &total) != 1)
        _exit(EXIT_FAILURE);
    return total;
}

static void thrash(const char *group, int file) {
    static char part[PART];
    uint64_t start;
    char pid[16];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(pid, sizeof(pid), "%d", getpid());
    if (!write_to(group, "cgroup.procs", pid))
        _exit(EXIT_FAILURE);
    for (off_t offset = 0;; poll(NULL, 0, PAUSE_MSEC))
        for (start = stalled_usec(); stalled_usec() - start < STALL_USEC;
             offset = (offset + PART) % SIZE)
            if (pread(file, part, sizeof(part), offset) < 0)
                _exit(EXIT_FAILURE);
}

bool thrash_start(struct thrash *ret) {
    _cleanup_close_ int file = -1;

    if (access("/proc/pressure/memory", W_OK) < 0 || !make_group(ret))
        return false;
    file = make_file();
    if (file < 0) {
        rmdir(ret->group);
        return false;
    }
    ret->pid = fork();
    ck_assert_int_ge(ret->pid, 0);
    if (ret->pid == 0)
        thrash(ret->group, file);
    return true;
}

static bool is_removed(void *data) {
    return rmdir(data) == 0 || errno == ENOENT;
}

void thrash_stop(struct thrash *thrash) {
    ck_assert_int_eq(kill(thrash->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(thrash->pid, NULL, 0), thrash->pid);
    wait_until(is_removed, thrash->group);
}
