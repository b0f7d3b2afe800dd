/*
 * Disposal: see disposal.h.
 */
#include "daemon/faces/disposal.h"

#include "daemon/ground/log.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)PTHREAD_STACK_MIN)

static void *close_it(void *data) {
    close((int)(intptr_t)data);
    return NULL;
}

/* Signals are for the loop. Without a thread the descriptor stays open: to lose one is better than
 * to wait. */
static void close_aside(int fd) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setsigmask_np(&attributes, &all);
    if (pthread_create(&thread, &attributes, close_it, (void *)(intptr_t)fd) != 0)
        log_warning("no thread to close a descriptor that a client sent: it stays open");
    pthread_attr_destroy(&attributes);
}

void disposal_close(struct packet_fds *fds) {
    for (size_t i = 0; i < fds->count; i++) {
        if (fcntl(fds->fd[i], F_GET_SEALS) >= 0)
            close(fds->fd[i]);
        else
            close_aside(fds->fd[i]);
    }
    fds->count = 0;
}
