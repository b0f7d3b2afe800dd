/*
 * Dispatch: requests that lead to the disk while it does not answer
 *
 * Such a request has changed nothing yet. It is kept, and carried out as if it had just come when the
 * disk has answered; what it begins then, as a flush, goes on in its place.
 */
#include "daemon/faces/dispatch-private.h"

#include "daemon/core/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct held_request {
    struct task task; /* the first: a task is cast to it */
    struct dispatcher *dispatcher;
    struct client *client;
    struct disk_wait *wait; /* NULL once it is over */
    struct task *begun;     /* by the request */
    size_t size;
    unsigned char bytes[];
};

static void cancel(struct task *task) {
    struct held_request *held = (struct held_request *)task;

    if (held->wait)
        disk_wait_cancel(held->wait);
    if (held->begun)
        held->begun->cancel(held->begun);
    free(held);
}

/* The last thing that is done with it: it may be gone afterwards. */
static void pass_on(void *data, bool last) {
    struct held_request *held = data;
    struct task task = held->task;

    if (last)
        free(held);
    task.replied(task.data, last);
}

static void on_answered(void *data) {
    struct held_request *held = data;
    struct dispatcher *dispatcher = held->dispatcher;
    struct error error;

    held->wait = NULL;
    memcpy(dispatcher->request, held->bytes, held->size);
    dispatcher->request_fds.count = 0;
    dispatcher->was_held = true;
    dispatch(dispatcher, held->client, held->size, &error);
    dispatcher->was_held = false;
    held->begun = steal_pointer(dispatcher->task);
    if (held->begun) {
        held->begun->replied = pass_on;
        held->begun->data = held;
    } else {
        pass_on(held, true);
    }
}

int request_hold(struct request *request, size_t size) {
    struct dispatcher *dispatcher = request->dispatcher;
    _cleanup_free_ struct held_request *held = malloc(sizeof(*held) + size);
    int r;

    if (!held)
        return error_set(request->error, -ENOMEM, "no memory to wait for the disk");
    *held = (struct held_request){
        .task.cancel = cancel,
        .dispatcher = dispatcher,
        .client = request->client,
        .size = size,
    };
    memcpy(held->bytes, dispatcher->request, size);
    r = manager_await_disk(request->manager, on_answered, held, &held->wait);
    if (r < 0)
        return error_set(request->error, r, "cannot wait for the disk: %s", strerror(-r));
    dispatcher->task = &steal_pointer(held)->task;
    return 0;
}
