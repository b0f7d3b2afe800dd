/*
 * Dispatch: growing and sealing the memory of a region.
 */
#include "daemon/faces/dispatch-private.h"

int on_resize(struct request *request) {
    const struct wire_resize_request *resize = request->message->body;
    int r = request_check_unused(request, resize->reserved);

    if (r == 0)
        r = manager_resize(request->manager, &request->client->caller, request_text(request, 0),
                           resize->size, request->error);
    return r < 0 ? r : request_answer(request, &(struct wire_resize_reply){0}, NULL);
}

int on_seal(struct request *request) {
    const struct wire_seal_request *seal = request->message->body;
    int r = request_check_unused(request, seal->reserved);

    if (r == 0)
        r = manager_seal(request->manager, &request->client->caller, request_text(request, 0),
                         request->error);
    return r < 0 ? r : request_answer(request, &(struct wire_seal_reply){0}, NULL);
}
