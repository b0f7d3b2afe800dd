/*
 * Segments that somebody else made: adopted memory
 *
 * The daemon keeps the descriptor, the service manager another in its FD store. Who made the memory
 * may still cut it or seal it, so what can be offered is looked up with every open.
 */
#include "daemon/core/adopted.h"

#include "daemon/core/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int segment_adopt(const struct segment_places *places, uint64_t id, uint64_t size,
                  struct adopted *adopted, struct charge *charge, struct segment **ret,
                  struct error *error) {
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    int r = segment_new_existing(places, BACKING_ADOPTED, id, 1, size, adopted->size, -1, &segment);

    if (r < 0) {
        charge_release(charge);
        return error_set(error, r, "no memory for a segment");
    }
    segment->charge = charge;
    segment->huge_pages = adopted->huge_pages;
    segment->fd = steal_fd(&adopted->fd);
    r = kept_add(segment);
    if (r < 0)
        return error_set(error, r, "the service manager does not keep the descriptor: %s",
                         strerror(-r));
    *ret = steal_pointer(segment);
    return 0;
}

static bool adopted_is_writable(const struct segment *segment) {
    int seals = fcntl(segment->fd, F_GET_SEALS);

    if (seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return false;
    return (fcntl(segment->fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

static int adopted_segment_open(const struct segment *segment, int flags) {
    if ((flags & O_ACCMODE) != O_RDONLY && !adopted_is_writable(segment))
        return -EROFS;
    return segment_open_anew(segment->fd, flags | O_NONBLOCK);
}

/* Whoever has the file syncs it. */
static int adopted_sync(const struct segment *segment, bool content) {
    (void)segment;
    (void)content;
    return 0;
}

/* Neither made by the daemon nor replaced by another version: nothing creates or renames it. */
const struct segment_ops segment_adopted_ops = {
    .open = adopted_segment_open,
    .sync = adopted_sync,
    .remove = kept_remove,
};
