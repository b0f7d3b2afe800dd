/*
 * Dispatch: values that travel in the message itself, without any mapping.
 */
#include "daemon/faces/dispatch-private.h"

#include <errno.h>
#include <inttypes.h>

static int publish(struct request *request, struct publication *publication) {
    uint32_t version;
    int r = manager_publish(request->manager, &request->client->caller,
                            steal_pointer(publication->value), 0, &version, request->error);

    return r < 0 ? r : request_answer(request, &(struct wire_put_reply){.version = version}, NULL);
}

int on_put(struct request *request) {
    const struct wire_put_request *put = request->message->body;
    const struct caller *caller = &request->client->caller;
    const char *name = request_text(request, 0);
    size_t size = request->message->string[1].length;
    struct publication publication = {.publish = publish};
    struct region *region;
    int r = request_check_unused(request, put->flags & ~WIRE_PUT_CREATE);

    if (r == 0 && size > WIRE_VALUE_MAX)
        r = error_set(request->error, -EMSGSIZE, "a value of %zu bytes: the most is %u", size,
                      WIRE_VALUE_MAX);
    if (r == 0 && !(put->flags & WIRE_PUT_CREATE))
        r = manager_find(request->manager, caller, name, &region, request->error);
    if (r == 0)
        r = manager_stage_value(request->manager, caller, name, request_text(request, 1), size,
                                put->mode, &publication.value, request->error);
    return r < 0 ? r : request_publish(request, publication.value, &publication);
}

int on_get(struct request *request) {
    const struct wire_get_request *get = request->message->body;
    uint32_t most = get->capacity < WIRE_VALUE_MAX ? get->capacity : WIRE_VALUE_MAX;
    _cleanup_(cleanup_segment_unref) struct segment *segment = NULL;
    int r = manager_read(request->manager, &request->client->caller, request_text(request, 0),
                         &segment, request->error);

    if (r < 0)
        return r;
    if (segment->size > most)
        return error_set(request->error, -EMSGSIZE,
                         "region '%s' has %" PRIu64 " bytes, more than %u",
                         request_text(request, 0), segment->size, most);
    r = segment_read(segment, 0, request->value, segment->size, request->error);
    if (r < 0)
        return r;
    return request_answer(request, &(struct wire_get_reply){.version = segment->version},
                          &(struct wire_string){request->value, segment->size});
}
