/*
 * Session: what must be known of a client, besides what it holds, to go on without its noticing
 *
 * Which request of the client was the last to change something, and what its answer needs. A
 * request takes effect with one commit of its region's record, and the session's record is in the
 * same transaction: so a daemon that is killed anywhere leaves either both or neither, and the next
 * one tells a request that is asked again from a new one. One number is enough, since a request is
 * not read before the answer to the last one is on its way.
 */
#pragma once

#include "daemon/core/process.h"
#include "proto/error.h"

#include <stdbool.h>

struct client;
struct manager;

struct client_session {
    uint32_t serial;  /* of the last request that took effect; 0 for none */
    uint32_t version; /* of the region that it changed */
    bool recorded;    /* there is a record, to be deleted with the client */
    bool is_undone;   /* the region that it made was destroyed by somebody since this daemon runs */
};

#define SESSION_RECORD_MAX 256

/* A parsed record. */
struct session_record {
    uint64_t client_id;
    uint32_t uid, serial, version;
    struct process_identity process;
    bool watches;
};

/* The record of a client that has a process, with this as its session. */
void session_record_format(const struct client *client, const struct client_session *session,
                           char ret[static SESSION_RECORD_MAX]);
/* 0, or -EBADMSG with what is wrong with it. */
int session_record_parse(const char *text, struct session_record *ret, struct error *error);

/* Whether this very request took effect, though its answer may have been lost. */
static inline bool session_has_done(const struct client_session *session, uint32_t serial) {
    return serial != 0 && session->serial == serial;
}
