/*
 * Service manager: the part of systemd that keeps memory for a daemon (sd_pid_notify_with_fds(3))
 *
 * It listens at a socket, stores the memfds that come, and hands them over to the next daemon. Other
 * descriptors and messages it lets go.
 */
#pragma once

#include <pthread.h>

#define STORED_MAX 32
#define STORED_NAME_MAX 128

struct service_manager {
    char path[128];
    int socket;
    pthread_t thread;
    unsigned n_stored;
    struct {
        char name[STORED_NAME_MAX];
        int fd;
    } stored[STORED_MAX];
};

void service_manager_start(struct service_manager *ret, const char *directory);
void service_manager_stop(struct service_manager *manager);

/* Waits until it is through with what was sent so far. */
void service_manager_settle(const struct service_manager *manager);
/* In the process that becomes the daemon: descriptors from 3 on, and the variables that tell of it. */
void service_manager_hand_over(const struct service_manager *manager);
