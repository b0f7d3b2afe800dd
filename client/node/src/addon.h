/*
 * The addon: libshmreg for JavaScript
 *
 * It gives JavaScript plain functions on two kinds of things, connections and regions; the classes
 * that programs use are made of them in ../lib. Nothing here is global, so every thread of a process
 * may load it, and what one thread opens is its own. This package is built by npm, too, from its own
 * folder and an installed libshmreg, so it uses nothing else of the project.
 */
#pragma once

#define NAPI_VERSION 8

#include <node_api.h>
#include <shmreg.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline void cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

/* What one JavaScript thread has of a connection; its regions hold it. */
struct connection {
    _Atomic unsigned references;
    shmreg_conn *conn;
    struct watch *watch; /* NULL until somebody wants news */
};

/* A handle and who needs it: the JavaScript object until it is closed, each array made of its
 * memory, and each thread that waits for it. The last one closes it. */
struct region {
    _Atomic unsigned references;
    struct connection *connection;
    shmreg_region *handle;
    _Atomic bool closed;    /* threads that wait for it give up */
    _Atomic unsigned waits; /* such threads */
    bool locked;            /* by the JavaScript thread */
    LIST_HEAD(, view) views;
    unsigned generation; /* how often it was led to another version */
    unsigned n_old;      /* views into earlier ones */
};

/* value.c: between JavaScript's values and C's. Those that return bool throw if it is false. */
bool take_arguments(napi_env env, napi_callback_info info, napi_value values[], size_t count);
bool to_int64(napi_env env, napi_value value, int64_t *ret);
bool to_uint32(napi_env env, napi_value value, uint32_t *ret);
bool to_bool(napi_env env, napi_value value, bool *ret);
bool to_string(napi_env env, napi_value value, char **ret); /* NULL for undefined */
bool to_options(napi_env env, napi_value value, struct shmreg_options *ret);
void options_deinit(struct shmreg_options *options);
napi_value from_double(napi_env env, double value);
napi_value from_bool(napi_env env, bool value);
napi_value from_string(napi_env env, const char *string);
void set_double(napi_env env, napi_value object, const char *key, double value);
void set_string(napi_env env, napi_value object, const char *key, const char *string);

/* An Error with `code` and `errno`. A NULL message is the library's of this thread. */
napi_value make_error(napi_env env, int error, const char *message);
/* Throw it, and return NULL: for a negative errno, and for whatever N-API has refused. */
napi_value throw_error(napi_env env, int error, const char *message);
napi_value throw_status(napi_env env);
/* undefined, or what throw_error() does. */
napi_value result_of(napi_env env, int r);

/* box.c: how JavaScript holds a connection, a region or a lock: until it empties the box, or the
 * box is collected. Whoever holds nothing else keeps no memory of it. */
typedef void (*box_end)(napi_env env, void *content);
napi_value box_new(napi_env env, void *content, box_end end);
void *box_open(napi_env env, napi_value value, const char *what); /* NULL: thrown */
napi_value box_empty(napi_env env, napi_callback_info info);

/* connection.c */
struct connection *connection_ref(struct connection *connection);
void connection_unref(struct connection *connection);
struct connection *to_connection(napi_env env, napi_value value);

/* watch.c */
void watch_end(struct watch *watch);

/* region.c */
napi_value region_wrap(napi_env env, struct connection *connection, shmreg_region *handle);
struct region *region_ref(struct region *region);
void region_unref(struct region *region);
struct region *to_region(napi_env env, napi_value value);
/* Of functions that have a region and nothing else; of those that begin with (region, offset,
 * length). NULL: thrown. */
struct region *take_region(napi_env env, napi_callback_info info);
struct region *take_range(napi_env env, const napi_value arguments[3], uint64_t *ret_offset,
                          uint64_t *ret_length);

/* view.c */
void views_detach(napi_env env, struct region *region, bool only_old);
void views_grow_old(struct region *region);

/*
 * job.c: what may sleep for long has a thread of its own and gives a promise. Node's own pool has
 * four threads, which sleepers would take from file systems and name look-ups, and a process could
 * not exit while one sleeps there.
 */
struct job {
    int (*run)(struct job *job);     /* on the thread: 0 or a negative errno of the library */
    void (*linger)(struct job *job); /* then, on the thread, whatever run() said; may be NULL */
    napi_value (*value)(napi_env env, struct job *job); /* what the promise gives after a 0 */
    void (*abandon)(struct job *job);                   /* JavaScript has ended; may be NULL */
    void (*end)(struct job *job);                       /* frees it, on either thread */
    struct region *region;                              /* held; NULL for none */
    int64_t timeout_msec;                               /* negative: without end */
    int result;                                         /* of run() */
    char *message;
    struct promise *promise;
};

/* Takes the job over, whatever it returns: a promise, or NULL with an exception. */
napi_value job_start(napi_env env, struct job *job);

/* Calls @attempt with slices of the job's time until it says anything but -ETIMEDOUT, the time is
 * over, or the region was closed: -ECANCELED. */
int job_try(struct job *job, int (*attempt)(struct job *job, int timeout_msec));

/* What JavaScript may call, defined next to what it is about. */
/* clang-format off */
#define NATIVE_FUNCTIONS(X) \
    X(connect) X(watch) X(hold) X(process) \
    X(create) X(open) X(openMany) X(adopt) X(stage) X(publish) X(snapshot) \
    X(put) X(get) X(destroy) X(resize) X(seal) X(renew) X(describe) X(setAttributes) X(setAccess) \
    X(id) X(size) X(version) X(fd) X(isCurrent) X(refresh) X(dropOld) X(flush) \
    X(view) X(write) X(detach) \
    X(lock) X(unlock) X(lockRecovered) X(writeBegin) X(writeEnd) X(readBegin) X(readRetry) \
    X(lockRange) X(unlockRange) X(notify) X(waitEvent) X(keepLock) X(keeperCall)
/* clang-format on */

#define DECLARE_NATIVE(name) napi_value native_##name(napi_env env, napi_callback_info info);
NATIVE_FUNCTIONS(DECLARE_NATIVE)
