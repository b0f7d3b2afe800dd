/*
 * Service: what the service manager is told, sd_notify(3)
 *
 * Without a service manager nothing happens here: no message, no timer.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

struct service {
    void (*describe)(void *data, char *ret, size_t size); /* the sentence for STATUS= */
    void *data;
    struct event *status;   /* a timer, while there is something new to tell */
    struct event *watchdog; /* a timer, if the service manager wants to hear from us */
    bool managed;
};

/* Starts the watchdog if there is one. 0 or -ENOMEM; then service_deinit() is still to be called. */
int service_init(struct service *service, struct event_base *base);
void service_deinit(struct service *service);

/* Start or reload are done. */
void service_ready(struct service *service);
void service_reloading(const struct service *service);
void service_stopping(const struct service *service);

/* What describe() says is not true any more. It is told soon, and at most once a second. */
void service_changed(struct service *service);
