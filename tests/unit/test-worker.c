/*
 * Workers: jobs run beside the loop, come back to it, can be cancelled, and are waited for.
 */
#include "daemon/ground/worker.h"

#include "tests/unit/suite.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS 200u
#define PATIENCE_SECONDS 30

struct sum {
    struct job job;
    pthread_t loop, ran_on;
    unsigned input, output;
    bool ran;
    unsigned *done;
};

static struct event_base *base;
static struct workers *workers;

static void begin(void) {
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(workers_new(base, &workers), 0);
}

static void end(void) {
    workers_free(workers);
    event_base_free(base);
}

static void on_late(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    *(bool *)data = true;
}

/* Runs the loop until so many jobs are done. */
static void loop_until(const unsigned *done, unsigned count) {
    bool late = false;
    struct event *timer = evtimer_new(base, on_late, &late);

    evtimer_add(timer, &(struct timeval){.tv_sec = PATIENCE_SECONDS});
    while (*done < count && !late)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(timer);
    ck_assert_uint_eq(*done, count);
}

static void run_sum(struct job *job) {
    struct sum *sum = (struct sum *)job;

    for (unsigned i = 1; i <= sum->input; i++)
        sum->output += i;
    sum->ran_on = pthread_self();
    sum->ran = true;
}

static void done_sum(struct job *job) {
    struct sum *sum = (struct sum *)job;

    ck_assert(pthread_equal(pthread_self(), sum->loop));
    ++*sum->done;
}

static struct sum new_sum(unsigned input, unsigned *done) {
    return (struct sum){
        .job = {.run = run_sum, .done = done_sum},
        .loop = pthread_self(),
        .input = input,
        .done = done,
    };
}

START_TEST(test_jobs_run_and_come_back) {
    static struct sum sums[JOBS];
    unsigned done = 0;

    begin();
    for (unsigned i = 0; i < JOBS; i++) {
        sums[i] = new_sum(i, &done);
        ck_assert_int_eq(workers_start(workers, &sums[i].job), 0);
    }
    loop_until(&done, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        ck_assert_uint_eq(sums[i].output, i * (i + 1) / 2);
        ck_assert(!pthread_equal(sums[i].ran_on, sums[i].loop));
    }
    end();
}
END_TEST

static unsigned count_threads(void) {
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    unsigned threads = 0;

    ck_assert_ptr_nonnull(file);
    while (threads == 0 && fgets(line, sizeof(line), file))
        sscanf(line, "Threads: %u", &threads);
    fclose(file);
    return threads;
}

static void *end_at_once(void *data) {
    return data;
}

/* ThreadSanitizer has a thread of its own, which comes with the first one that a program makes. */
static unsigned count_threads_after_one(void) {
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, end_at_once, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return count_threads();
}

START_TEST(test_no_thread_before_the_first_job) {
    unsigned done = 0, before = count_threads_after_one();
    struct sum sum = new_sum(1, &done);

    begin();
    ck_assert_uint_eq(count_threads(), before);
    ck_assert_int_eq(workers_start(workers, &sum.job), 0);
    loop_until(&done, 1);
    ck_assert_uint_eq(count_threads(), before + 2);
    end();
}
END_TEST

struct mask {
    struct job job;
    sigset_t blocked;
    unsigned *done;
};

static void run_mask(struct job *job) {
    pthread_sigmask(SIG_SETMASK, NULL, &((struct mask *)job)->blocked);
}

static void done_mask(struct job *job) {
    ++*((struct mask *)job)->done;
}

START_TEST(test_signals_are_blocked_in_workers_alone) {
    unsigned done = 0;
    struct mask mask = {.job = {.run = run_mask, .done = done_mask}, .done = &done};
    sigset_t own;

    begin();
    ck_assert_int_eq(workers_start(workers, &mask.job), 0);
    loop_until(&done, 1);
    ck_assert_int_eq(sigismember(&mask.blocked, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&mask.blocked, SIGHUP), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
    end();
}
END_TEST

/* Runs until it is cancelled. */
struct endless {
    struct job job;
    int started; /* written to as it starts */
    unsigned *done;
};

static void run_endless(struct job *job) {
    struct endless *endless = (struct endless *)job;

    ck_assert_int_eq(write(endless->started, "", 1), 1);
    while (!job_is_cancelled(job)) {
        atomic_fetch_add(&job->progress, 1);
        usleep(100);
    }
}

static void done_endless(struct job *job) {
    ++*((struct endless *)job)->done;
}

START_TEST(test_progress_and_cancelling) {
    unsigned done = 0;
    struct endless endless = {.job = {.run = run_endless, .done = done_endless}, .done = &done};
    int pipe_fds[2];
    char byte;

    begin();
    ck_assert_int_eq(pipe(pipe_fds), 0);
    endless.started = pipe_fds[1];
    ck_assert_int_eq(workers_start(workers, &endless.job), 0);
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
    while (atomic_load(&endless.job.progress) < 10)
        usleep(100);
    ck_assert_uint_eq(done, 0);
    job_cancel(&endless.job);
    loop_until(&done, 1);
    end();
}
END_TEST

START_TEST(test_free_waits_for_all) {
    unsigned done = 0;
    struct endless endless[2];
    struct sum waiting = new_sum(5, &done);
    int pipe_fds[2];
    char bytes[2];

    begin();
    ck_assert_int_eq(pipe(pipe_fds), 0);
    for (unsigned i = 0; i < 2; i++) {
        endless[i] = (struct endless){
            .job = {.run = run_endless, .done = done_endless},
            .started = pipe_fds[1],
            .done = &done,
        };
        ck_assert_int_eq(workers_start(workers, &endless[i].job), 0);
        ck_assert_int_eq(read(pipe_fds[0], bytes, 1), 1);
    }
    ck_assert_int_eq(workers_start(workers, &waiting.job), 0);
    end();
    ck_assert_uint_eq(done, 3);
    ck_assert(!waiting.ran);
}
END_TEST

START_TEST(test_a_cancelled_job_does_not_start) {
    unsigned done = 0;
    struct sum sum = new_sum(5, &done);

    begin();
    job_cancel(&sum.job);
    ck_assert_int_eq(workers_start(workers, &sum.job), 0);
    loop_until(&done, 1);
    ck_assert(!sum.ran);
    end();
}
END_TEST

SUITE_MAIN("worker", test_jobs_run_and_come_back, test_no_thread_before_the_first_job,
           test_signals_are_blocked_in_workers_alone, test_progress_and_cancelling,
           test_free_waits_for_all, test_a_cancelled_job_does_not_start);
