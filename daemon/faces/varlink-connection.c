/*
 * Varlink connection: see varlink-connection.h.
 */
#include "daemon/faces/varlink-private.h"

#include "daemon/core/clock.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

/* Output beyond this waits until the peer has read it down to the other. */
#define BACKLOG_MAX 1048576u
#define BACKLOG_LOW 131072u

/* Calls before other connections have their turn; a part of a stream is as much work as these. */
#define CALLS_PER_TURN 16
/* How many times as long as a turn took there is none, if there is more to do. */
#define REST_FACTOR 2

/* Objects, arrays and members of a message, and commas in its texts: no call comes near it, and to
 * parse as many takes no longer than a turn. */
#define TOKENS_MAX 8192u

static struct evbuffer *input_of(const struct varlink_connection *connection) {
    return bufferevent_get_input(connection->socket);
}

void *varlink_owner(const struct varlink_connection *connection) {
    return connection->data;
}

/* Has the loop come back to the connection after a time. */
static void run_after(struct varlink_connection *connection, uint64_t usec) {
    event_add(connection->later, &(struct timeval){
                                     .tv_sec = (time_t)(usec / USEC_PER_SEC),
                                     .tv_usec = (suseconds_t)(usec % USEC_PER_SEC),
                                 });
}

static void run_later(struct varlink_connection *connection) {
    run_after(connection, 0);
}

void varlink_cut_off(struct varlink_connection *connection, const char *why) {
    if (connection->cut_off)
        return;
    connection->cut_off = why;
    run_later(connection);
}

void varlink_start_stream(const struct varlink_call *call, struct varlink_stream *stream) {
    if (call->oneway)
        stream->free(stream);
    else
        call->connection->stream = stream;
}

void varlink_resume_stream(struct varlink_connection *connection, struct varlink_stream *stream) {
    connection->called = true;
    event_del(connection->clock);
    connection->stream = stream;
}

static void end_stream(struct varlink_connection *connection) {
    struct varlink_stream *stream = steal_pointer(connection->stream);

    if (stream)
        stream->free(stream);
}

void varlink_end_stream(struct varlink_connection *connection) {
    end_stream(connection);
    run_later(connection);
}

/* An absent flag is false; returns false for one that is no flag. */
static bool get_flag(const json_t *message, const char *key, bool *ret) {
    const json_t *value = json_object_get(message, key);

    *ret = json_is_true(value);
    return !value || json_is_boolean(value);
}

static void answer(struct varlink_connection *connection, json_t *message) {
    struct varlink_call call = {
        .connection = connection,
        .method = json_string_value(json_object_get(message, "method")),
        .parameters = json_object_get(message, "parameters"),
    };
    bool upgrade;

    if (!call.parameters || json_is_null(call.parameters)) {
        call.parameters = json_object();
        json_object_set_new(message, "parameters", call.parameters);
    }
    if (!call.method || !json_is_object(call.parameters) ||
        !get_flag(message, "oneway", &call.oneway) || !get_flag(message, "more", &call.more) ||
        !get_flag(message, "upgrade", &upgrade)) {
        varlink_cut_off(connection, "a message that is no call");
        return;
    }
    if (upgrade)
        varlink_error(&call, "org.varlink.service.MethodNotImplemented",
                      json_pack("{s:s}", "method", call.method));
    else
        connection->events->call(connection->data, &call);
}

/* NULL with *ret_why: it is no JSON, or more than a call needs. */
static json_t *parse(const char *text, size_t length, const char **ret_why) {
    size_t tokens = 0;
    json_t *message;

    for (size_t i = 0; i < length; i++)
        tokens += text[i] == '[' || text[i] == '{' || text[i] == ',';
    if (tokens > TOKENS_MAX) {
        *ret_why = "a message of more parts than a call has";
        return NULL;
    }
    message = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    *ret_why = message ? NULL : "a message that is not JSON";
    return message;
}

/* A call has come, or the first bytes of one, which the rest has to follow. */
static void set_clock(struct varlink_connection *connection, bool begun) {
    if (!connection->called)
        return;
    if (!begun)
        event_del(connection->clock);
    else if (!evtimer_pending(connection->clock, NULL))
        event_add(connection->clock, &(struct timeval){.tv_sec = connection->request_timeout});
}

/* Returns false when no whole message is there. */
static bool take_call(struct varlink_connection *connection) {
    struct evbuffer *input = input_of(connection);
    size_t length = evbuffer_get_length(input);
    struct evbuffer_ptr position = {.pos = -1};
    const char *text, *why = "no memory for a call";
    json_t *message;

    if (connection->scanned < length &&
        evbuffer_ptr_set(input, &position, connection->scanned, EVBUFFER_PTR_SET) == 0)
        position = evbuffer_search(input, "", 1, &position);
    if (position.pos < 0) {
        connection->scanned = length;
        set_clock(connection, length > 0);
        if (length > VARLINK_MESSAGE_MAX)
            varlink_cut_off(connection, "a message of more than 256 KiB");
        return false;
    }
    length = (size_t)position.pos;
    text = (const char *)evbuffer_pullup(input, position.pos + 1);
    message = text ? parse(text, length, &why) : NULL;
    evbuffer_drain(input, length + 1);
    connection->scanned = 0;
    connection->called = true;
    set_clock(connection, false);
    if (message)
        answer(connection, message);
    else
        varlink_cut_off(connection, why);
    json_decref(message);
    return true;
}

