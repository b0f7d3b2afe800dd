/*
 * STAGE and PUBLISH: memory that one client fills, and that becomes a version of a region
 */
#include "daemon/faces/dispatch-private.h"

#include "daemon/core/flush.h"
#include "daemon/core/stage.h"

#include <errno.h>
#include <stdlib.h>

/* The reply of both. */
_Static_assert(sizeof(struct wire_stage_reply) == sizeof(struct wire_publish_reply), "replies");

static int answer_one(struct request *request, const struct wire_attachment *attachment) {
    return request_answer(request, &(struct wire_stage_reply){.count = 1},
                          &(struct wire_string){attachment, sizeof(*attachment)});
}

int on_stage(struct request *request) {
    const struct wire_stage_request *message = request->message->body;
    struct region_spec spec;
    struct stage *stage;
    int fd, r = request_read_spec(request, &message->spec, 0, REQUEST_REGION_FLAGS, &spec);

    if (r == 0)
        r = request_check_unused(request, message->reserved);
    if (r == 0)
        r = manager_stage_as_client(request->manager, request->client, &spec, &stage, &fd,
                                    request->error);
    if (r < 0)
        return r;
    request->reply->fds.fd[request->reply->fds.count++] = fd;
    return answer_one(request, &(struct wire_attachment){
                                   .attachment_id = stage->id,
                                   .size = stage->segment->size,
                                   .max_size = stage->segment->max_size,
                                   .access = WIRE_WRITE,
                                   .backing = stage->segment->backing,
                                   .flags = request_segment_flags(stage->segment),
                               });
}

static int publish(struct request *request, uint64_t stage_id, uint32_t expected_version) {
    struct wire_attachment description;
    struct attachment *attachment;
    int fd = -1;
    int r = manager_publish_as_client(request->manager, request->client, stage_id, expected_version,
                                      &attachment, &fd, request->error);

    if (r < 0)
        return r;
    if (fd >= 0)
        request->reply->fds.fd[request->reply->fds.count++] = fd;
    description = request_describe_attachment(request, attachment, false);
    /* Answered once more, when it has been replaced already: that is news. */
    if (attachment->segment != attachment->region->segment)
        description.slot_version--;
    return answer_one(request, &description);
}

/* A PUBLISH that waits until its content is on disk. */
struct publish_task {
    struct task task; /* the first: a task is cast to it */
    struct dispatcher *dispatcher;
    struct client *client;
    struct flush *flush;
    struct wire_header header;
    uint64_t stage_id;
    uint32_t expected_version;
};

static void cancel(struct task *task) {
    flush_cancel(((struct publish_task *)task)->flush);
    free(task);
}

static void on_flushed(void *data, const struct error *flushed) {
    _cleanup_free_ struct publish_task *task = data;
    const struct wire_message message = {.header = task->header};
    struct reply *reply = &task->dispatcher->reply;
    struct error error = *flushed;
    int r = error.code;

    reply->size = 0;
    reply->fds.count = 0;
    if (r == 0)
        r = publish(
            &(struct request){
                .dispatcher = task->dispatcher,
                .manager = task->dispatcher->manager,
                .client = task->client,
                .message = &message,
                .reply = reply,
                .error = &error,
            },
            task->stage_id, task->expected_version);
    if (r < 0)
        dispatch_error(reply, &task->header, &error);
    if (task->header.flags & WIRE_NO_REPLY) {
        packet_fds_close(&reply->fds);
        reply->size = 0;
    }
    task->task.replied(task->task.data, true);
}

static int flush(struct request *request, const struct wire_publish_request *message,
                 struct publish_task **ret) {
    _cleanup_free_ struct publish_task *task = malloc(sizeof(*task));
    int r;

    if (!task)
        return error_set(request->error, -ENOMEM, "no memory for a publication");
    *task = (struct publish_task){
        .task.cancel = cancel,
        .dispatcher = request->dispatcher,
        .client = request->client,
        .header = request->message->header,
        .stage_id = message->stage_id,
        .expected_version = message->expected_version,
    };
    r = manager_flush_stage(request->manager, request->client, message->stage_id, on_flushed, task,
                            &task->flush, request->error);
    if (r == 0 && task->flush)
        *ret = steal_pointer(task);
    return r;
}

int on_publish(struct request *request) {
    const struct wire_publish_request *message = request->message->body;
    struct publish_task *task = NULL;
    int r = request_check_unused(request, message->reserved);

    if (r == 0)
        r = flush(request, message, &task);
    if (r == 0 && !task)
        r = publish(request, message->stage_id, message->expected_version);
    else if (r == 0)
        request->dispatcher->task = &task->task;
    return r;
}
