/*
 * Segments without a name: memfds
 *
 * A memfd is made sparse at max_size and sealed against shrinking and growing, so that no writer
 * can pull memory away under a reader (memfd_create(2), fcntl(2) F_ADD_SEALS). The daemon keeps one
 * descriptor, the service manager another in its FD store; everyone else gets an open file
 * description of his own through /proc/self/fd.
 */
#include "daemon/core/kept.h"

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
    segment->fd = steal_fd(&fd);
    r = kept_add(segment);
    if (r < 0)
        close_fd(&segment->fd);
    segment->named = r == 0;
    return r;
}

/* Whoever may write to a memfd may seal it as well: nothing but F_SEAL_SEAL keeps him from it, which
 * would keep the daemon from it, too. */
static bool is_sealed_by_a_writer(const struct segment *segment) {
    int seals = fcntl(segment->fd, F_GET_SEALS);

    return !segment->sealed && seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

static int memfd_open(const struct segment *segment, int flags) {
    if ((flags & O_ACCMODE) != O_RDONLY && is_sealed_by_a_writer(segment))
        return -EROFS;
    return segment_open_anew(segment->fd, flags);
}

static int memfd_seal(const struct segment *segment) {
    return fcntl(segment->fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? -errno : 0;
}

static int memfd_sync(const struct segment *segment, bool content) {
    (void)segment;
    (void)content;
    return 0;
}

static int memfd_set_times(const struct segment *segment, const struct timespec times[2]) {
    return futimens(segment->fd, times) < 0 ? -errno : 0;
}

const struct segment_ops segment_memfd_ops = {
    .create = memfd_create_segment,
    .open = memfd_open,
    .rename = kept_rename,
    .seal = memfd_seal,
    .sync = memfd_sync,
    .remove = kept_remove,
    .set_times = memfd_set_times,
};
