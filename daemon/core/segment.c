/*
 * Segment: what all backings share. See segment.h.
 */
#include "daemon/core/segment.h"

#include "daemon/core/disk.h"
#include "daemon/core/kept.h"
#include "daemon/core/removal.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct segment_ops *const ops_of[] = {
    [BACKING_SHM] = &segment_named_ops,
    [BACKING_MEMFD] = &segment_memfd_ops,
    [BACKING_FILE] = &segment_named_ops,
    [BACKING_ADOPTED] = &segment_adopted_ops,
};

static struct segment *make(const struct segment_places *places, enum backing backing,
                            uint64_t size, uint64_t max_size, int fd) {
    struct segment *segment = calloc(1, sizeof(*segment));

    if (segment)
        *segment = (struct segment){
            .references = 1,
            .ops = ops_of[backing],
            .places = places,
            .backing = backing,
            .size = size,
            .max_size = max_size,
            .fd = fd,
            .named = true,
        };
    return segment;
}

int segment_new_existing(const struct segment_places *places, enum backing backing, uint64_t id,
                         uint32_t version, uint64_t size, uint64_t max_size, int fd,
                         struct segment **ret) {
    _cleanup_(cleanup_segment_unref) struct segment *segment =
        make(places, backing, size, max_size, -1);
    int r;

    if (!segment)
        return -ENOMEM;
    r = segment_find_name(segment, id, version);
    if (r < 0)
        return r;
    segment->fd = fd;
    *ret = steal_pointer(segment);
    return 0;
}

static int check_disk(const struct segment *segment, struct error *error) {
    if (segment->backing != BACKING_FILE || !segment->places->disk)
        return 0;
    return disk_check(segment->places->disk, error);
}

uint64_t huge_pages_size(enum huge_pages huge_pages) {
    switch (huge_pages) {
    case HUGE_PAGES_2M:
        return UINT64_C(1) << 21;
    case HUGE_PAGES_1G:
        return UINT64_C(1) << 30;
    }
    return 1;
}

int segment_new(const struct segment_places *places, enum backing backing,
                enum huge_pages huge_pages, uint64_t id, uint32_t version, uint64_t size,
                uint64_t max_size, struct charge *charge, struct segment **ret,
                struct error *error) {
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    int r;

    segment = make(places, backing, size, max_size, -1);
    if (!segment) {
        charge_release(charge);
        return error_set(error, -ENOMEM, "no memory for a segment");
    }
    segment->charge = charge;
    segment->huge_pages = huge_pages;
    segment->named = false;
    r = check_disk(segment, error);
    if (r < 0)
        return r;
    r = segment_set_name(segment, id, version);
    if (r == 0)
        r = segment->ops->create(segment);
    if (r == -ENODEV && huge_pages)
        r = error_set(error, -EOPNOTSUPP, "this host has no huge pages of %s",
                      huge_pages_to_word(huge_pages));
    else if (r < 0)
        r = error_set(error, r, "cannot make a %s segment of %" PRIu64 " bytes: %s",
                      backing_to_word(backing), size, strerror(-r));
    if (r < 0) {
        segment_remove(segment);
        return r;
    }
    *ret = steal_pointer(segment);
    return 0;
}

struct segment *segment_ref(struct segment *segment) {
    segment->references++;
    return segment;
}

void segment_unref(struct segment *segment) {
    if (--segment->references > 0)
        return;
    kept_forget(segment);
    charge_release(segment->charge);
    close_fd(&segment->fd);
    free(segment);
}

int segment_open_anew(int fd, int flags) {
    char path[32];
    int r;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = open(path, flags | O_CLOEXEC);
    return r < 0 ? -errno : r;
}

int segment_open(const struct segment *segment, int flags, struct error *error) {
    char name[SEGMENT_NAME_MAX];
    int fd = segment->ops->open(segment, flags);

    if (fd >= 0)
        return fd;
    if (fd == -EROFS && segment->backing == BACKING_ADOPTED)
        return error_set(error, -EACCES,
                         "this adopted memory can only be read: what was handed over carried no "
                         "right to write, or is sealed, or the daemon's user has no such right");
    if (fd == -EROFS && segment->backing == BACKING_MEMFD)
        return error_set(
            error, -EACCES,
            "a writer has sealed this memory against writing: it can only be read until "
            "a new version is published");
    segment_name(segment, name);
    return error_set(error, fd, "cannot open segment %s: %s", name, strerror(-fd));
}

int segment_write(const struct segment *segment, uint64_t offset, const void *data, size_t size,
                  struct error *error) {
    _cleanup_close_ int fd = -1;
    int r;

    if (segment->huge_pages)
        return error_set(error, -EOPNOTSUPP,
                         "memory of huge pages is filled by mapping it: stage and publish");
    r = check_disk(segment, error);
    if (r < 0)
        return r;
    fd = segment_open(segment, O_WRONLY, error);
    if (fd < 0)
        return fd;
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(error, -errno, "cannot write %zu bytes to a %s segment: %s", size,
                             backing_to_word(segment->backing), strerror(errno));
        done += (size_t)n;
    }
    return 0;
}

int segment_read_from(const struct segment *segment, int fd, uint64_t offset, void *buffer,
                      size_t size, struct error *error) {
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(error, -errno, "cannot read a %s segment: %s",
                             backing_to_word(segment->backing), strerror(errno));
        if (n == 0)
            return error_set(error, -EUCLEAN,
                             "a writer has truncated the segment to %" PRIu64 " bytes",
                             offset + done);
        done += (size_t)n;
    }
    return 0;
}

int segment_read(const struct segment *segment, uint64_t offset, void *buffer, size_t size,
                 struct error *error) {
    _cleanup_close_ int fd = segment_open(segment, O_RDONLY, error);

    return fd < 0 ? fd : segment_read_from(segment, fd, offset, buffer, size, error);
}

