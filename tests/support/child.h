/*
 * Child: a function run in a process of its own, as another user
 *
 * An assertion that fails in the child is the test's failure, with the child's message. The channel
 * lets test and child wait for each other; the child dies with the test.
 */
#pragma once

#include <sys/types.h>

#define CHILD_GROUPS_MAX 8

/* Uid and gid are the same number; the groups are supplementary ones. */
struct user {
    uid_t id;
    size_t n_groups;
    gid_t groups[CHILD_GROUPS_MAX];
};

#define USER(number, ...) (&(struct user){.id = (number), ##__VA_ARGS__})

struct child {
    pid_t pid;
    int channel;
};

typedef void (*child_function)(int channel, void *data);

struct child child_start(const struct user *user, child_function function, void *data);

/* Waits until the function has returned. */
void child_finish(struct child *child);
/* Kills it with SIGKILL and waits until it is gone. */
void child_kill(struct child *child);

/* child_start() and child_finish() */
void run_as(const struct user *user, child_function function, void *data);

/* One byte to the other side; one byte from it. */
void channel_say(int channel);
void channel_hear(int channel);

/* Gives up the privileges of root for those of the user. */
void become(const struct user *user);
