/*
 * Durability: see durability.h.
 */
#include "daemon/core/durability.h"

#include "daemon/core/manager-private.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sync under way. */
struct sync {
    struct job job; /* the first: a job is cast to it */
    struct region *region;
    int fd;
    int result;
};

static void sync_now(struct region *region);

int durability_check(const struct region_spec *spec, enum backing backing, struct error *error) {
    enum durability durability = spec->durability;

    if (durability != 0 && !durability_to_word(durability))
        return error_set(error, -EINVAL, "unknown durability %u: choose of %s", durability,
                         durability_words);
    if (durability > DURABILITY_NONE && backing != BACKING_FILE)
        return error_set(error, -EINVAL, "region '%s': only a file region can be synced to disk",
                         spec->name);
    if ((durability == DURABILITY_INTERVAL) != (spec->durability_seconds != 0))
        return error_set(error, -EINVAL,
                         "region '%s': durability `interval` and its seconds go together",
                         spec->name);
    return 0;
}

enum durability durability_of(const struct region_spec *spec, enum backing backing) {
    if (spec->durability != 0)
        return spec->durability;
    return backing == BACKING_FILE ? DURABILITY_PUBLISH : DURABILITY_NONE;
}

int durability_sync(const struct region *region, const struct segment *segment,
                    struct error *error) {
    return segment_sync(segment, region->durability == DURABILITY_PUBLISH && !segment->synced,
                        error);
}

static void arm(struct region *region) {
    if (event_add(region->sync_timer, &(struct timeval){.tv_sec = region->durability_seconds}) < 0)
        log_write(LOG_ERR, ABOUT(.region = region->name), "cannot start the timer of region '%s'",
                  region->name);
}

static void on_timer(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    sync_now(data);
}

static void run_sync(struct job *job) {
    struct sync *sync = (struct sync *)job;

    sync->result = fdatasync(sync->fd) < 0 ? -errno : 0;
}

static void on_synced(struct job *job) {
    struct sync *sync = (struct sync *)job;
    struct region *region = sync->region;

    region->syncing = false;
    if (sync->result < 0) {
        region->unsynced = true;
        log_write(LOG_ERR, ABOUT(.region = region->name), "cannot sync region '%s': %s",
                  region->name, strerror(-sync->result));
    }
    if (region->unsynced && !region->ended && !job_is_cancelled(job))
        arm(region);
    region_unref(region);
    close_fd(&sync->fd);
    free(sync);
}

static int start_sync(struct region *region, struct error *error) {
    _cleanup_close_ int fd = segment_open(region->segment, O_RDONLY, error);
    _cleanup_free_ struct sync *sync = calloc(1, sizeof(*sync));
    int r;

    if (fd < 0)
        return fd;
    if (!sync)
        return error_set(error, -ENOMEM, "no memory");
    *sync = (struct sync){.job = {.run = run_sync, .done = on_synced}, .region = region, .fd = fd};
    r = disk_start(region->manager->places.disk, &sync->job);
    if (r < 0)
        return error_set(error, r, "cannot start a worker: %s", strerror(-r));
    region_ref(region);
    steal_fd(&fd);
    steal_pointer(sync);
    return 0;
}

/* Who can write now may write after it is synced, and is looked at again. */
static void sync_now(struct region *region) {
    struct error error;

    region->unsynced = region->writers > 0;
    region->syncing = start_sync(region, &error) == 0;
    if (region->syncing)
        return;
    log_write(LOG_ERR, ABOUT(.region = region->name), "cannot sync region '%s': %s", region->name,
              error.text);
    region->unsynced = true;
    arm(region);
}

void durability_changed(struct region *region) {
    if (region->durability != DURABILITY_INTERVAL || region->ended)
        return;
    region->unsynced = true;
    if (!region->sync_timer)
        region->sync_timer = evtimer_new(region->manager->base, on_timer, region);
    if (region->sync_timer && !region->syncing && !evtimer_pending(region->sync_timer, NULL))
        arm(region);
}

void durability_stop(struct region *region) {
    if (region->sync_timer)
        event_del(region->sync_timer);
}
