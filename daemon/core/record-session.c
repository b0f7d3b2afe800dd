/*
 * Records of sessions: see session.h.
 */
#include "daemon/core/record-private.h"

#include "daemon/core/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void session_record_key(uint64_t client_id, char ret[static RECORD_KEY_MAX]) {
    snprintf(ret, RECORD_KEY_MAX, "%016" PRIx64, client_id);
}

/* A client's id, which is any 64 bits, is written as the signed number that JSON readers know. */
void session_record_format(const struct client *client, const struct client_session *session,
                           char ret[static SESSION_RECORD_MAX]) {
    const struct process_identity *process = &client->process->identity;

    snprintf(ret, SESSION_RECORD_MAX,
             "{\"client_id\":%" PRId64 ",\"uid\":%u,\"pid\":%d,\"start_time\":%" PRIu64
             ",\"serial\":%u,\"version\":%u,\"watches\":%s}",
             (int64_t)client->id, client->caller.uid, process->pid, process->start_time,
             session->serial, session->version, client->watches ? "true" : "false");
}

int session_record_parse(const char *text, struct session_record *ret, struct error *error) {
    json_int_t client_id, uid, pid, start, serial, version;
    json_error_t fault;
    json_t *json = json_loads(text, 0, &fault);
    int watches, r = json ? json_unpack_ex(json, &fault, 0, "{s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
                                           "client_id", &client_id, "uid", &uid, "pid", &pid,
                                           "start_time", &start, "serial", &serial, "version",
                                           &version, "watches", &watches)
                          : -1;

    json_decref(json);
    if (r < 0)
        return error_set(error, -EBADMSG, "%s", fault.text);
    if (!in_range(uid, 0, UINT32_MAX - 1) || !in_range(pid, 1, INT32_MAX) ||
        !in_range(serial, 0, UINT32_MAX) || !in_range(version, 0, UINT32_MAX))
        return error_set(error, -EBADMSG, "its values are none that a session has");
    *ret = (struct session_record){
        .client_id = (uint64_t)client_id,
        .uid = (uint32_t)uid,
        .serial = (uint32_t)serial,
        .version = (uint32_t)version,
        .process = {.pid = (pid_t)pid, .start_time = (uint64_t)start},
        .watches = watches,
    };
    return 0;
}
