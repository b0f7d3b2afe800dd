/*
 * Removal: see removal.h.
 */
#include "daemon/core/removal.h"

#include "daemon/core/segment.h"

#include <errno.h>

struct removals {
    struct event *timer;
    STAILQ_HEAD(removal_list, segment) waiting;
};

static const struct timeval pause_length = {.tv_sec = 1};

static void on_timer(int fd, short what, void *data) {
    struct removals *removals = data;
    struct removal_list due = STAILQ_HEAD_INITIALIZER(due);
    struct segment *segment;

    (void)fd;
    (void)what;
    STAILQ_CONCAT(&due, &removals->waiting);
    while ((segment = STAILQ_FIRST(&due))) {
        STAILQ_REMOVE_HEAD(&due, removal);
        segment_remove(segment);
        segment_unref(segment);
    }
}

int removals_new(struct event_base *base, struct removals **ret) {
    _cleanup_(cleanup_removals_free) struct removals *removals = calloc(1, sizeof(*removals));

    if (!removals)
        return -ENOMEM;
    STAILQ_INIT(&removals->waiting);
    removals->timer = evtimer_new(base, on_timer, removals);
    if (!removals->timer)
        return -ENOMEM;
    *ret = steal_pointer(removals);
    return 0;
}

void removals_free(struct removals *removals) {
    struct segment *segment;

    while ((segment = STAILQ_FIRST(&removals->waiting))) {
        STAILQ_REMOVE_HEAD(&removals->waiting, removal);
        segment_unref(segment);
    }
    if (removals->timer)
        event_free(removals->timer);
    free(removals);
}

void removals_add(struct removals *removals, struct segment *segment) {
    segment_ref(segment);
    STAILQ_INSERT_TAIL(&removals->waiting, segment, removal);
    if (!evtimer_pending(removals->timer, NULL))
        evtimer_add(removals->timer, &pause_length);
}
