/*
 * Process: see process.h.
 */
#include "daemon/core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

struct processes {
    struct event_base *base;
    void *tree; /* tsearch(3), by pid and start time */
};

static int compare_processes(const void *a, const void *b) {
    const struct process_identity *x = &((const struct process *)a)->identity;
    const struct process_identity *y = &((const struct process *)b)->identity;

    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    return (x->start_time > y->start_time) - (x->start_time < y->start_time);
}

int processes_new(struct event_base *base, struct processes **ret) {
    struct processes *processes = calloc(1, sizeof(*processes));

    if (!processes)
        return -ENOMEM;
    processes->base = base;
    *ret = processes;
    return 0;
}

void processes_free(struct processes *processes) {
    free(processes);
}

/* Field 22 of /proc/PID/stat, counted after the last ')': the command before it may hold anything,
 * also a newline. */
static int read_start_time(pid_t pid, uint64_t *ret) {
    _cleanup_fclose_ FILE *file = NULL;
    char path[32], text[1024], *field;
    unsigned long long value;
    size_t size;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    size = fread(text, 1, sizeof(text) - 1, file);
    if (ferror(file))
        return -errno;
    if (size == 0)
        return -ESRCH;
    text[size] = '\0';
    field = strrchr(text, ')');
    if (!field || sscanf(field + 1,
                         " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                         "%*d %llu",
                         &value) != 1)
        return -EPROTO;
    *ret = value;
    return 0;
}

/* 0, -ESRCH when it has, or why that cannot be said. */
static int check_running(int pidfd) {
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&poller, 1, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return r > 0 ? -ESRCH : 0;
}

/* Pid, start time and pidfd are of one process if it has not ended after all three were read. */
static int identify(pid_t pid, int pidfd, struct process_identity *ret) {
    int r = read_start_time(pid, &ret->start_time), running = check_running(pidfd);

    ret->pid = pid;
    if (running < 0)
        return running;
    return r == -ENOENT ? -ESRCH : r;
}

static int process_new(struct processes *processes, const struct process_identity *identity,
                       int *pidfd, struct process **ret) {
    struct process *process = calloc(1, sizeof(*process));

    if (!process)
        return -ENOMEM;
    process->processes = processes;
    process->references = 1;
    process->identity = *identity;
    LIST_INIT(&process->watches);
    if (!tsearch(process, &processes->tree, compare_processes)) {
        free(process);
        return -ENOMEM;
    }
    process->pidfd = steal_fd(pidfd);
    *ret = process;
    return 0;
}

int process_get(struct processes *processes, pid_t pid, int pidfd, struct process **ret) {
    _cleanup_close_ int fd = pidfd;
    struct process key = {0}, **node;
    int r;

    if (fd < 0)
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return -errno;
    r = identify(pid, fd, &key.identity);
    if (r < 0)
        return r;
    node = tfind(&key, &processes->tree, compare_processes);
    if (!node)
        return process_new(processes, &key.identity, &fd, ret);
    *ret = process_ref(*node);
    return 0;
}

int process_find(struct processes *processes, const struct process_identity *identity,
                 struct process **ret) {
    _cleanup_(cleanup_process_unref) struct process *process = NULL;
    int r = process_get(processes, identity->pid, -1, &process);

    /* A pid that no process can have. */
    if (r == -EINVAL)
        return -ESRCH;
    if (r < 0)
        return r;
    if (process->identity.start_time != identity->start_time)
        return -ESRCH;
    *ret = steal_pointer(process);
    return 0;
}

struct process *process_ref(struct process *process) {
    process->references++;
    return process;
}

void process_unref(struct process *process) {
    if (--process->references > 0)
        return;
    if (process->event)
        event_free(process->event);
    tdelete(process, &process->processes->tree, compare_processes);
    close_fd(&process->pidfd);
    free(process);
}

static void on_process_ended(int fd, short what, void *data) {
    struct process *process = process_ref(data);

    (void)fd;
    (void)what;
    while (!LIST_EMPTY(&process->watches)) {
        struct process_watch *watch = LIST_FIRST(&process->watches);

        process_watch_stop(watch);
        watch->ended(watch);
    }
    process_unref(process);
}

int process_watch_start(struct process *process, struct process_watch *watch) {
    if (!process->event) {
        process->event =
            event_new(process->processes->base, process->pidfd, EV_READ, on_process_ended, process);
        if (!process->event)
            return -ENOMEM;
    }
    if (LIST_EMPTY(&process->watches) && event_add(process->event, NULL) < 0)
        return -ENOMEM;
    watch->process = process_ref(process);
    LIST_INSERT_HEAD(&process->watches, watch, link);
    return 0;
}

void process_watch_stop(struct process_watch *watch) {
    struct process *process = watch->process;

    if (!process)
        return;
    watch->process = NULL;
    LIST_REMOVE(watch, link);
    if (LIST_EMPTY(&process->watches))
        event_del(process->event);
    process_unref(process);
}
