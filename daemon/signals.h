/*
 * Signals: those that the daemon acts on, as events of its loop
 *
 * They are blocked, and read from a descriptor (signalfd(2)): none is lost, and no failed read is the
 * end of the process.
 */
#pragma once

#include <event2/event.h>

struct signals {
    struct event *event;
    int fd;
    void (*received)(void *data, int signal);
    void *data;
};

/* Calls @received for each SIGTERM, SIGINT and SIGHUP from now on. 0 or a negative errno. */
int signals_init(struct signals *signals, struct event_base *base);
void signals_deinit(struct signals *signals);
