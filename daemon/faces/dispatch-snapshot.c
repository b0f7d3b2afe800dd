/*
 * SNAPSHOT: the one request whose answer takes time, with replies in between that tell how far it is
 */
#include "daemon/faces/dispatch-private.h"

#include "daemon/core/snapshot.h"

#include <errno.h>
#include <stdlib.h>

struct snapshot_task {
    struct task task; /* the first: a task is cast to it */
    struct dispatcher *dispatcher;
    struct snapshot *snapshot;
    struct wire_header header; /* of the request */
};

static void tell(struct snapshot_task *task, uint16_t flags, uint64_t done, uint64_t total) {
    struct reply *reply = &task->dispatcher->reply;
    struct wire_header header = {
        .op = task->header.op,
        .flags = (uint16_t)(WIRE_REPLY | flags),
        .serial = task->header.serial,
    };

    reply->fds.count = 0;
    reply->size = (size_t)wire_encode(
        &header, &(struct wire_snapshot_reply){.done = done, .total = total}, NULL, reply->data);
}

/* The last thing that is done with a task: it may be gone afterwards. */
static void pass_on(struct snapshot_task *task, bool last) {
    if (task->header.flags & WIRE_NO_REPLY)
        task->dispatcher->reply.size = 0;
    task->task.replied(task->task.data, last);
}

static void on_progress(void *data, uint64_t done, uint64_t total) {
    tell(data, WIRE_CONTINUES, done, total);
    pass_on(data, false);
}

static void on_ended(void *data, struct region *region, const struct error *error) {
    struct snapshot_task *task = data;

    if (region)
        tell(task, 0, region->segment->size, region->segment->size);
    else
        dispatch_error(&task->dispatcher->reply, &task->header, error);
    pass_on(task, true);
    free(task);
}

static void cancel(struct task *task) {
    snapshot_cancel(((struct snapshot_task *)task)->snapshot);
    free(task);
}

static int begin(struct request *request, const struct region_spec *spec,
                 struct snapshot_task *task, struct region **ret_region) {
    *task = (struct snapshot_task){
        .task.cancel = cancel,
        .dispatcher = request->dispatcher,
        .header = request->message->header,
    };
    return manager_snapshot(
        request->manager, &request->client->caller, request->client, request_text(request, 0), spec,
        &(struct snapshot_listener){.progress = on_progress, .ended = on_ended, .data = task},
        &task->snapshot, ret_region, request->error);
}

int on_snapshot(struct request *request) {
    const struct wire_snapshot_request *wire = request->message->body;
    _cleanup_free_ struct snapshot_task *task = malloc(sizeof(*task));
    struct region_spec spec;
    struct region *region;
    int r = request_read_spec(request, &wire->spec, 1, WIRE_SYNC_BLOCK, &spec);

    if (!task)
        return error_set(request->error, -ENOMEM, "no memory for a snapshot");
    if (r == 0)
        r = begin(request, &spec, task, &region);
    if (r < 0)
        return r;
    if (region) /* made by this very request, whose answer was lost */
        tell(task, 0, region->segment->size, region->segment->size);
    else
        request->dispatcher->task = &steal_pointer(task)->task;
    return 0;
}
