/*
 * Daemon: a private shmregd for a test
 *
 * It runs under DAEMON_UID, which is neither root nor a user of any test, with directories of its
 * own. It is ready when both of its sockets accept connections. It dies with the test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define DAEMON_UID 20000
#define DAEMON_PATH_MAX 64

struct service_manager;

struct test_daemon {
    pid_t pid; /* and its process group's */
    bool held; /* by SIGSTOP, on its way to the program */
    rlim_t max_descriptors;
    int stored_fd;           /* handed over at start as from an FD store, under this name: */
    const char *stored_name; /* NULL: nothing is */
    const struct service_manager *manager; /* NULL: nobody keeps its memfds */
    char root[DAEMON_PATH_MAX];
    char runtime[DAEMON_PATH_MAX];
    char state[DAEMON_PATH_MAX];
    char config[DAEMON_PATH_MAX];
    char log[DAEMON_PATH_MAX];
    char socket[DAEMON_PATH_MAX];
    char admin_socket[DAEMON_PATH_MAX];
};

/* Makes the directories, an empty /dev/shm and the configuration (JSON text), but starts nothing
 * yet. Anyone may create regions of any name, by a drop-in conf.d/open.json. One test has one daemon at a time. */
void daemon_prepare(struct test_daemon *ret, const char *config);
/* Starts it in its directories, the first time or again, and waits until it is ready. */
void daemon_launch(struct test_daemon *daemon);

/* Starts it up to the point where it is to become the program: it waits for SIGCONT. */
void daemon_launch_held(struct test_daemon *daemon);

/* Starts it, and fails unless it gives up with 1. */
void daemon_expect_refusal(struct test_daemon *daemon);

/* Both, with the given configuration or the default one. */
void daemon_start_with(struct test_daemon *ret, const char *config);
void daemon_start(struct test_daemon *ret);

/* SIGKILL, and wait until it is gone. */
void daemon_kill(struct test_daemon *daemon);
/* SIGTERM; fails unless it ends with 0. */
void daemon_stop(struct test_daemon *daemon);

/* Whether it still runs, by asking the kernel. */
bool daemon_is_alive(const struct test_daemon *daemon);
/* Descriptors it has open. */
unsigned daemon_descriptors(const struct test_daemon *daemon);
/* How often it was put on a CPU: /proc/PID/schedstat. */
uint64_t daemon_wakeups(const struct test_daemon *daemon);
/* Whether its log has a line with this text. */
bool daemon_has_logged(const struct test_daemon *daemon, const char *text);

/* Files in a directory whose name starts with @prefix; -1 when there is no such directory. */
int count_files(const char *directory, const char *prefix);
/* Segments in /dev/shm and in the state directory. */
int daemon_segments(const struct test_daemon *daemon);
/* How much of its limit on "regions", "bytes", "attachments" or "connections" is used in all. */
uint64_t daemon_usage(const struct test_daemon *daemon, const char *kind);
