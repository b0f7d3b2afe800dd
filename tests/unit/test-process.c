/*
 * Process: real processes that are watched until they are killed, and identities that a recycled
 * pid does not have.
 */
#include "daemon/core/process.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct counter {
    struct process_watch watch;
    unsigned ended;
};

static void count_end(struct process_watch *watch) {
    struct counter *counter = (struct counter *)((char *)watch - offsetof(struct counter, watch));

    ck_assert_ptr_null(watch->process);
    counter->ended++;
}

static struct event_base *base;
static struct processes *processes;

static void setup(void) {
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(processes_new(base, &processes), 0);
}

static void teardown(void) {
    processes_free(processes);
    event_base_free(base);
}

static struct process *get(pid_t pid) {
    struct process *process = NULL;

    ck_assert_int_eq(process_get(processes, pid, -1, &process), 0);
    return process;
}

START_TEST(everyone_who_watches_is_called_once_when_it_is_killed) {
    struct counter first = {.watch.ended = count_end}, second = first, stopped = first;
    pid_t pid = process_spawn();
    struct process *process;

    setup();
    process = get(pid);
    ck_assert_int_eq(process_watch_start(process, &first.watch), 0);
    ck_assert_int_eq(process_watch_start(process, &second.watch), 0);
    ck_assert_int_eq(process_watch_start(process, &stopped.watch), 0);
    process_watch_stop(&stopped.watch);
    process_watch_stop(&stopped.watch);
    process_unref(process);
    ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    ck_assert_uint_eq(first.ended, 0);

    process_kill(pid);
    ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
    ck_assert_uint_eq(first.ended, 1);
    ck_assert_uint_eq(second.ended, 1);
    ck_assert_uint_eq(stopped.ended, 0);
    /* Nothing is watched any more, so the loop has nothing to do. */
    ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 1);
    teardown();
}
END_TEST

START_TEST(a_process_that_has_just_ended_is_seen_at_once) {
    struct counter counter = {.watch.ended = count_end};
    pid_t pid = process_spawn();
    struct process *process, *again;

    setup();
    process = get(pid);
    process_kill(pid);
    ck_assert_int_eq(process_watch_start(process, &counter.watch), 0);
    ck_assert_int_eq(process_get(processes, pid, -1, &again), -ESRCH);
    ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
    ck_assert_uint_eq(counter.ended, 1);
    process_unref(process);
    teardown();
}
END_TEST

START_TEST(a_zombie_has_ended) {
    pid_t pid = process_spawn();
    struct process *process;
    siginfo_t info;

    setup();
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(process_get(processes, pid, -1, &process), -ESRCH);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    teardown();
}
END_TEST

START_TEST(one_process_is_one_object) {
    struct process *first, *second;
    unsigned before;

    setup();
    before = count_descriptors();
    first = get(getpid());
    second = get(getpid());
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(count_descriptors(), before + 1);
    process_unref(first);
    process_unref(second);
    ck_assert_uint_eq(count_descriptors(), before);
    teardown();
}
END_TEST

START_TEST(a_pid_with_another_start_time_is_another_process) {
    struct process_identity identity;
    struct process *process, *found = NULL;
    unsigned before;

    setup();
    process = get(getpid());
    before = count_descriptors();
    identity = process->identity;
    ck_assert_int_eq(process_find(processes, &identity, &found), 0);
    ck_assert_ptr_eq(found, process);
    process_unref(found);
    identity.start_time++;
    ck_assert_int_eq(process_find(processes, &identity, &found), -ESRCH);
    ck_assert_uint_eq(count_descriptors(), before);
    process_unref(process);
    teardown();
}
END_TEST

START_TEST(the_name_of_a_command_may_hold_anything) {
    static const char *const names[] = {") R 1 2 3", "a\nb) (", "((((", "\\ \t)"};
    struct process_identity identity;
    struct process *process;

    setup();
    process = get(getpid());
    identity = process->identity;
    ck_assert_uint_gt(identity.start_time, 0);
    process_unref(process);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        ck_assert_int_eq(prctl(PR_SET_NAME, names[i]), 0);
        process = get(getpid());
        ck_assert_uint_eq(process->identity.start_time, identity.start_time);
        process_unref(process);
    }
    teardown();
}
END_TEST

START_TEST(there_is_no_process_of_an_impossible_pid) {
    struct process *process;
    unsigned before;

    setup();
    before = count_descriptors();
    ck_assert_int_eq(process_get(processes, 0, -1, &process), -EINVAL);
    ck_assert_int_eq(process_get(processes, -1, -1, &process), -EINVAL);
    ck_assert_int_eq(process_get(processes, 0x7ffffffe, -1, &process), -ESRCH);
    ck_assert_uint_eq(count_descriptors(), before);
    teardown();
}
END_TEST

SUITE_MAIN("process", everyone_who_watches_is_called_once_when_it_is_killed,
           a_process_that_has_just_ended_is_seen_at_once, a_zombie_has_ended,
           one_process_is_one_object, a_pid_with_another_start_time_is_another_process,
           the_name_of_a_command_may_hold_anything, there_is_no_process_of_an_impossible_pid);
