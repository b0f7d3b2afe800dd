/*
 * Admin: calls that lead to the disk while it does not answer
 *
 * Such a call has changed nothing yet. It is kept as a stream that holds up those behind it, and
 * carried out as if it had just come when the disk has answered.
 */
#include "daemon/faces/admin-private.h"

#include "daemon/core/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct held_call {
    struct varlink_stream stream; /* the first: a stream is cast to it */
    struct admin_connection *connection;
    struct disk_wait *wait; /* NULL once it is over */
    struct varlink_call call;
    char *method;
};

static void held_call_free(struct held_call *held) {
    if (held->wait)
        disk_wait_cancel(held->wait);
    json_decref(held->call.parameters);
    free(held->method);
    free(held);
}
DEFINE_CLEANUP(struct held_call *, held_call_free);

static void stream_free(struct varlink_stream *stream) {
    held_call_free((struct held_call *)stream);
}

/* The stream ends first, as the call may begin one of its own. */
static void on_answered(void *data) {
    struct held_call *held = data;
    struct admin_connection *connection = held->connection;
    _cleanup_free_ char *method = steal_pointer(held->method);
    struct varlink_call call = held->call;

    call.method = method;
    json_incref(call.parameters);
    held->wait = NULL;
    varlink_end_stream(connection->varlink);
    admin_call(connection, &call);
    json_decref(call.parameters);
}

int admin_hold(const struct varlink_call *call) {
    struct admin_connection *connection = varlink_owner(call->connection);
    _cleanup_(cleanup_held_call_free) struct held_call *held = calloc(1, sizeof(*held));
    struct varlink_call stream = {.connection = call->connection};
    int r;

    if (!held)
        return -ENOMEM;
    held->stream.free = stream_free;
    held->connection = connection;
    held->call = *call;
    json_incref(held->call.parameters);
    held->method = strdup(call->method);
    if (!held->method)
        return -ENOMEM;
    r = manager_await_disk(connection->manager, on_answered, held, &held->wait);
    if (r == 0)
        varlink_start_stream(&stream, &steal_pointer(held)->stream);
    return r;
}
