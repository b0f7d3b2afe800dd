/*
 * Snapshot: see snapshot.h.
 */
#include "daemon/core/snapshot.h"

#include "daemon/core/cache.h"
#include "daemon/core/copy.h"
#include "daemon/core/manager-private.h"
#include "daemon/ground/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_USEC 100000

struct snapshot {
    struct job job; /* the first: a job is cast to it */
    struct manager *manager;
    struct snapshot_listener listener;
    struct event *timer;    /* of progress */
    struct region *region;  /* not installed yet */
    struct process *owner;  /* of an `owner` region */
    struct segment *source; /* kept, whatever becomes of its region; which no cache makes room of */
    uint64_t size;          /* that it had at first */
    int from, to;
    struct error error; /* of the worker, then of the loop */
};

/* What was made for a region that will not be is given up, too. */
static void snapshot_free(struct snapshot *snapshot) {
    if (snapshot->timer)
        event_free(snapshot->timer);
    if (snapshot->region)
        manager_discard_region(snapshot->region);
    cleanup_process_unref(&snapshot->owner);
    cleanup_segment_unref(&snapshot->source);
    close_fd(&snapshot->from);
    close_fd(&snapshot->to);
    free(snapshot);
}
DEFINE_CLEANUP(struct snapshot *, snapshot_free);

static void copy(struct job *job) {
    struct snapshot *snapshot = (struct snapshot *)job;

    copy_content(snapshot->from, snapshot->to, snapshot->size, job, &snapshot->error);
    if (snapshot->error.code == 0 && snapshot->region->durability == DURABILITY_PUBLISH &&
        fsync(snapshot->to) < 0)
        error_set(&snapshot->error, -errno, "cannot sync a segment: %s", strerror(errno));
}

static int install(struct snapshot *snapshot) {
    struct region *region = snapshot->region;
    int r = 0;

    if (manager_lookup(snapshot->manager, region->name))
        r = error_set(&snapshot->error, -EEXIST, "region '%s' exists by now", region->name);
    if (r == 0)
        r = manager_install(snapshot->manager, region, snapshot->owner, &snapshot->error);
    if (r == 0)
        snapshot->region = NULL;
    return r;
}

static void on_copied(struct job *job) {
    struct snapshot *snapshot = (struct snapshot *)job;
    struct snapshot_listener listener = snapshot->listener;
    struct region *region = snapshot->region;
    struct error error;

    if (job_is_cancelled(job)) {
        snapshot_free(snapshot);
        return;
    }
    region->segment->synced = region->durability == DURABILITY_PUBLISH;
    disk_enter(snapshot->manager->places.disk);
    if (snapshot->error.code < 0 || install(snapshot) < 0)
        region = NULL;
    disk_leave(snapshot->manager->places.disk);
    error = snapshot->error;
    snapshot_free(snapshot);
    listener.ended(listener.data, region, &error);
}

static void on_progress(int fd, short what, void *data) {
    struct snapshot *snapshot = data;

    (void)fd;
    (void)what;
    snapshot->listener.progress(snapshot->listener.data, atomic_load(&snapshot->job.progress),
                                snapshot->size);
}

void snapshot_cancel(struct snapshot *snapshot) {
    job_cancel(&snapshot->job);
    event_del(snapshot->timer);
}

/* The spec with what it leaves to the source. */
static int complete_spec(const struct region_spec *spec, const struct segment *source,
                         struct region_spec *ret, struct error *error) {
    *ret = *spec;
    if (ret->size == 0)
        ret->size = source->size;
    if (ret->max_size == 0)
        ret->max_size = ret->size > source->max_size ? ret->size : source->max_size;
    if (ret->backing == 0 && source->backing != BACKING_ADOPTED)
        ret->backing = source->backing;
    if (ret->size < source->size)
        return error_set(error, -EINVAL,
                         "region '%s': %" PRIu64 " bytes do not hold the %" PRIu64 " of its source",
                         spec->name, ret->size, source->size);
    return 0;
}

/* Everything that can be short is had before anything is copied. */
static int prepare(struct snapshot *snapshot, const struct caller *caller, struct client *client,
                   const struct region_spec *spec, struct error *error) {
    struct manager *manager = snapshot->manager;
    struct timeval interval = {.tv_usec = PROGRESS_USEC};
    int r = manager_make_region(manager, caller, spec, &snapshot->region, error);

    if (r < 0)
        return r;
    snapshot->from = segment_open(snapshot->source, O_RDONLY, error);
    if (snapshot->from < 0)
        return snapshot->from;
    snapshot->to = segment_open(snapshot->region->segment, O_RDWR, error);
    if (snapshot->to < 0)
        return snapshot->to;
    if (client && client->process)
        snapshot->owner = process_ref(client->process);
    snapshot->timer = event_new(manager->base, -1, EV_PERSIST, on_progress, snapshot);
    if (!snapshot->timer || event_add(snapshot->timer, &interval) < 0)
        return error_set(error, -ENOMEM, "no memory for a timer");
    r = snapshot->region->segment->backing == BACKING_FILE
            ? disk_start(manager->places.disk, &snapshot->job)
            : workers_start(manager->workers, &snapshot->job);
    return r < 0 ? error_set(error, r, "cannot start a worker: %s", strerror(-r)) : 0;
}

static int begin(struct manager *manager, const struct caller *caller, struct client *client,
                 struct segment *source, const struct region_spec *spec,
                 const struct snapshot_listener *listener, struct snapshot **ret,
                 struct error *error) {
    _cleanup_(cleanup_snapshot_free) struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    int r;

    if (!snapshot)
        return error_set(error, -ENOMEM, "no memory for a snapshot");
    *snapshot = (struct snapshot){
        .job = {.run = copy, .done = on_copied},
        .manager = manager,
        .listener = *listener,
        .source = segment_ref(source),
        .size = source->size,
        .from = -1,
        .to = -1,
    };
    r = prepare(snapshot, caller, client, spec, error);
    if (r < 0)
        return r;
    *ret = steal_pointer(snapshot);
    return 0;
}

int manager_snapshot(struct manager *manager, const struct caller *caller, struct client *client,
                     const char *source, const struct region_spec *spec,
                     const struct snapshot_listener *listener, struct snapshot **ret,
                     struct region **ret_region, struct error *error) {
    struct region_spec complete;
    struct region *from;
    int r = manager_find_with(manager, caller, source, RIGHT_READ, &from, error);

    *ret = NULL;
    if (r == 0)
        r = complete_spec(spec, from->segment, &complete, error);
    if (r == 0)
        r = manager_check_new(manager, caller, client, &complete, false, ret_region, error);
    if (r < 0 || *ret_region)
        return r;
    cache_used(from);
    return begin(manager, caller, client, from->segment, &complete, listener, ret, error);
}
