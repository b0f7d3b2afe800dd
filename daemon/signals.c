/*
 * Signals: see signals.h.
 */
#include "daemon/signals.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

static void on_readable(int fd, short what, void *data) {
    struct signals *signals = data;
    struct signalfd_siginfo info;

    (void)what;
    while (read(fd, &info, sizeof(info)) == sizeof(info))
        signals->received(signals->data, (int)info.ssi_signo);
}

int signals_init(struct signals *signals, struct event_base *base) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signals->event = event_new(base, signals->fd, EV_READ | EV_PERSIST, on_readable, signals);
    return signals->event && event_add(signals->event, NULL) == 0 ? 0 : -ENOMEM;
}

void signals_deinit(struct signals *signals) {
    if (signals->event)
        event_free(signals->event);
    signals->event = NULL;
    close_fd(&signals->fd);
}
