/*
 * Dispatch: requests that wait until content is on disk
 */
#include "daemon/faces/dispatch-private.h"

#include "daemon/core/flush.h"

#include <errno.h>
#include <stdlib.h>

struct flush_task {
    struct task task; /* the first: a task is cast to it */
    struct dispatcher *dispatcher;
    struct client *client;
    struct flush *flush;
    struct wire_header header;
    struct publication publication;
};

static void flush_task_free(struct flush_task *task) {
    if (task->publication.value)
        stage_free(task->publication.value);
    free(task);
}
DEFINE_CLEANUP(struct flush_task *, flush_task_free);

static void cancel(struct task *task) {
    flush_cancel(((struct flush_task *)task)->flush);
    flush_task_free((struct flush_task *)task);
}

static int publish(struct flush_task *task, struct error *error) {
    const struct wire_message message = {.header = task->header};
    struct request request = {
        .dispatcher = task->dispatcher,
        .manager = task->dispatcher->manager,
        .client = task->client,
        .message = &message,
        .reply = &task->dispatcher->reply,
        .error = error,
    };
    int r;

    manager_begin_request(task->client, task->header.serial, false);
    r = task->publication.publish(&request, &task->publication);
    manager_end_request(task->client, task->header.serial, false);
    return r;
}

static void on_flushed(void *data, const struct error *flushed) {
    _cleanup_(cleanup_flush_task_free) struct flush_task *task = data;
    struct reply *reply = &task->dispatcher->reply;
    struct error error = *flushed;
    int r = error.code;

    reply->size = 0;
    reply->fds.count = 0;
    if (r == 0)
        r = publish(task, &error);
    if (r < 0)
        dispatch_error(reply, &task->header, &error);
    if (task->header.flags & WIRE_NO_REPLY) {
        packet_fds_close(&reply->fds);
        reply->size = 0;
    }
    task->task.replied(task->task.data, true);
}

int request_publish(struct request *request, const struct stage *stage,
                    struct publication *publication) {
    _cleanup_(cleanup_flush_task_free) struct flush_task *task = malloc(sizeof(*task));
    int r;

    if (!task) {
        if (publication->value)
            stage_free(publication->value);
        return error_set(request->error, -ENOMEM, "no memory for a publication");
    }
    *task = (struct flush_task){
        .task.cancel = cancel,
        .dispatcher = request->dispatcher,
        .client = request->client,
        .header = request->message->header,
        .publication = *publication,
    };
    publication->value = NULL;
    r = flush_stage(stage, on_flushed, task, &task->flush, request->error);
    if (r == 0 && !task->flush)
        r = task->publication.publish(request, &task->publication);
    else if (r == 0)
        request->dispatcher->task = &steal_pointer(task)->task;
    return r;
}