int segment_grow(const struct segment *segment, uint64_t size, struct error *error) {
    int r = check_disk(segment, error);

    if (r < 0)
        return r;
    r = segment->ops->grow ? segment->ops->grow(segment, size) : 0;
    return r < 0 ? error_set(error, r, "cannot enlarge a %s segment to %" PRIu64 " bytes: %s",
                             backing_to_word(segment->backing), size, strerror(-r))
                 : 0;
}

int segment_seal(const struct segment *segment, struct error *error) {
    int r = segment->ops->seal ? segment->ops->seal(segment) : 0;

    if (r == -EPERM)
        return error_set(error, r,
                         "a writer has sealed this memory against further seals: the next version "
                         "that is published can be sealed");
    return r < 0 ? error_set(error, r, "cannot seal a segment: %s", strerror(-r)) : 0;
}

int segment_sync(const struct segment *segment, bool content, struct error *error) {
    int r = check_disk(segment, error);

    if (r < 0)
        return r;
    r = segment->ops->sync(segment, content);
    return r < 0 ? error_set(error, r, "cannot sync a segment: %s", strerror(-r)) : 0;
}

void segment_set_used(const struct segment *segment, uint64_t usec) {
    const struct timespec times[] = {
        {.tv_sec = (time_t)(usec / 1000000), .tv_nsec = (long)(usec % 1000000 * 1000)},
        {.tv_nsec = UTIME_OMIT},
    };

    /* It is not worth waiting for a disk that does not answer. */
    if (segment->ops->set_times && check_disk(segment, NULL) == 0)
        segment->ops->set_times(segment, times);
}

static int inspect(const struct segment *segment, struct stat *ret) {
    _cleanup_close_ int fd = segment_open(segment, O_RDONLY | O_NONBLOCK, NULL);

    if (fd < 0)
        return fd;
    return fstat(fd, ret) < 0 ? -errno : 0;
}

uint64_t segment_used(const struct segment *segment) {
    struct stat status;

    if (!segment->ops->set_times || inspect(segment, &status) < 0)
        return 0;
    return (uint64_t)status.st_atim.tv_sec * 1000000 + (uint64_t)status.st_atim.tv_nsec / 1000;
}

bool segment_has_pages(const struct segment *segment) {
    struct stat status;

    return inspect(segment, &status) == 0 && status.st_blocks > 0;
}

int segment_rename(struct segment *segment, uint64_t id, uint32_t version, struct error *error) {
    const struct segment old = *segment;
    char from[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX];
    int r = check_disk(segment, error);

    if (r < 0)
        return r;
    segment_name(segment, from);
    r = segment_set_name(segment, id, version);
    segment_name(segment, to);
    if (r == 0)
        r = segment->ops->rename(segment, from);
    if (r < 0) {
        segment->id = old.id;
        segment->version = old.version;
        segment->suffix = old.suffix;
        if (r == -EEXIST)
            return error_set(
                error, -EBUSY,
                "an object that is not this daemon's has the name of the next version, "
                "%s: it has to be removed first",
                to);
        return error_set(error, r, "cannot rename segment %s: %s", from, strerror(-r));
    }
    return 0;
}

void segment_remove(struct segment *segment) {
    char name[SEGMENT_NAME_MAX];
    int r;

    if (!segment->named)
        return;
    r = check_disk(segment, NULL);
    if (r == 0)
        r = segment->ops->remove(segment);
    segment->named = r < 0 && r != -ENOENT && segment->places->removals;
    if (!segment->named)
        return;
    segment_name(segment, name);
    log_write(r == -EINPROGRESS ? LOG_DEBUG : LOG_WARNING, NULL,
              "cannot remove segment %s, trying again: %s", name, strerror(-r));
    removals_add(segment->places->removals, segment);
}

/* It may have another mode by now: what it was opened with holds. */
static int check_adopted(const struct segment *segment, struct error *error) {
    struct stat status;

    if (fstat(segment->fd, &status) < 0)
        return error_set(error, -errno, "cannot inspect adopted memory: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EPERM, "what is kept in its place is no memory");
    if ((uint64_t)status.st_size < segment->max_size)
        return error_set(error, -EUCLEAN, "it has %lld bytes where %" PRIu64 " were adopted",
                         (long long)status.st_size, segment->max_size);
    return 0;
}

int segment_check(const struct segment *segment, struct error *error) {
    uint64_t least = segment->backing == BACKING_MEMFD ? segment->max_size : segment->size;
    _cleanup_close_ int fd = -1;
    struct stat status;

    if (segment->backing == BACKING_ADOPTED)
        return check_adopted(segment, error);
    /* What is in its place may be a FIFO. */
    fd = segment_open(segment, O_RDONLY | O_NONBLOCK, error);
    if (fd == -ELOOP || fd == -ENXIO)
        return error_set(error, -EPERM, "a link or a socket is in its place");
    if (fd < 0)
        return fd;
    if (fstat(fd, &status) < 0)
        return error_set(error, -errno, "cannot inspect a segment: %s", strerror(errno));
    if (status.st_mode != (S_IFREG | SEGMENT_MODE) || status.st_uid != geteuid())
        return error_set(error, -EPERM,
                         "an object of type and mode %#o, of user %u, is in its place",
                         status.st_mode, status.st_uid);
    /* A daemon that was killed while it resized a region has left it larger. */
    if ((uint64_t)status.st_size < least || (uint64_t)status.st_size > segment->max_size)
        return error_set(error, -EUCLEAN, "it has %lld bytes where %" PRIu64 " were given",
                         (long long)status.st_size, least);
    return 0;
}
