/*
 * Dispatch: who wants to be told of changes. What is said, and when, is up to the connection.
 */
#include "daemon/faces/dispatch-private.h"

#include <errno.h>

int on_watch(struct request *request) {
    const struct wire_watch_request *watch = request->message->body;
    int r = request_check_unused(request, (watch->enable & ~1u) | watch->reserved);

    if (r == 0)
        r = manager_watch(request->client, watch->enable, request->error);
    if (r < 0)
        return r;
    return request_answer(request, &(struct wire_watch_reply){0}, NULL);
}

int on_news(struct request *request) {
    return error_set(request->error, -EOPNOTSUPP,
                     "news comes by itself, to who has asked to watch");
}
