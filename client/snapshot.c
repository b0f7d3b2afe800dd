/*
 * Snapshots: one request with many replies
 */
#include "client/connection.h"
#include "client/failure.h"

#include <stddef.h>

struct snapshot_call {
    struct call call; /* the first: a call is cast to it */
    void (*progress)(void *data, uint64_t done, uint64_t total);
    void *data;
};

static void on_reply(struct call *call) {
    const struct snapshot_call *snapshot = (struct snapshot_call *)call;
    const struct wire_snapshot_reply *reply = call->reply.body;

    if (snapshot->progress)
        snapshot->progress(snapshot->data, reply->done, reply->total);
}

int shmreg_snapshot(shmreg_conn *conn, const char *source, const char *name,
                    const struct shmreg_options *options,
                    void (*progress)(void *data, uint64_t done, uint64_t total), void *data) {
    struct shmreg_options complete;
    struct wire_snapshot_request body;
    struct snapshot_call snapshot = {.progress = progress, .data = data};
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = NULL;
    int r = options_complete(options, 0, &complete);

    if (r == 0)
        r = check_name(source);
    if (r == 0)
        r = check_name(name);
    if (r < 0)
        return r;
    body = (struct wire_snapshot_request){.spec = options_spec(&complete, 0)};
    snapshot.call = (struct call){
        .op = WIRE_SNAPSHOT,
        .body = &body,
        .strings = (struct wire_string[]){{.data = source},
                                          {.data = name},
                                          {.data = complete.acl},
                                          {.data = complete.attributes}},
        .progress = on_reply,
    };
    talking = talk_lock(conn);
    r = connection_call(talking, &snapshot.call);
    if (r == 0)
        on_reply(&snapshot.call);
    call_close_fds(&snapshot.call);
    return r;
}
