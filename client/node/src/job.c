/*
 * Jobs: what sleeps, on a thread of its own, for a promise
 *
 * The thread is nobody's: it ends when the job does, and a process or a worker that ends meanwhile
 * does not wait for it. Job and promise are held by both sides, since either may end first. A
 * promise that is pending keeps the process alive, as a timer does.
 */
#include "addon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define SLICE_MSEC 250
#define NSEC_PER_MSEC 1000000

struct promise {
    struct job *job;
    _Atomic unsigned references; /* the thread and the event loop */
    pthread_mutex_t lock;
    bool open; /* with the lock: the thread may tell */
    uv_async_t async;
    napi_env env;
    napi_deferred deferred;
    napi_async_context context;
    napi_async_cleanup_hook_handle hook;
};

static int64_t now_msec(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NSEC_PER_MSEC;
}

static bool is_open(struct promise *promise) {
    bool open;

    pthread_mutex_lock(&promise->lock);
    open = promise->open;
    pthread_mutex_unlock(&promise->lock);
    return open;
}

int job_try(struct job *job, int (*attempt)(struct job *job, int timeout_msec)) {
    int64_t deadline = job->timeout_msec < 0 ? INT64_MAX : now_msec() + job->timeout_msec;

    for (;;) {
        int64_t left = deadline - now_msec();
        int r = attempt(job, left < 0 ? 0 : left < SLICE_MSEC ? (int)left : SLICE_MSEC);

        if (r != -ETIMEDOUT || left <= SLICE_MSEC)
            return r;
        if (atomic_load(&job->region->closed) || !is_open(job->promise))
            return -ECANCELED;
    }
}

static void job_hold_region(struct job *job) {
    if (job->region)
        atomic_fetch_add(&region_ref(job->region)->waits, 1);
}

static void job_free(struct job *job) {
    if (job->region) {
        atomic_fetch_sub(&job->region->waits, 1);
        region_unref(job->region);
    }
    free(job->message);
    job->end(job);
}

static void promise_unref(struct promise *promise) {
    if (atomic_fetch_sub(&promise->references, 1) > 1)
        return;
    job_free(promise->job);
    pthread_mutex_destroy(&promise->lock);
    free(promise);
}

static void closed(uv_handle_t *handle) {
    struct promise *promise = handle->data;

    napi_remove_async_cleanup_hook(promise->hook);
    promise_unref(promise);
}

static void promise_close(struct promise *promise) {
    if (promise->context)
        napi_async_destroy(promise->env, promise->context);
    promise->context = NULL;
    if (!uv_is_closing((uv_handle_t *)&promise->async))
        uv_close((uv_handle_t *)&promise->async, closed);
}

static void settle(napi_env env, struct promise *promise) {
    struct job *job = promise->job;
    napi_value value = NULL, error;

    if (job->result >= 0)
        value = job->value(env, job);
    if (value) {
        napi_resolve_deferred(env, promise->deferred, value);
        return;
    }
    if (job->result < 0)
        error = make_error(env, job->result, job->message ? job->message : "");
    else
        napi_get_and_clear_last_exception(env, &error);
    napi_reject_deferred(env, promise->deferred, error);
}

/* The thread has told. */
static void hear(uv_async_t *async) {
    struct promise *promise = async->data;
    napi_callback_scope callbacks;
    napi_handle_scope handles;
    napi_value resource;

    if (napi_open_handle_scope(promise->env, &handles) != napi_ok)
        return;
    napi_create_object(promise->env, &resource);
    if (napi_open_callback_scope(promise->env, resource, promise->context, &callbacks) == napi_ok) {
        settle(promise->env, promise);
        napi_close_callback_scope(promise->env, callbacks);
    }
    napi_close_handle_scope(promise->env, handles);
    promise_close(promise);
}

/* The JavaScript thread ends: there will be nobody to tell. */
static void clean_up(napi_async_cleanup_hook_handle hook, void *data) {
    struct promise *promise = data;

    (void)hook;
    pthread_mutex_lock(&promise->lock);
    promise->open = false;
    pthread_mutex_unlock(&promise->lock);
    if (promise->job->abandon)
        promise->job->abandon(promise->job);
    promise_close(promise);
}

static void *run(void *data) {
    struct promise *promise = data;
    struct job *job = promise->job;

    job->result = job->run(job);
    if (job->result == -ECANCELED)
        job->message = strdup("the region was closed meanwhile");
    else if (job->result < 0 && !job->message)
        job->message = strdup(shmreg_error_message());
    pthread_mutex_lock(&promise->lock);
    if (promise->open)
        uv_async_send(&promise->async);
    pthread_mutex_unlock(&promise->lock);
    if (job->linger)
        job->linger(job);
    promise_unref(promise);
    return NULL;
}

/* No signal of the process is for this thread. */
static int start_thread(struct promise *promise) {
    sigset_t all, before;
    pthread_t thread;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, NULL, run, promise);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        pthread_detach(thread);
    return -r;
}

static struct promise *promise_new(napi_env env, struct job *job) {
    struct promise *promise = calloc(1, sizeof(*promise));
    struct uv_loop_s *loop;

    if (!promise || napi_get_uv_event_loop(env, &loop) != napi_ok ||
        uv_async_init(loop, &promise->async, hear) < 0) {
        free(promise);
        return NULL;
    }
    promise->async.data = promise;
    promise->job = job;
    promise->references = 1;
    promise->open = true;
    promise->env = env;
    pthread_mutex_init(&promise->lock, NULL);
    job->promise = promise;
    return promise;
}

napi_value job_start(napi_env env, struct job *job) {
    struct promise *promise;
    napi_value value;
    int r;

    job_hold_region(job);
    promise = promise_new(env, job);
    if (!promise) {
        job_free(job);
        return throw_error(env, -ENOMEM, "no memory for a promise");
    }
    if (napi_add_async_cleanup_hook(env, clean_up, promise, &promise->hook) != napi_ok ||
        napi_async_init(env, NULL, from_string(env, "shmreg"), &promise->context) != napi_ok ||
        napi_create_promise(env, &promise->deferred, &value) != napi_ok) {
        promise_close(promise);
        return throw_status(env);
    }
    promise->references++;
    r = start_thread(promise);
    if (r < 0) {
        promise_unref(promise);
        promise_close(promise);
        return throw_error(env, r, "cannot start a thread to wait");
    }
    return value;
}
