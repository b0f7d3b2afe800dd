/*
 * Listener: see listener.h.
 */
#include "daemon/faces/listener.h"

#include "daemon/core/clock.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <event2/util.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Connections taken in before others have their turn, */
#define ACCEPTS_PER_TURN 4
/* and within one period: whoever connects without end leaves time for those who are there. */
#define ACCEPTS_PER_PERIOD 64
#define PERIOD_USEC 10000u

static const struct timeval calm_down = {.tv_usec = PERIOD_USEC}, give_time = {.tv_usec = 200000};

struct listener {
    int fd;
    struct event *readable; /* a connection is there */
    struct event *paused;   /* the pause is over */
    bool failing;           /* the last accept failed, and the log says so */
    uint64_t period_usec;   /* it began */
    unsigned accepts;       /* in it */
    listener_accepted accepted;
    void *data;
};

/* What concerns one connection only: the next one may do better. */
static bool is_passing(int error) {
    return error == EINTR || error == ECONNABORTED || error == EPROTO;
}

static void pause_listening(struct listener *listener, const struct timeval *length) {
    event_del(listener->readable);
    event_add(listener->paused, length);
}

static void give_up(struct listener *listener, int error) {
    if (!listener->failing)
        log_warning("cannot accept connections: %s", strerror(error));
    listener->failing = true;
    pause_listening(listener, &give_time);
}

static bool is_storm(struct listener *listener) {
    if (listener->accepts++ == 0)
        listener->period_usec = clock_usec(CLOCK_MONOTONIC);
    if (listener->accepts < ACCEPTS_PER_PERIOD)
        return false;
    listener->accepts = 0;
    return clock_usec(CLOCK_MONOTONIC) - listener->period_usec < PERIOD_USEC;
}

static void on_readable(int fd, short what, void *data) {
    struct listener *listener = data;

    (void)what;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (connection >= 0) {
            listener->failing = false;
            listener->accepted(listener->data, connection);
            if (is_storm(listener)) {
                pause_listening(listener, &calm_down);
                return;
            }
            continue;
        }
        if (is_passing(errno))
            continue;
        if (errno != EAGAIN)
            give_up(listener, errno);
        return;
    }
}

static void on_paused(int fd, short what, void *data) {
    struct listener *listener = data;

    (void)fd;
    (void)what;
    event_add(listener->readable, NULL);
}

int listener_new(struct event_base *base, int fd, listener_accepted accepted, void *data,
                 struct listener **ret) {
    _cleanup_close_ int socket = fd;
    _cleanup_(cleanup_listener_free) struct listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        return -ENOMEM;
    listener->fd = steal_fd(&socket);
    listener->accepted = accepted;
    listener->data = data;
    /* One that was handed over may block: accept4() must not, when a client is gone again. */
    if (evutil_make_socket_nonblocking(listener->fd) < 0)
        return -errno;
    listener->readable = event_new(base, listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
    listener->paused = event_new(base, -1, 0, on_paused, listener);
    if (!listener->readable || !listener->paused || event_add(listener->readable, NULL) < 0)
        return -ENOMEM;
    *ret = steal_pointer(listener);
    return 0;
}

void listener_free(struct listener *listener) {
    if (listener->readable)
        event_free(listener->readable);
    if (listener->paused)
        event_free(listener->paused);
    close_fd(&listener->fd);
    free(listener);
}
