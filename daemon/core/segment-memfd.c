/*
 * Segments without a name: memfds
 *
 * A memfd is made sparse at max_size and sealed against shrinking and growing, so that no writer
 * can pull memory away under a reader (memfd_create(2), fcntl(2) F_ADD_SEALS). The daemon keeps one
 * descriptor, the service manager another in its FD store; everyone else gets an open file
 * description of his own through /proc/self/fd.
 */
#include "daemon/core/segment.h"
#include "daemon/ground/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of huge pages nothing is taken from the host here: that is done when they are mapped. */
static unsigned memfd_flags(const struct segment *segment) {
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

    switch (segment->huge_pages) {
    case HUGE_PAGES_2M:
        return flags | MFD_HUGETLB | MFD_HUGE_2MB;
    case HUGE_PAGES_1G:
        return flags | MFD_HUGETLB | MFD_HUGE_1GB;
    }
    return flags;
}

static int memfd_create_segment(struct segment *segment) {
    _cleanup_close_ int fd = -1;
    char name[SEGMENT_NAME_MAX];
    int r;

    segment_name(segment, name);
    fd = memfd_create(name, memfd_flags(segment));
    /* Its inode is born with mode 0777: anyone with a descriptor could reopen it for writing. */
    if (fd < 0 || fchmod(fd, SEGMENT_MODE) < 0 || ftruncate(fd, (off_t)segment->max_size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return -errno;
    if (fdstore_available()) {
        r = fdstore_push(name, fd);
        if (r < 0)
            return r;
    }
    segment->fd = steal_fd(&fd);
    segment->named = true;
    return 0;
}

static int memfd_open(const struct segment *segment, int flags) {
    return segment_open_anew(segment->fd, flags);
}

/* Under both names for a moment, so that a kill does not lose it: the next start takes one, and lets
 * go of the other. */
static int memfd_rename(struct segment *segment, const char *from) {
    _cleanup_close_ int again = -1;
    char to[SEGMENT_NAME_MAX];
    int r;

    if (!fdstore_available())
        return 0;
    segment_name(segment, to);
    /* The store ignores what it has already, under whatever name: that is, this open file description,
     * or where it cannot compare those, this file. Then the second push counts. */
    again = segment_open_anew(segment->fd, O_RDWR);
    if (again < 0)
        return again;
    r = fdstore_push(to, again);
    if (r == 0)
        r = fdstore_drop(from);
    if (r == 0)
        r = fdstore_push(to, again);
    if (r < 0) {
        fdstore_drop(to);
        fdstore_push(from, segment->fd);
    }
    return r;
}

static int memfd_seal(const struct segment *segment) {
    return fcntl(segment->fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? -errno : 0;
}

static int memfd_sync(const struct segment *segment, bool content) {
    (void)segment;
    (void)content;
    return 0;
}

static int memfd_remove(struct segment *segment) {
    char name[SEGMENT_NAME_MAX];

    segment_name(segment, name);
    return fdstore_available() ? fdstore_drop(name) : 0;
}

static int memfd_set_times(const struct segment *segment, const struct timespec times[2]) {
    return futimens(segment->fd, times) < 0 ? -errno : 0;
}

const struct segment_ops segment_memfd_ops = {
    .create = memfd_create_segment,
    .open = memfd_open,
    .rename = memfd_rename,
    .seal = memfd_seal,
    .sync = memfd_sync,
    .remove = memfd_remove,
    .set_times = memfd_set_times,
};
