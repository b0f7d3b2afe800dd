/*
 * Reload: its reply comes when the content of declared regions is loaded, too
 */
#include "daemon/faces/admin-format.h"
#include "daemon/faces/admin-private.h"

#include "daemon/core/declare.h"

#include <errno.h>
#include <stddef.h>

struct admin_reload {
    struct varlink_stream stream; /* the first: a stream is cast to it */
    struct declare_waiter waiter;
    struct admin_connection *connection;
};

static void stream_free(struct varlink_stream *stream) {
    struct admin_reload *reload = (struct admin_reload *)stream;

    declare_waiter_stop(&reload->waiter);
    free(reload);
}

static json_t *format_reply(struct manager *manager) {
    struct declarations *declarations = manager_declarations(manager);

    return json_pack("{s:o, s:I}", "problems", format_problems(declarations), "loading",
                     (json_int_t)declarations_n_loading(declarations));
}

static void on_ended(struct declare_waiter *waiter) {
    struct admin_reload *reload =
        (struct admin_reload *)((char *)waiter - offsetof(struct admin_reload, waiter));
    struct varlink_connection *varlink = reload->connection->varlink;

    varlink_send(varlink, format_reply(reload->connection->manager), false);
    varlink_end_stream(varlink);
}

/* Replies when there is nothing to wait for any more. */
static int start_waiting(struct admin_connection *connection, const struct varlink_call *call) {
    struct admin_reload *reload = calloc(1, sizeof(*reload));
    int r;

    if (!reload)
        return -ENOMEM;
    reload->stream.free = stream_free;
    reload->connection = connection;
    reload->waiter.ended = on_ended;
    r = declarations_await(manager_declarations(connection->manager), &reload->waiter);
    if (r < 0)
        stream_free(&reload->stream);
    else
        varlink_start_stream(call, &reload->stream);
    return r;
}

void admin_reload(struct admin_connection *connection, const struct varlink_call *call) {
    const struct admin_options *options = admin_options(connection->admin);
    struct error error = {0};
    int r = options->reload(options->data, &error);

    if (r < 0) {
        admin_fail(call, r, &error);
        return;
    }
    if (declarations_n_loading(manager_declarations(connection->manager)) == 0 ||
        start_waiting(connection, call) < 0)
        varlink_reply(call, format_reply(connection->manager));
}
