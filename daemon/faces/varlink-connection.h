/*
 * Varlink connection: calls come in, replies go out
 *
 * JSON objects, each ended by a NUL byte, on a stream socket (https://varlink.org). Calls are
 * answered one after the other, in the order they came; a reply in parts, or one that waits for
 * things to happen, holds up those behind it. What a peer can make the daemon keep is bounded: one
 * message of input, and output that is produced only as the peer reads it; and so is the time that
 * it takes over its first call, over each one that it has begun, and to read. Whoever has more than a
 * turn's work waiting leaves twice that time to others.
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/ground/config.h"
#include "proto/cleanup.h"

#define VARLINK_MESSAGE_MAX 262144u /* bytes: 256 KiB */

struct varlink_connection;

struct varlink_call {
    struct varlink_connection *connection;
    const char *method; /* with its interface */
    json_t *parameters; /* an object; belongs to the call */
    bool oneway;        /* nobody waits for a reply */
    bool more;          /* several replies are welcome */
};

/* What the owner of a connection is told. */
struct varlink_events {
    /* Answers the call, at once or with a stream. */
    void (*call)(void *data, const struct varlink_call *call);
    /* The peer is gone, or is cut off (@why is the reason, else NULL): the owner frees the
     * connection. */
    void (*ended)(void *data, const char *why);
    /* The last byte of the output has gone to the socket. May be NULL. */
    void (*drained)(void *data);
};

/* A reply in parts. */
struct varlink_stream {
    /* Writes one more part; false: it was the last one. NULL for a stream that does not end and
     * writes when something happens. */
    bool (*produce)(struct varlink_stream *stream, struct varlink_connection *connection);
    void (*free)(struct varlink_stream *stream);
};

/* @fd becomes the connection's own, also on error. 0 or a negative errno. */
int varlink_connection_new(struct event_base *base, int fd, const struct timeouts *timeouts,
                           const struct varlink_events *events, void *data,
                           struct varlink_connection **ret);
void varlink_connection_free(struct varlink_connection *connection);
DEFINE_CLEANUP(struct varlink_connection *, varlink_connection_free);

/* What is passed to its events. */
void *varlink_owner(const struct varlink_connection *connection);

/* Answers no further call, and ends the connection when the peer has read the output so far. */
void varlink_connection_finish(struct varlink_connection *connection);

/* Makes a call's reply a stream, which becomes the connection's own. */
void varlink_start_stream(const struct varlink_call *call, struct varlink_stream *stream);

/* On a connection that the last daemon left: the reply that it was in the middle of. */
void varlink_resume_stream(struct varlink_connection *connection, struct varlink_stream *stream);

/* Each of these takes over @parameters; NULL means that there was no memory for them, and cuts the
 * connection off. */
void varlink_reply(const struct varlink_call *call, json_t *parameters);
void varlink_error(const struct varlink_call *call, const char *error, json_t *parameters);
void varlink_invalid_parameter(const struct varlink_call *call, const char *parameter);

/* Ends a stream that has no produce(), from the loop. */
void varlink_end_stream(struct varlink_connection *connection);

/* For streams: a reply after which others come, the last one, or the pieces of one. */
void varlink_send(struct varlink_connection *connection, json_t *parameters, bool continues);
/* As varlink_send() with others to come; it is in the socket when this returns, if there is room. */
void varlink_send_at_once(struct varlink_connection *connection, json_t *parameters);
void varlink_write(struct varlink_connection *connection, const void *data, size_t size);
void varlink_write_json(struct varlink_connection *connection, json_t *json);

int varlink_fd(const struct varlink_connection *connection);

/* Bytes for which the socket had no room yet. */
size_t varlink_backlog(const struct varlink_connection *connection);

/* Ends the connection, when the loop comes to it; @why is static. */
void varlink_cut_off(struct varlink_connection *connection, const char *why);