/* Returns false when there is nothing to do until something comes. */
static bool step(struct varlink_connection *connection) {
    struct varlink_stream *stream = connection->stream;

    if (!stream)
        return !connection->finishing && take_call(connection);
    if (!stream->produce) {
        if (evbuffer_get_length(input_of(connection)) > VARLINK_MESSAGE_MAX)
            varlink_cut_off(connection, "too many calls behind one whose replies do not end");
        return false;
    }
    if (!stream->produce(stream, connection))
        end_stream(connection);
    return true;
}

/* Does what can be done now. Its last act may be the end of the connection. */
static void run(struct varlink_connection *connection) {
    uint64_t start = clock_usec(CLOCK_MONOTONIC);
    unsigned done = 0;

    while (!connection->cut_off && varlink_backlog(connection) < BACKLOG_MAX) {
        if (done >= CALLS_PER_TURN) {
            run_after(connection, REST_FACTOR * (clock_usec(CLOCK_MONOTONIC) - start));
            return;
        }
        done += connection->stream ? CALLS_PER_TURN : 1;
        if (!step(connection))
            break;
    }
    if (connection->cut_off ||
        ((connection->finishing || connection->at_end) && varlink_backlog(connection) == 0))
        connection->events->ended(connection->data, connection->cut_off);
}

static void on_moved(struct bufferevent *socket, void *data) {
    const struct varlink_connection *connection = data;

    (void)socket;
    if (!evtimer_pending(connection->later, NULL))
        run(data);
}

static void on_written(struct bufferevent *socket, void *data) {
    const struct varlink_connection *connection = data;

    if (connection->events->drained && varlink_backlog(connection) == 0)
        connection->events->drained(connection->data);
    on_moved(socket, data);
}

static void on_clock(int fd, short what, void *data) {
    struct varlink_connection *connection = data;

    (void)fd;
    (void)what;
    varlink_cut_off(connection, connection->called
                                    ? "a call that was not sent whole in time (timeouts.request)"
                                    : "no call came in time (timeouts.hello)");
}

static void on_later(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    run(data);
}

static void on_event(struct bufferevent *socket, short what, void *data) {
    struct varlink_connection *connection = data;

    (void)socket;
    if (what & BEV_EVENT_ERROR) {
        connection->events->ended(connection->data, NULL);
        return;
    }
    if (what & BEV_EVENT_TIMEOUT) {
        varlink_cut_off(connection, "it has not read its replies for too long (timeouts.reply)");
        return;
    }
    connection->at_end = true;
    run(connection);
}

void varlink_connection_finish(struct varlink_connection *connection) {
    connection->finishing = true;
}

static int start_socket(struct varlink_connection *connection, struct event_base *base, int fd,
                        const struct timeouts *timeouts) {
    _cleanup_close_ int owned = fd;

    connection->socket = bufferevent_socket_new(base, owned, BEV_OPT_CLOSE_ON_FREE);
    if (!connection->socket)
        return -ENOMEM;
    steal_fd(&owned);
    bufferevent_setcb(connection->socket, on_moved, on_written, on_event, connection);
    bufferevent_setwatermark(connection->socket, EV_READ, 0, VARLINK_MESSAGE_MAX + 1);
    bufferevent_setwatermark(connection->socket, EV_WRITE, BACKLOG_LOW, 0);
    bufferevent_set_timeouts(connection->socket, NULL,
                             &(struct timeval){.tv_sec = timeouts->reply});
    return bufferevent_enable(connection->socket, EV_READ | EV_WRITE) < 0 ? -ENOMEM : 0;
}

int varlink_connection_new(struct event_base *base, int fd, const struct timeouts *timeouts,
                           const struct varlink_events *events, void *data,
                           struct varlink_connection **ret) {
    _cleanup_close_ int owned = fd;
    _cleanup_(cleanup_varlink_connection_free) struct varlink_connection *connection =
        calloc(1, sizeof(*connection));
    int r;

    if (!connection)
        return -ENOMEM;
    connection->events = events;
    connection->data = data;
    connection->request_timeout = timeouts->request;
    connection->later = evtimer_new(base, on_later, connection);
    connection->clock = evtimer_new(base, on_clock, connection);
    if (!connection->later || !connection->clock ||
        event_add(connection->clock, &(struct timeval){.tv_sec = timeouts->hello}) < 0)
        return -ENOMEM;
    r = start_socket(connection, base, steal_fd(&owned), timeouts);
    if (r < 0)
        return r;
    *ret = steal_pointer(connection);
    return 0;
}

void varlink_connection_free(struct varlink_connection *connection) {
    end_stream(connection);
    if (connection->later)
        event_free(connection->later);
    if (connection->clock)
        event_free(connection->clock);
    if (connection->socket)
        bufferevent_free(connection->socket);
    free(connection);
}
