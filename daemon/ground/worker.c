/*
 * Workers: see worker.h.
 */
#include "daemon/ground/worker.h"

#include "daemon/ground/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2u

/* For jobs that do not come back, as those that wait for a disk. */
#define PATIENCE_SEC 3

TAILQ_HEAD(jobs, job);

struct workers {
    int event_fd; /* counts up when a job is over */
    struct event *event;
    pthread_t threads[THREADS];
    unsigned n_threads;

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct jobs waiting, running, over;
    bool stopping;
};

/* With the lock held, which is given up while the job runs. */
static void carry_out(struct workers *workers, struct job *job) {
    TAILQ_REMOVE(&workers->waiting, job, link);
    TAILQ_INSERT_TAIL(&workers->running, job, link);
    pthread_mutex_unlock(&workers->lock);
    if (!job_is_cancelled(job))
        job->run(job);
    pthread_mutex_lock(&workers->lock);
    TAILQ_REMOVE(&workers->running, job, link);
    TAILQ_INSERT_TAIL(&workers->over, job, link);
    eventfd_write(workers->event_fd, 1);
}

static void *work(void *data) {
    struct workers *workers = data;
    struct job *job;

    pthread_mutex_lock(&workers->lock);
    while (!workers->stopping) {
        job = TAILQ_FIRST(&workers->waiting);
        if (job)
            carry_out(workers, job);
        else
            pthread_cond_wait(&workers->changed, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static struct job *take_first(struct workers *workers, struct jobs *jobs) {
    struct job *job;

    pthread_mutex_lock(&workers->lock);
    job = TAILQ_FIRST(jobs);
    if (job)
        TAILQ_REMOVE(jobs, job, link);
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void on_over(int fd, short what, void *data) {
    struct workers *workers = data;
    struct job *job;
    eventfd_t count;

    (void)what;
    eventfd_read(fd, &count);
    while ((job = take_first(workers, &workers->over)))
        job->done(job);
}

int workers_new(struct event_base *base, struct workers **ret) {
    _cleanup_(cleanup_workers_free) struct workers *workers = calloc(1, sizeof(*workers));

    if (!workers)
        return -ENOMEM;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->changed, NULL);
    TAILQ_INIT(&workers->waiting);
    TAILQ_INIT(&workers->running);
    TAILQ_INIT(&workers->over);
    workers->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->event_fd < 0)
        return -errno;
    workers->event = event_new(base, workers->event_fd, EV_READ | EV_PERSIST, on_over, workers);
    if (!workers->event || event_add(workers->event, NULL) < 0)
        return -ENOMEM;
    *ret = steal_pointer(workers);
    return 0;
}

/* False: one of them has not ended in time. */
static bool join_threads(struct workers *workers) {
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += PATIENCE_SEC;
    for (; workers->n_threads > 0; workers->n_threads--)
        if (pthread_clockjoin_np(workers->threads[workers->n_threads - 1], NULL, CLOCK_MONOTONIC,
                                 &deadline) != 0)
            return false;
    return true;
}

static bool stop_threads(struct workers *workers) {
    struct job *job;

    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    TAILQ_FOREACH (job, &workers->running, link)
        job_cancel(job);
    TAILQ_FOREACH (job, &workers->waiting, link)
        job_cancel(job);
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    return join_threads(workers);
}

/* The threads that are left need what they share. */
static void leave_alone(struct workers *workers) {
    log_warning(
        "%u workers have not come back within %d seconds, as from a disk that does not answer: "
        "stopping without them, and what they were asked for was not answered",
        workers->n_threads, PATIENCE_SEC);
    event_free(workers->event);
    while (workers->n_threads > 0)
        pthread_detach(workers->threads[--workers->n_threads]);
}

void workers_free(struct workers *workers) {
    struct job *job;

    if (!stop_threads(workers)) {
        leave_alone(workers);
        return;
    }
    while ((job = take_first(workers, &workers->over)))
        job->done(job);
    while ((job = take_first(workers, &workers->waiting)))
        job->done(job);
    if (workers->event)
        event_free(workers->event);
    close_fd(&workers->event_fd);
    pthread_cond_destroy(&workers->changed);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

/* A thread inherits its mask of blocked signals from the one that makes it. One thread is enough:
 * a second that cannot be had is tried again with the next job. */
static int start_threads(struct workers *workers) {
    sigset_t all, old;
    int r = 0;

    if (workers->n_threads == THREADS)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (workers->n_threads < THREADS && r == 0) {
        r = pthread_create(&workers->threads[workers->n_threads], NULL, work, workers);
        workers->n_threads += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return workers->n_threads > 0 ? 0 : -r;
}

bool workers_are_busy(struct workers *workers) {
    bool busy;

    pthread_mutex_lock(&workers->lock);
    busy = !TAILQ_EMPTY(&workers->waiting) || !TAILQ_EMPTY(&workers->running);
    pthread_mutex_unlock(&workers->lock);
    return busy;
}

int workers_start(struct workers *workers, struct job *job) {
    int r = start_threads(workers);

    if (r < 0)
        return r;
    pthread_mutex_lock(&workers->lock);
    TAILQ_INSERT_TAIL(&workers->waiting, job, link);
    pthread_cond_signal(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    return 0;
}
