/*
 * Kept: see kept.h.
 */
#include "daemon/core/kept.h"

#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>

void kept_init(struct kept *kept) {
    *kept = (struct kept){0};
    TAILQ_INIT(&kept->left_out);
}

static int push(struct segment *segment) {
    struct kept *kept = segment->places->kept;
    char name[SEGMENT_NAME_MAX];
    int r;

    segment_name(segment, name);
    r = fdstore_push(name, segment->fd);
    segment->kept = r == 0;
    kept->used += segment->kept;
    return r;
}

/* Said once until all is kept again. */
static void leave_out(struct kept *kept, struct segment *segment) {
    if (kept->n_left_out == 0)
        log_warning(
            "the FD store is full: memfd and adopted regions beyond %u descriptors end with "
            "the daemon",
            kept->used);
    TAILQ_INSERT_TAIL(&kept->left_out, segment, left_out);
    segment->is_left_out = true;
    kept->n_left_out++;
}

static void take_in(struct kept *kept, struct segment *segment) {
    TAILQ_REMOVE(&kept->left_out, segment, left_out);
    segment->is_left_out = false;
    kept->n_left_out--;
}

static bool has_room(const struct kept *kept) {
    return kept->used < fdstore_share(FDSTORE_MEMORY);
}

int kept_add(struct segment *segment) {
    struct kept *kept = segment->places->kept;

    if (!fdstore_available())
        return 0;
    if (has_room(kept))
        return push(segment);
    leave_out(kept, segment);
    return 0;
}

int kept_take(struct segment *segment, struct fdstore *store) {
    char name[SEGMENT_NAME_MAX];

    segment_name(segment, name);
    segment->fd = fdstore_take(store, name);
    if (segment->fd < 0)
        return -ENOENT;
    segment->kept = true;
    segment->places->kept->used++;
    return 0;
}

/* Under both names for a moment, so that a kill does not lose it: the next start takes one, and lets
 * go of the other. */
int kept_rename(struct segment *segment, const char *from) {
    _cleanup_close_ int again = -1;
    char to[SEGMENT_NAME_MAX];
    int r;

    if (!segment->kept)
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

int kept_remove(struct segment *segment) {
    struct kept *kept = segment->places->kept;
    char name[SEGMENT_NAME_MAX];
    struct segment *next;
    int r;

    kept_forget(segment);
    if (!segment->kept)
        return 0;
    segment_name(segment, name);
    r = fdstore_drop(name);
    if (r < 0)
        return r;
    segment->kept = false;
    kept->used--;
    next = TAILQ_FIRST(&kept->left_out);
    if (next && has_room(kept)) {
        take_in(kept, next);
        if (push(next) < 0)
            leave_out(kept, next);
    }
    return 0;
}

void kept_forget(struct segment *segment) {
    if (segment->is_left_out)
        take_in(segment->places->kept, segment);
}
