/*
 * Declarations: waiting for content that is being loaded
 */
#include "daemon/core/declare-private.h"

#include "daemon/core/manager-private.h"

#include <errno.h>

/* Of a service's start, systemd waits for 90 seconds by default; of a call, shmregctl for 30. A file that
 * never answers is no reason to fail either. */
#define WAIT_SECONDS 20

static void end(struct declare_waiter *waiter) {
    declare_waiter_stop(waiter);
    waiter->ended(waiter);
}

static void on_timer(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    end(data);
}

int declarations_await(struct declarations *declarations, struct declare_waiter *waiter) {
    const struct timeval timeout = {.tv_sec = WAIT_SECONDS};

    waiter->timer = evtimer_new(declarations->manager->base, on_timer, waiter);
    if (!waiter->timer)
        return -ENOMEM;
    LIST_INSERT_HEAD(&declarations->waiters, waiter, link);
    return event_add(waiter->timer, &timeout) < 0 ? -ENOMEM : 0;
}

void declare_waiter_stop(struct declare_waiter *waiter) {
    if (!waiter->timer)
        return;
    LIST_REMOVE(waiter, link);
    event_free(waiter->timer);
    waiter->timer = NULL;
}

void declare_settle(struct declarations *declarations) {
    struct declare_waiter *waiter;

    while (declarations_n_loading(declarations) == 0 &&
           (waiter = LIST_FIRST(&declarations->waiters)))
        end(waiter);
}
