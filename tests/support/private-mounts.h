/*
 * Mounts that nobody else sees
 *
 * A mount namespace for the calling process, with nothing propagated to where it came from. In a
 * chroot "/" need not be a mount point, and only a mount point can be made private: setns(2) leads
 * to the real root of the namespace, and the descriptors back again.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "proto/cleanup.h"

/* 0 or a negative errno; needs root. */
static inline int private_mounts(void) {
    _cleanup_close_ int namespace = -1, root = -1, working_directory = -1;

    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    working_directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (namespace < 0 || root < 0 || working_directory < 0)
        return -errno;
    if (setns(namespace, CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || fchdir(root) < 0 ||
        chroot(".") < 0 || fchdir(working_directory) < 0)
        return -errno;
    return 0;
}
