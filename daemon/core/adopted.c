/*
 * Adopted memory: see adopted.h.
 */
#include "daemon/core/adopted.h"

#include "daemon/ground/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* They serve files from this host's memory and disks: nobody else is waited for. */
static const char *const file_systems[] = {"tmpfs", "hugetlbfs", "ext2", "ext3", "ext4",
                                           "xfs",   "btrfs",     "f2fs", "zfs",  "overlay"};

static int check_rights(int fd, struct error *error) {
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return error_set(error, -errno, "the descriptor handed over: %s", strerror(errno));
    if (flags & O_PATH)
        return error_set(error, -EACCES,
                         "the descriptor handed over was opened with O_PATH, which is no right to "
                         "read");
    if ((flags & O_ACCMODE) == O_WRONLY)
        return error_set(error, -EACCES,
                         "the descriptor handed over is open for writing only: a region has to be "
                         "readable");
    return 0;
}

/* Only what is in memory has seals to tell of, be it that it allows none. */
static bool is_in_memory(int fd) {
    return fcntl(fd, F_GET_SEALS) >= 0;
}

static int check_file_system(int fd, struct error *error) {
    char type[MOUNT_TYPE_MAX];
    int r = mount_type(fd, type);

    if (r == -ENOENT)
        return error_set(error, -EOPNOTSUPP,
                         "what was handed over is neither a memfd nor a file in a file system of "
                         "this host: a pipe, a socket, or of a mount namespace of its own");
    if (r < 0)
        return error_set(error, r, "cannot tell the file system of what was handed over: %s",
                         strerror(-r));
    for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++)
        if (strcmp(type, file_systems[i]) == 0)
            return 0;
    return error_set(error, -EOPNOTSUPP,
                     "what was handed over is in a file system of type %s, where access to it may "
                     "wait for others: use a memfd, or a file in one of this host's own",
                     type);
}

static enum huge_pages huge_pages_of(int fd, const struct stat *status) {
    struct statfs file_system;

    if (!is_in_memory(fd) || fstatfs(fd, &file_system) < 0 || file_system.f_type != HUGETLBFS_MAGIC)
        return 0;
    if ((uint64_t)status->st_blksize == huge_pages_size(HUGE_PAGES_2M))
        return HUGE_PAGES_2M;
    return (uint64_t)status->st_blksize == huge_pages_size(HUGE_PAGES_1G) ? HUGE_PAGES_1G : 0;
}

static int check_memory(int fd, struct adopted *adopted, struct error *error) {
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set(error, -errno, "cannot inspect what was handed over: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL,
                         "what was handed over is no memory: only a memfd, a shm object or a "
                         "regular file can be mapped by everyone");
    if (status.st_size == 0)
        return error_set(error, -EINVAL, "what was handed over has no bytes: its size is 0");
    adopted->size = (uint64_t)status.st_size;
    adopted->huge_pages = huge_pages_of(fd, &status);
    return 0;
}

/* O_NONBLOCK, so that a lease is an error instead of a wait. */
static int open_own(int fd, int flags) {
    return segment_open_anew(fd, flags | O_NONBLOCK);
}

static bool may_be_read_still(int error) {
    return error == -EACCES || error == -EPERM || error == -EROFS || error == -ETXTBSY;
}

static int take_rights(int handed_over, struct adopted *adopted, struct error *error) {
    int fd = -EACCES;

    if ((fcntl(handed_over, F_GETFL) & O_ACCMODE) == O_RDWR)
        fd = open_own(handed_over, O_RDWR);
    if (fd < 0 && may_be_read_still(fd))
        fd = open_own(handed_over, O_RDONLY);
    if (fd == -EACCES)
        return error_set(error, fd,
                         "the daemon's user may not read what was handed over: make it accessible "
                         "to it (chmod), or use a memfd");
    if (fd == -EAGAIN)
        return error_set(error, fd, "somebody has a lease on what was handed over");
    if (fd < 0)
        return error_set(error, fd, "cannot open what was handed over: %s", strerror(-fd));
    adopted->fd = fd;
    return 0;
}

int adopted_open(int handed_over, struct adopted *ret, struct error *error) {
    int r = check_rights(handed_over, error);

    ret->fd = -1;
    if (r == 0 && !is_in_memory(handed_over))
        r = check_file_system(handed_over, error);
    if (r == 0)
        r = check_memory(handed_over, ret, error);
    return r < 0 ? r : take_rights(handed_over, ret, error);
}
