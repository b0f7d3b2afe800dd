/*
 * Loop: the descriptor by which an event loop learns that shmreg_process() has something to do
 *
 * An epoll(7) descriptor over the daemon's socket and a timer. The socket is in the set while no
 * thread is in a call, as what comes during a call is for that thread; so a call wakes no loop. The
 * timer is a bell: rung at once when a call has met news, and after a while when the daemon is away
 * and is to be looked for again. Without shmreg_conn_fd() there is neither, and nothing here does
 * anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct shmreg_conn;

struct loop {
    int epoll_fd; /* -1 for none; changed with `talk` and `state` held */
    int timer_fd;
    int64_t pause_msec; /* before the daemon is looked for once more */
};

#define LOOP_NONE ((struct loop){.epoll_fd = -1, .timer_fd = -1})

/* A negative errno with its sentence kept, or 0. With `talk` held. */
int loop_open(struct shmreg_conn *conn);
void loop_close(struct loop *loop);

static inline bool loop_is_open(const struct loop *loop) {
    return loop->epoll_fd >= 0;
}

/* Takes the socket, if there is one, into the set or out of it. With `talk` held. */
void loop_add_socket(struct loop *loop, int socket);
void loop_remove_socket(struct loop *loop, int socket);

/* Makes the descriptor readable, at once or after a time. */
void loop_ring(struct loop *loop, int64_t msec);
/* The next time the daemon is looked for: each pause is longer, up to a second. */
void loop_ring_later(struct loop *loop);
/* The bell has been heard: what is rung from now on is heard again. */
void loop_hear(struct loop *loop);
