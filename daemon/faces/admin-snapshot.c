/*
 * SnapshotRegion: a stream of replies that tell how far it is, if they are welcome, and at its end the
 * region
 */
#include "daemon/faces/admin-format.h"
#include "daemon/faces/admin-private.h"

#include "daemon/core/snapshot.h"

#include <errno.h>

struct admin_snapshot {
    struct varlink_stream stream; /* the first: a stream is cast to it */
    struct admin_connection *connection;
    struct snapshot *snapshot; /* NULL once it has ended */
    bool more;
};

static void stream_free(struct varlink_stream *stream) {
    struct admin_snapshot *snapshot = (struct admin_snapshot *)stream;

    if (snapshot->snapshot)
        snapshot_cancel(snapshot->snapshot);
    free(snapshot);
}

/* A subscriber that reads slowly is told less often. */
static void on_progress(void *data, uint64_t done, uint64_t total) {
    const struct admin_snapshot *snapshot = data;
    struct varlink_connection *varlink = snapshot->connection->varlink;

    if (snapshot->more && varlink_backlog(varlink) == 0)
        varlink_send(varlink,
                     json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total),
                     true);
}

static void on_ended(void *data, struct region *region, const struct error *error) {
    struct admin_snapshot *snapshot = data;
    struct varlink_connection *varlink = snapshot->connection->varlink;
    struct user_names names = {0};

    snapshot->snapshot = NULL;
    if (region) {
        json_int_t size = (json_int_t)region->segment->size;

        varlink_send(varlink,
                     json_pack("{s:I, s:I, s:o}", "done", size, "total", size, "region",
                               format_region(region, &names)),
                     false);
    } else {
        admin_fail(&(struct varlink_call){.connection = varlink}, error->code, error);
    }
    varlink_end_stream(varlink);
}

static int begin(struct admin_connection *connection, const struct varlink_call *call,
                 struct admin_snapshot *snapshot, struct error *error) {
    const char *source = parameter_text(call->parameters, "source", "");
    _cleanup_(admin_spec_deinit) struct admin_spec spec;
    struct region *made;
    int r = admin_read_spec(call->parameters, &spec, error);

    if (r < 0)
        return r;
    return manager_snapshot(connection->manager, &connection->caller, NULL, source, &spec.spec,
                            &(struct snapshot_listener){
                                .progress = on_progress,
                                .ended = on_ended,
                                .data = snapshot,
                            },
                            &snapshot->snapshot, &made, error);
}

void admin_snapshot_region(struct admin_connection *connection, const struct varlink_call *call) {
    struct admin_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    struct error error = {0};
    int r;

    if (!snapshot) {
        admin_fail(call, -ENOMEM, &error);
        return;
    }
    snapshot->stream.free = stream_free;
    snapshot->connection = connection;
    snapshot->more = call->more;
    r = begin(connection, call, snapshot, &error);
    if (r == 0) {
        varlink_start_stream(call, &snapshot->stream);
    } else {
        stream_free(&snapshot->stream);
        admin_fail(call, r, &error);
    }
}
