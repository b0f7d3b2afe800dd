/*
 * Workers: what may take long, beside the loop
 *
 * Two threads carry out jobs, so that nobody waits while a snapshot is copied or a file is synced.
 * A job is run on a worker and handed back on the loop; in between it touches nothing that the loop
 * does but its own two atomics. The threads start with the first job and sleep without one: an idle
 * daemon makes no wake-up. Signals are the loop's.
 */
#pragma once

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/cleanup.h"

struct workers;

struct job {
    void (*run)(struct job *job);  /* on a worker; not called if it is cancelled before it starts */
    void (*done)(struct job *job); /* on the loop, once, whatever happened; the job is free then */
    _Atomic bool cancelled;        /* run() looks at it, and returns soon */
    _Atomic uint64_t progress;     /* as run() counts it */
    TAILQ_ENTRY(job) link;
};

int workers_new(struct event_base *base, struct workers **ret);
/* Cancels all jobs, waits until none runs, and calls done() of each. One that does not come back is
 * left alone after some seconds, which the log says: it keeps its memory, as the process is to end. */
void workers_free(struct workers *workers);
DEFINE_CLEANUP(struct workers *, workers_free);

/* Jobs start in the order in which they are given. 0 or a negative errno: no thread can be had, and
 * done() is not called. */
int workers_start(struct workers *workers, struct job *job);

/* Whether a job waits or runs. */
bool workers_are_busy(struct workers *workers);

static inline void job_cancel(struct job *job) {
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
}

static inline bool job_is_cancelled(struct job *job) {
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}
