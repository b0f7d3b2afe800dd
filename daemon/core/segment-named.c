/*
 * Segments with a name in a directory: POSIX shm objects and files
 *
 * A shm object is a file in /dev/shm (shm_overview(7)), opened here relative to the directory,
 * which saves building and walking its path. Only a file has a disk to be synced to.
 */
#include "daemon/core/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int directory_of(const struct segment *segment) {
    return segment->backing == BACKING_FILE ? segment->places->file_directory
                                            : segment->places->shm_directory;
}

static int named_open(const struct segment *segment, int flags) {
    char name[SEGMENT_NAME_MAX];
    int fd;

    segment_name(segment, name);
    fd = openat(directory_of(segment), name, flags | O_NOFOLLOW | O_CLOEXEC, SEGMENT_MODE);
    return fd < 0 ? -errno : fd;
}

static int named_create(struct segment *segment) {
    _cleanup_close_ int fd = named_open(segment, O_RDWR | O_CREAT | O_EXCL);

    if (fd < 0)
        return fd;
    segment->named = true;
    return ftruncate(fd, (off_t)segment->size) < 0 ? -errno : 0;
}

static int named_rename(struct segment *segment, const char *from) {
    char to[SEGMENT_NAME_MAX];
    int directory = directory_of(segment);

    segment_name(segment, to);
    /* What somebody else has put there is left alone. */
    return renameat2(directory, from, directory, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

/* Never down: a writer may have made it larger himself. */
static int named_grow(const struct segment *segment, uint64_t size) {
    _cleanup_close_ int fd = named_open(segment, O_RDWR);
    struct stat status;

    if (fd < 0)
        return fd;
    if (fstat(fd, &status) < 0)
        return -errno;
    if ((uint64_t)status.st_size >= size)
        return 0;
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int named_sync(const struct segment *segment, bool content) {
    _cleanup_close_ int fd = -1;

    if (segment->backing != BACKING_FILE)
        return 0;
    if (content) {
        fd = named_open(segment, O_RDWR);
        if (fd < 0)
            return fd;
        if (fsync(fd) < 0)
            return -errno;
    }
    return fsync(segment->places->file_directory) < 0 ? -errno : 0;
}

static int named_remove(struct segment *segment) {
    char name[SEGMENT_NAME_MAX];

    segment_name(segment, name);
    return unlinkat(directory_of(segment), name, 0) < 0 ? -errno : 0;
}

static int named_set_times(const struct segment *segment, const struct timespec times[2]) {
    char name[SEGMENT_NAME_MAX];

    segment_name(segment, name);
    return utimensat(directory_of(segment), name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

const struct segment_ops segment_named_ops = {
    .create = named_create,
    .open = named_open,
    .rename = named_rename,
    .grow = named_grow,
    .sync = named_sync,
    .remove = named_remove,
    .set_times = named_set_times,
};
