/*
 * Keepers: locks for a promise
 *
 * The lock of a region belongs to the thread that took it, and JavaScript has only one. So a lock
 * that is awaited belongs to a thread made for it, which sleeps until it has the lock, keeps it,
 * and does what only its owner may do with it until it is told to give it back. Two pieces of
 * JavaScript on one thread exclude each other that way as well as two processes do, and a lock that
 * is lost to the garbage collector is given back.
 */
#include "addon.h"

#include <errno.h>
#include <stdio.h>

enum command {
    NOTHING,
    UNLOCK,
    RECOVERED,
    WRITE_BEGIN,
    WRITE_END,
};

struct keeper {
    struct job job;
    _Atomic unsigned references; /* the job and the box */
    bool owner_died;
    bool taken; /* JavaScript has it, and is to give it back */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum command command; /* with the lock, as those below */
    int result;
    char message[256];
};

static void keeper_unref(struct keeper *keeper) {
    if (atomic_fetch_sub(&keeper->references, 1) > 1)
        return;
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

static void end_job(struct job *job) {
    keeper_unref((struct keeper *)job);
}

static int take_lock(struct job *job, int timeout_msec) {
    return shmreg_lock(job->region->handle, timeout_msec);
}

static int run(struct job *job) {
    struct keeper *keeper = (struct keeper *)job;
    int r = job_try(job, take_lock);

    keeper->owner_died = r == -EOWNERDEAD;
    return keeper->owner_died ? 0 : r;
}

static int obey(struct keeper *keeper) {
    shmreg_region *handle = keeper->job.region->handle;

    switch (keeper->command) {
    case UNLOCK:
        return shmreg_unlock(handle);
    case RECOVERED:
        return shmreg_lock_recovered(handle);
    case WRITE_BEGIN:
        return shmreg_write_begin(handle);
    case WRITE_END:
        return shmreg_write_end(handle);
    default:
        return -EINVAL;
    }
}

/* The owner of the lock, until it has given it back. */
static void keep(struct job *job) {
    struct keeper *keeper = (struct keeper *)job;
    bool keeps = job->result == 0;

    pthread_mutex_lock(&keeper->lock);
    while (keeps) {
        while (keeper->command == NOTHING)
            pthread_cond_wait(&keeper->changed, &keeper->lock);
        keeper->result = obey(keeper);
        if (keeper->result < 0)
            snprintf(keeper->message, sizeof(keeper->message), "%s", shmreg_error_message());
        keeps = keeper->command != UNLOCK;
        keeper->command = NOTHING;
        pthread_cond_broadcast(&keeper->changed);
    }
    pthread_mutex_unlock(&keeper->lock);
}

/* What JavaScript did not come to take is given back at once. */
static void abandon(struct job *job) {
    struct keeper *keeper = (struct keeper *)job;

    pthread_mutex_lock(&keeper->lock);
    if (!keeper->taken)
        keeper->command = UNLOCK;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

static int command(struct keeper *keeper, enum command command) {
    int r;

    pthread_mutex_lock(&keeper->lock);
    keeper->command = command;
    pthread_cond_broadcast(&keeper->changed);
    while (keeper->command != NOTHING)
        pthread_cond_wait(&keeper->changed, &keeper->lock);
    r = keeper->result;
    pthread_mutex_unlock(&keeper->lock);
    return r;
}

static void end_box(napi_env env, void *content) {
    (void)env;
    command(content, UNLOCK);
    keeper_unref(content);
}

/* [the keeper, whether the last owner of the lock died with it] */
static napi_value value(napi_env env, struct job *job) {
    struct keeper *keeper = (struct keeper *)job;
    napi_value pair, box;

    keeper->taken = true;
    atomic_fetch_add(&keeper->references, 1);
    box = box_new(env, keeper, end_box);
    if (!box)
        return NULL;
    if (napi_create_array(env, &pair) != napi_ok ||
        napi_set_element(env, pair, 0, box) != napi_ok ||
        napi_set_element(env, pair, 1, from_bool(env, keeper->owner_died)) != napi_ok)
        return throw_status(env);
    return pair;
}

/* keepLock(region, timeout): a promise of a keeper, whose end() gives the lock back */
napi_value native_keepLock(napi_env env, napi_callback_info info) {
    struct keeper *keeper;
    struct region *region;
    napi_value arguments[2];
    int64_t timeout;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    region = to_region(env, arguments[0]);
    if (!region || !to_int64(env, arguments[1], &timeout))
        return NULL;
    keeper = calloc(1, sizeof(*keeper));
    if (!keeper)
        return throw_error(env, -ENOMEM, "no memory to wait");
    keeper->job = (struct job){.run = run,
                               .linger = keep,
                               .value = value,
                               .abandon = abandon,
                               .end = end_job,
                               .region = region,
                               .timeout_msec = timeout};
    keeper->references = 1;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->changed, NULL);
    return job_start(env, &keeper->job);
}

/* keeperCall(keeper, "recovered", "writeBegin" or "writeEnd" as a number) */
napi_value native_keeperCall(napi_env env, napi_callback_info info) {
    struct keeper *keeper;
    napi_value arguments[2];
    uint32_t number;
    int r;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    keeper = box_open(env, arguments[0], "lock");
    if (!keeper || !to_uint32(env, arguments[1], &number))
        return NULL;
    if (number < RECOVERED || number > WRITE_END)
        return throw_error(env, -EINVAL, "no such command");
    r = command(keeper, (enum command)number);
    return r < 0 ? throw_error(env, r, keeper->message) : result_of(env, 0);
}
