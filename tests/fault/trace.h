/*
 * Trace: a daemon, system call by system call
 *
 * Every thread of it is under ptrace(2). A point is a thread about to make a system call, or back from
 * one; all that the daemon can do to the world happens between two points. At a point it can be
 * killed, or the call it is about to make can be made to fail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACE_THREADS_MAX 8

struct trace {
    pid_t pid;
    unsigned n_threads;
    struct traced_thread {
        pid_t id;
        bool stopped; /* and waits to be told to go on, with this signal */
        int signal;
    } threads[TRACE_THREADS_MAX];
};

struct trace_point {
    pid_t thread;
    bool entry; /* about to make the call; else back from it */
    uint64_t call, arguments[6];
};

/* Holds a daemon that runs. */
void trace_start(struct trace *ret, pid_t pid);

/* Runs it to its next point. */
void trace_next(struct trace *trace, struct trace_point *ret);
/* Whether its main thread is about to wait for events there. */
bool trace_waits(const struct trace *trace, const struct trace_point *point);

/* Whether the call that is about to be made could ever fail like that. */
bool trace_can_fail(const struct trace_point *point, int error);
/* Has it fail. */
void trace_fail(struct trace *trace, const struct trace_point *point, int error);

/* Lets it run free; or kills it, and waits until it is gone. */
void trace_end(struct trace *trace);
void trace_kill(struct trace *trace);
