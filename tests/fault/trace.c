/*
 * Trace: see trace.h.
 */
#include "tests/fault/trace.h"

#include "proto/cleanup.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

static struct traced_thread *find_thread(struct trace *trace, pid_t id) {
    for (unsigned i = 0; i < trace->n_threads; i++)
        if (trace->threads[i].id == id)
            return &trace->threads[i];
    return NULL;
}

/* A thread that is traced from its birth may stop before the one that made it says so. */
static struct traced_thread *add_thread(struct trace *trace, pid_t id) {
    struct traced_thread *thread = find_thread(trace, id);

    if (thread)
        return thread;
    ck_assert_uint_lt(trace->n_threads, TRACE_THREADS_MAX);
    thread = &trace->threads[trace->n_threads++];
    *thread = (struct traced_thread){.id = id};
    return thread;
}

static void resume(struct traced_thread *thread) {
    if (!thread->stopped)
        return;
    thread->stopped = false;
    ck_assert_int_eq(ptrace(PTRACE_SYSCALL, thread->id, NULL, thread->signal), 0);
    thread->signal = 0;
}

/* Waits for the next stop of any thread. The daemon is a process group of its own, so that no other
 * child of the test is taken for it. */
static struct traced_thread *wait_stop(struct trace *trace, int *ret_status) {
    struct traced_thread *thread;
    pid_t id = waitpid(-trace->pid, ret_status, __WALL);

    ck_assert_msg(id > 0, "no daemon to wait for: %s", strerror(errno));
    ck_assert_msg(WIFSTOPPED(*ret_status), "thread %d of shmregd ended: %#x", id,
                  (unsigned)*ret_status);
    thread = add_thread(trace, id);
    thread->stopped = true;
    return thread;
}

/* Whether the stop is a point. */
static bool is_point(struct traced_thread *thread, int status) {
    int event = status >> 16;

    if (event != 0)
        return false;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80))
        return true;
    thread->signal = WSTOPSIG(status);
    return false;
}

static void describe(const struct traced_thread *thread, struct trace_point *ret) {
    struct __ptrace_syscall_info info;

    ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, thread->id, sizeof(info), &info), 0);
    ret->thread = thread->id;
    ret->entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
    if (!ret->entry)
        return;
    ret->call = info.entry.nr;
    memcpy(ret->arguments, info.entry.args, sizeof(ret->arguments));
}

static void seize(struct trace *trace, pid_t id) {
    ck_assert_int_eq(ptrace(PTRACE_SEIZE, id, NULL, OPTIONS), 0);
    add_thread(trace, id);
}

static void note(struct trace *trace, pid_t id) {
    add_thread(trace, id);
}

static void each_thread(struct trace *trace, void (*each)(struct trace *trace, pid_t id)) {
    _cleanup_closedir_ DIR *threads = NULL;
    const struct dirent *entry;
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/task", trace->pid);
    threads = opendir(path);
    ck_assert_ptr_nonnull(threads);
    while ((entry = readdir(threads)))
        if (entry->d_name[0] != '.')
            each(trace, (pid_t)strtol(entry->d_name, NULL, 10));
}

static void stop_all(struct trace *trace) {
    for (unsigned i = 0; i < trace->n_threads; i++)
        while (!trace->threads[i].stopped) {
            struct traced_thread *stopped;
            int status;

            ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, trace->threads[i].id, NULL, NULL), 0);
            stopped = wait_stop(trace, &status);
            is_point(stopped, status);
        }
}

void trace_start(struct trace *ret, pid_t pid) {
    *ret = (struct trace){.pid = pid};
    each_thread(ret, seize);
    stop_all(ret);
}

void trace_next(struct trace *trace, struct trace_point *ret) {
    struct traced_thread *thread;
    int status;

    do {
        for (unsigned i = 0; i < trace->n_threads; i++)
            resume(&trace->threads[i]);
        thread = wait_stop(trace, &status);
    } while (!is_point(thread, status));
    describe(thread, ret);
}

bool trace_waits(const struct trace *trace, const struct trace_point *point) {
    return point->thread == trace->pid && point->entry &&
           (point->call == SYS_epoll_wait || point->call == SYS_epoll_pwait);
}

static bool is_one_of(const struct trace_point *point, const long calls[], size_t n_calls) {
    for (size_t i = 0; i < n_calls; i++)
        if (point->call == (uint64_t)calls[i])
            return true;
    return false;
}

bool trace_can_fail(const struct trace_point *point, int error) {
    /* What the kernel never refuses to a program that asks for it in the right way. */
    static const long never[] = {
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_rt_sigaction,
        SYS_getpid,
        SYS_gettid,
        SYS_getuid,
        SYS_geteuid,
        SYS_getgid,
        SYS_getegid,
        SYS_umask,
        SYS_exit,
        SYS_set_robust_list,
        SYS_rseq,
        SYS_exit_group,
        SYS_sched_yield,
        SYS_restart_syscall,
        SYS_set_tid_address,
        SYS_brk,
        SYS_alarm,
        SYS_prlimit64,
    };
    static const long memory[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mremap};

    if (is_one_of(point, never, ARRAY_SIZE(never)))
        return false;
    if (is_one_of(point, memory, ARRAY_SIZE(memory)))
        return error == ENOMEM;
    /* To an eventfd, which has room. */
    if (point->call == SYS_write && point->arguments[2] == sizeof(uint64_t))
        return false;
    if (point->call == SYS_futex)
        return ((int)point->arguments[1] & FUTEX_CMD_MASK) != FUTEX_WAKE &&
               (error == EINTR || error == EAGAIN);
    return true;
}

static void set_registers(pid_t thread, bool skip, int error) {
    struct user_regs_struct registers;

    ck_assert_int_eq(ptrace(PTRACE_GETREGS, thread, NULL, &registers), 0);
    if (skip)
        registers.orig_rax = (unsigned long long)-1;
    else
        registers.rax = (unsigned long long)-error;
    ck_assert_int_eq(ptrace(PTRACE_SETREGS, thread, NULL, &registers), 0);
}

void trace_fail(struct trace *trace, const struct trace_point *point, int error) {
    struct trace_point after;

    /* Linux closes a descriptor whatever it returns. */
    if (point->call != SYS_close)
        set_registers(point->thread, true, 0);
    do
        trace_next(trace, &after);
    while (after.thread != point->thread || after.entry);
    set_registers(point->thread, false, error);
}

void trace_end(struct trace *trace) {
    stop_all(trace);
    /* One that was just born is traced, too, and has not been heard of. */
    each_thread(trace, note);
    stop_all(trace);
    for (unsigned i = 0; i < trace->n_threads; i++)
        ck_assert_int_eq(
            ptrace(PTRACE_DETACH, trace->threads[i].id, NULL, trace->threads[i].signal), 0);
    trace->n_threads = 0;
}

void trace_kill(struct trace *trace) {
    pid_t ended;

    ck_assert_int_eq(kill(trace->pid, SIGKILL), 0);
    /* The process is not gone before each of its threads was seen to be. */
    do {
        ended = waitpid(-trace->pid, NULL, __WALL);
        ck_assert_int_gt(ended, 0);
    } while (ended != trace->pid || kill(trace->pid, 0) == 0);
    trace->n_threads = 0;
}
