/*
 * Reaper: see reaper.h.
 */
#include "daemon/core/reaper.h"

#include "daemon/core/cache.h"
#include "daemon/core/clock.h"
#include "daemon/core/manager-private.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <stddef.h>

#define RETRY_USEC USEC_PER_SEC

static void on_timer(int fd, short what, void *data);

static void arm(struct region *region, uint64_t usec) {
    struct timeval timeout = {
        .tv_sec = (time_t)(usec / USEC_PER_SEC),
        .tv_usec = (suseconds_t)(usec % USEC_PER_SEC),
    };

    if (event_add(region->timer, &timeout) < 0)
        log_write(LOG_ERR, ABOUT(.region = region->name), "cannot start the clock of region '%s'",
                  region->name);
}

static void start_clock(struct region *region) {
    uint64_t usec = (uint64_t)region->seconds * USEC_PER_SEC;

    region->deadline = boottime_usec() + usec;
    arm(region, usec);
}

static void stop_clock(struct region *region) {
    region->deadline = 0;
    event_del(region->timer);
    if (region->reaping)
        disk_wait_cancel(steal_pointer(region->reaping));
}

static void on_disk_answered(void *data) {
    struct region *region = data;

    region->reaping = NULL;
    on_timer(-1, 0, region);
}

static bool wait_for_disk(struct region *region) {
    return region->reaping ||
           manager_await_disk(region->manager, on_disk_answered, region, &region->reaping) == 0;
}

static void reap(struct region *region, const char *reason) {
    struct error error = {0};
    int r = manager_end_region(region, NULL, REGION_REAPED, reason, &error);

    if (r == 0 || (r == -EINPROGRESS && wait_for_disk(region)))
        return;
    log_write(LOG_ERR, ABOUT(.region = region->name), "cannot reap region '%s', trying again: %s",
              region->name, error.text);
    arm(region, RETRY_USEC);
}

static const char *reason_to_end(const struct region *region) {
    switch (region->lifetime) {
    case LIFETIME_LEASE:
        return "its lease ran out";
    case LIFETIME_OWNER:
        return "its owner's process ended";
    default:
        return "nobody was attached for its linger time";
    }
}

static void on_timer(int fd, short what, void *data) {
    struct region *region = data;
    uint64_t now = boottime_usec();

    (void)fd;
    (void)what;
    if (region->deadline > now)
        arm(region, region->deadline - now);
    else
        reap(region, reason_to_end(region));
}

static void on_owner_ended(struct process_watch *watch) {
    struct region *region = (struct region *)((char *)watch - offsetof(struct region, owner));

    reap(region, reason_to_end(region));
}

int reaper_start(struct region *region, struct process *owner, struct error *error) {
    uint64_t now = boottime_usec();

    if (region->lifetime == LIFETIME_CACHE)
        cache_enter(region);
    if (region->lifetime == LIFETIME_PERSISTENT || region->lifetime == LIFETIME_CACHE)
        return 0;
    if (!region->timer)
        region->timer = evtimer_new(region->manager->base, on_timer, region);
    if (!region->timer)
        return error_set(error, -ENOMEM, "no memory for a timer");

    switch (region->lifetime) {
    case LIFETIME_OWNER:
        region->owner_identity = owner->identity;
        region->owner.ended = on_owner_ended;
        if (process_watch_start(owner, &region->owner) < 0)
            return error_set(error, -ENOMEM, "no memory to watch process %d", owner->identity.pid);
        break;
    case LIFETIME_LEASE:
        if (region->deadline == 0)
            start_clock(region);
        else
            arm(region, region->deadline > now ? region->deadline - now : 0);
        break;
    default:
        reaper_attachments_changed(region);
    }
    return 0;
}

void reaper_stop(struct region *region) {
    process_watch_stop(&region->owner);
    cache_leave(region);
    if (region->timer)
        stop_clock(region);
}

void reaper_attachments_changed(struct region *region) {
    cache_used(region);
    if (region->lifetime != LIFETIME_ATTACHED || region->ended)
        return;
    if (LIST_EMPTY(&region->attachments))
        start_clock(region);
    else if (region->deadline != 0)
        stop_clock(region);
}

void reaper_deadline_changed(struct region *region) {
    on_timer(-1, 0, region);
}
