/*
 * What a test sees of a daemon from outside: its process, its log, its directories.
 */
#include "tests/support/daemon.h"

#include "proto/cleanup.h"

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int count_files(const char *directory, const char *prefix) {
    _cleanup_closedir_ DIR *stream = opendir(directory);
    const struct dirent *entry;
    int count = 0;

    if (!stream)
        return -1;
    while ((entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            count++;
    return count;
}

int daemon_segments(const struct test_daemon *daemon) {
    char path[DAEMON_PATH_MAX + 16];
    int shm = count_files("/dev/shm", ""), files;

    snprintf(path, sizeof(path), "%s/segments", daemon->state);
    files = count_files(path, "");
    ck_assert_int_ge(shm, 0);
    ck_assert_int_ge(files, 0);
    return shm + files;
}

unsigned daemon_descriptors(const struct test_daemon *daemon) {
    char path[32];
    int count;

    snprintf(path, sizeof(path), "/proc/%d/fd", daemon->pid);
    count = count_files(path, "");
    ck_assert_int_gt(count, 0);
    return (unsigned)count;
}

uint64_t daemon_wakeups(const struct test_daemon *daemon) {
    _cleanup_fclose_ FILE *file = NULL;
    char path[40];
    uint64_t slices;

    snprintf(path, sizeof(path), "/proc/%d/schedstat", daemon->pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*u %*u %" SCNu64, &slices), 1);
    return slices;
}

bool daemon_has_logged(const struct test_daemon *daemon, const char *text) {
    _cleanup_fclose_ FILE *file = fopen(daemon->log, "re");
    char line[1024];

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        if (strstr(line, text))
            return true;
    return false;
}
