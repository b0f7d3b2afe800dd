/*
 * What gives a promise: the event of a sync block, and snapshots.
 */
#include "addon.h"

#include <errno.h>
#include <string.h>

struct event_wait {
    struct job job;
    uint32_t last;
    uint32_t event;
};

static int wait_event(struct job *job, int timeout_msec) {
    struct event_wait *wait = (struct event_wait *)job;

    return shmreg_wait_event(job->region->handle, wait->last, timeout_msec, &wait->event);
}

static int run_event_wait(struct job *job) {
    return job_try(job, wait_event);
}

static napi_value event_value(napi_env env, struct job *job) {
    return from_double(env, ((struct event_wait *)job)->event);
}

static void end_event_wait(struct job *job) {
    free(job);
}

/* waitEvent(region, last, timeout): a promise of the event as it is then */
napi_value native_waitEvent(napi_env env, napi_callback_info info) {
    struct event_wait *wait;
    struct region *region;
    napi_value arguments[3];
    int64_t timeout;
    uint32_t last;

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    region = to_region(env, arguments[0]);
    if (!region || !to_uint32(env, arguments[1], &last) || !to_int64(env, arguments[2], &timeout))
        return NULL;
    wait = calloc(1, sizeof(*wait));
    if (!wait)
        return throw_error(env, -ENOMEM, "no memory to wait");
    *wait = (struct event_wait){
        .job = {.run = run_event_wait,
                .value = event_value,
                .end = end_event_wait,
                .region = region,
                .timeout_msec = timeout},
        .last = last,
    };
    return job_start(env, &wait->job);
}

struct snapshot {
    struct job job;
    char *path;
    char *source;
    char *name;
    struct shmreg_options options;
};

/* On a connection of its own, so that nobody waits for the copying. */
static int run_snapshot(struct job *job) {
    struct snapshot *snapshot = (struct snapshot *)job;
    shmreg_conn *conn;
    int r = shmreg_connect(snapshot->path, &conn);

    if (r < 0)
        return r;
    r = shmreg_snapshot(conn, snapshot->source, snapshot->name, &snapshot->options, NULL, NULL);
    if (r < 0)
        job->message = strdup(shmreg_error_message());
    shmreg_disconnect(conn);
    return r;
}

static napi_value nothing(napi_env env, struct job *job) {
    (void)job;
    return result_of(env, 0);
}

static void end_snapshot(struct job *job) {
    struct snapshot *snapshot = (struct snapshot *)job;

    free(snapshot->path);
    free(snapshot->source);
    free(snapshot->name);
    options_deinit(&snapshot->options);
    free(snapshot);
}

/* snapshot(path of the daemon, source, name, options): a promise */
napi_value native_snapshot(napi_env env, napi_callback_info info) {
    struct snapshot *snapshot;
    napi_value arguments[4];

    if (!take_arguments(env, info, arguments, 4))
        return NULL;
    snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot)
        return throw_error(env, -ENOMEM, "no memory for a snapshot");
    snapshot->job = (struct job){.run = run_snapshot, .value = nothing, .end = end_snapshot};
    if (to_string(env, arguments[0], &snapshot->path) &&
        to_string(env, arguments[1], &snapshot->source) &&
        to_string(env, arguments[2], &snapshot->name) &&
        to_options(env, arguments[3], &snapshot->options))
        return job_start(env, &snapshot->job);
    end_snapshot(&snapshot->job);
    return NULL;
}
