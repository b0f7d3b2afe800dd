/*
 * Loop: see loop.h.
 */
#include "client/loop.h"

#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_PAUSE_MSEC 1000

int loop_open(struct shmreg_conn *conn) {
    _cleanup_close_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    _cleanup_close_ int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};

    if (epoll_fd < 0 || timer_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) < 0)
        return fail(-errno, "no descriptor for an event loop: %s", strerror(errno));
    pthread_mutex_lock(&conn->state);
    conn->loop = (struct loop){.epoll_fd = steal_fd(&epoll_fd), .timer_fd = steal_fd(&timer_fd)};
    pthread_mutex_unlock(&conn->state);
    return 0;
}

void loop_close(struct loop *loop) {
    close_fd(&loop->epoll_fd);
    close_fd(&loop->timer_fd);
}

void loop_add_socket(struct loop *loop, int socket) {
    struct epoll_event event = {.events = EPOLLIN};

    if (loop_is_open(loop) && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, socket, &event) < 0 &&
        errno != EEXIST)
        loop_ring_later(loop);
}

void loop_remove_socket(struct loop *loop, int socket) {
    if (loop_is_open(loop) && socket >= 0)
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
}

void loop_ring(struct loop *loop, int64_t msec) {
    struct itimerspec when = {
        .it_value = {.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000 + 1},
    };

    if (loop_is_open(loop))
        timerfd_settime(loop->timer_fd, 0, &when, NULL);
}

void loop_ring_later(struct loop *loop) {
    loop->pause_msec = loop->pause_msec == 0 ? 1 : loop->pause_msec * 2;
    if (loop->pause_msec > LONGEST_PAUSE_MSEC)
        loop->pause_msec = LONGEST_PAUSE_MSEC;
    loop_ring(loop, loop->pause_msec);
}

void loop_hear(struct loop *loop) {
    uint64_t rung;

    while (loop_is_open(loop) && read(loop->timer_fd, &rung, sizeof(rung)) < 0 && errno == EINTR)
        ;
}
