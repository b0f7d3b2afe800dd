/*
 * Copy: see copy.h.
 */
#include "daemon/core/copy.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_MAX (1u << 20) /* bytes between two looks at whether the job is cancelled */

struct copy {
    int from, to;
    struct job *job;
    unsigned char *buffer; /* NULL while copy_file_range(2) serves */
};

static int truncated(uint64_t size, struct error *error) {
    return error_set(error, -EUCLEAN, "a writer has truncated the segment to %llu bytes",
                     (unsigned long long)size);
}

static int copy_failed(struct error *error) {
    int r = -errno;

    return error_set(error, r, "cannot copy a segment: %s", strerror(-r));
}

/* The content is that of a moment, and costs nothing. False: not between these two. */
static bool share(int from, int to) {
    struct stat source, target;

    if (fstat(from, &source) < 0 || fstat(to, &target) < 0 || source.st_dev != target.st_dev ||
        ioctl(to, FICLONE, from) < 0)
        return false;
    /* What a writer has added to the source is none of the region's. */
    return ftruncate(to, target.st_size) == 0;
}

static ssize_t copy_in_kernel(const struct copy *copy, uint64_t offset, size_t size) {
    off_t in = (off_t)offset, out = in;

    return copy_file_range(copy->from, &in, copy->to, &out, size, 0);
}

static ssize_t copy_by_hand(const struct copy *copy, uint64_t offset, size_t size) {
    ssize_t n = pread(copy->from, copy->buffer, size, (off_t)offset), written = 0;

    while (n > 0 && written < n) {
        ssize_t m = pwrite(copy->to, copy->buffer + written, (size_t)(n - written),
                           (off_t)offset + written);

        if (m < 0 && errno != EINTR)
            return m;
        if (m > 0)
            written += m;
    }
    return n;
}

/* Whatever the kernel does not copy itself can still be read and written, or fails by that. */
static ssize_t copy_piece(struct copy *copy, uint64_t offset, size_t size) {
    ssize_t n = copy->buffer ? 0 : copy_in_kernel(copy, offset, size);

    if (n > 0)
        return n;
    if (!copy->buffer && !(copy->buffer = malloc(PIECE_MAX))) {
        errno = ENOMEM;
        return -1;
    }
    return copy_by_hand(copy, offset, size);
}

static int copy_range(struct copy *copy, uint64_t offset, uint64_t end, struct error *error) {
    while (offset < end) {
        uint64_t left = end - offset;
        ssize_t n;

        if (job_is_cancelled(copy->job))
            return -ECANCELED;
        n = copy_piece(copy, offset, left < PIECE_MAX ? (size_t)left : PIECE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return copy_failed(error);
        if (n == 0)
            return truncated(offset, error);
        offset += (uint64_t)n;
        atomic_store_explicit(&copy->job->progress, offset, memory_order_relaxed);
    }
    return 0;
}

/* Where data begins at or after the offset, and where it ends; without file system support, all of
 * it is data. */
static void find_data(int fd, uint64_t offset, uint64_t size, uint64_t *ret_start,
                      uint64_t *ret_end) {
    off_t start = lseek(fd, (off_t)offset, SEEK_DATA), end;

    if (start < 0 && errno == ENXIO) {
        *ret_start = *ret_end = size;
        return;
    }
    *ret_start = start < 0 ? offset : (uint64_t)start;
    end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
    *ret_end = end < 0 || (uint64_t)end > size ? size : (uint64_t)end;
}

int copy_content(int from, int to, uint64_t size, struct job *job, struct error *error) {
    struct copy copy = {.from = from, .to = to, .job = job};
    uint64_t start = 0, end = 0;
    struct stat status;
    int r = 0;

    if (fstat(from, &status) < 0)
        return copy_failed(error);
    if ((uint64_t)status.st_size < size)
        return truncated((uint64_t)status.st_size, error);
    if (!share(from, to)) {
        while (r == 0 && end < size) {
            find_data(from, end, size, &start, &end);
            r = copy_range(&copy, start, end, error);
        }
        free(copy.buffer);
    }
    if (r == 0)
        atomic_store_explicit(&job->progress, size, memory_order_relaxed);
    return r;
}
