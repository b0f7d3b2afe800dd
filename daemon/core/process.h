/*
 * Process: a holder that is watched
 *
 * A pidfd (pidfd_open(2)) becomes readable when its process ends, however it ends. One object for
 * each process that something depends on, kept by references; whoever depends on it is called when
 * it ends. Its identity is recorded, so that after a restart of the daemon a recycled pid is not
 * taken for the holder.
 */
#pragma once

#include <event2/event.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/cleanup.h"

struct processes; /* all that are watched */

/* Pid and start time together name a process for good. */
struct process_identity {
    pid_t pid;
    uint64_t start_time; /* clock ticks after boot: field 22 of /proc/PID/stat, proc(5) */
};

struct process {
    struct processes *processes;
    unsigned references;
    struct process_identity identity;
    int pidfd;
    struct event *event;
    LIST_HEAD(, process_watch) watches;
};

/* Something that depends on a process. */
struct process_watch {
    void (*ended)(struct process_watch *watch);
    struct process *process; /* NULL while it watches nothing */
    LIST_ENTRY(process_watch) link;
};

int processes_new(struct event_base *base, struct processes **ret);
void processes_free(struct processes *processes);

/* The object of a process. @pidfd is taken over (-1: opened from @pid). -ESRCH when it has ended. */
int process_get(struct processes *processes, pid_t pid, int pidfd, struct process **ret);

/* The object of the process that was recorded; -ESRCH when it has ended, whoever has its pid now. */
int process_find(struct processes *processes, const struct process_identity *identity,
                 struct process **ret);
struct process *process_ref(struct process *process);
void process_unref(struct process *process);
DEFINE_CLEANUP(struct process *, process_unref);

/* Takes a reference, too. @watch->ended is called once, from the loop, with the watch stopped; at
 * once if the process has ended already. 0 or -ENOMEM. */
int process_watch_start(struct process *process, struct process_watch *watch);
/* A watch that watches nothing is left alone. */
void process_watch_stop(struct process_watch *watch);
