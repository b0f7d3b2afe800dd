/*
 * Service: see service.h.
 */
#include "daemon/service.h"

#include "daemon/core/clock.h"
#include "daemon/ground/fdstore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>

#define STATUS_MAX 128

static const struct timeval status_delay = {.tv_sec = 1};

static void on_status(int fd, short what, void *data) {
    struct service *service = data;
    char status[STATUS_MAX];

    (void)fd;
    (void)what;
    service->describe(service->data, status, sizeof(status));
    sd_notifyf(false, "STATUS=%s", status);
}

static void on_watchdog(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    (void)data;
    sd_notify(false, "WATCHDOG=1");
}

/* Twice in the time the service manager waits. */
static int start_watchdog(struct service *service, struct event_base *base) {
    uint64_t usec;
    struct timeval interval;

    if (sd_watchdog_enabled(false, &usec) <= 0)
        return 0;
    usec /= 2;
    interval = (struct timeval){
        .tv_sec = (time_t)(usec / USEC_PER_SEC),
        .tv_usec = (suseconds_t)(usec % USEC_PER_SEC),
    };
    service->watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
    return service->watchdog && event_add(service->watchdog, &interval) == 0 ? 0 : -ENOMEM;
}

int service_init(struct service *service, struct event_base *base) {
    service->managed = fdstore_available();
    if (!service->managed)
        return 0;
    service->status = event_new(base, -1, 0, on_status, service);
    return service->status ? start_watchdog(service, base) : -ENOMEM;
}

void service_deinit(struct service *service) {
    if (service->status)
        event_free(service->status);
    if (service->watchdog)
        event_free(service->watchdog);
    service->status = service->watchdog = NULL;
}

void service_ready(struct service *service) {
    char status[STATUS_MAX];

    if (!service->managed)
        return;
    service->describe(service->data, status, sizeof(status));
    sd_notifyf(false, "READY=1\nSTATUS=%s", status);
}

void service_reloading(const struct service *service) {
    if (service->managed)
        sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec(CLOCK_MONOTONIC));
}

void service_stopping(const struct service *service) {
    if (service->managed)
        sd_notify(false, "STOPPING=1");
}

void service_changed(struct service *service) {
    if (service->managed && !event_pending(service->status, EV_TIMEOUT, NULL))
        event_add(service->status, &status_delay);
}
