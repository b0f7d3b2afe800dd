/*
 * STAGE and PUBLISH: memory that one client fills, and that becomes a version of a region
 */
#include "daemon/faces/dispatch-private.h"

#include "daemon/core/stage.h"

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

static int publish(struct request *request, struct publication *publication) {
    struct wire_attachment description;
    struct attachment *attachment;
    int fd = -1;
    int r =
        manager_publish_as_client(request->manager, request->client, publication->stage_id,
                                  publication->expected_version, &attachment, &fd, request->error);

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

int on_publish(struct request *request) {
    const struct wire_publish_request *message = request->message->body;
    const struct stage *stage = client_find_stage(request->client, message->stage_id);
    struct publication publication = {
        .publish = publish,
        .stage_id = message->stage_id,
        .expected_version = message->expected_version,
    };
    int r = request_check_unused(request, message->reserved);

    if (r < 0)
        return r;
    return stage ? request_publish(request, stage, &publication) : publish(request, &publication);
}
