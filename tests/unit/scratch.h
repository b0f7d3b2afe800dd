/*
 * A file system for one test: a tmpfs of a given size on SCRATCH, in a mount namespace of the
 * test's process, so it is gone with the process and can be filled to the last byte. Needs root.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/support/private-mounts.h"

#define SCRATCH "/run"

static inline void scratch_mount(uint64_t size) {
    char options[64];

    snprintf(options, sizeof(options), "mode=0755,size=%llu", (unsigned long long)size);
    ck_assert_int_eq(private_mounts(), 0);
    ck_assert_int_eq(mount("tmpfs", SCRATCH, "tmpfs", 0, options), 0);
}

/* Fills the file system with one file. */
static inline void scratch_fill(void) {
    _cleanup_close_ int fd = open(SCRATCH "/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct statvfs space;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstatvfs(fd, &space), 0);
    if (space.f_bfree > 0)
        ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)(space.f_bfree * space.f_bsize)), 0);
    ck_assert_int_eq(fstatvfs(fd, &space), 0);
    ck_assert_uint_eq(space.f_bfree, 0);
}

static inline void scratch_free(void) {
    ck_assert_int_eq(unlink(SCRATCH "/filler"), 0);
}

static inline void scratch_write(const char *path, const void *data, size_t size) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
}

/* The whole content of a file, with a NUL behind it. */
static inline char *scratch_read(const char *path, size_t *ret_size) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *text;

    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(fstat(fd, &status), 0);
    text = malloc((size_t)status.st_size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(read(fd, text, (size_t)status.st_size), status.st_size);
    text[status.st_size] = '\0';
    if (ret_size)
        *ret_size = (size_t)status.st_size;
    return text;
}
