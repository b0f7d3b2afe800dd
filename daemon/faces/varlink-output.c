/*
 * Varlink connection: replies go out; see varlink-connection.h.
 */
#include "daemon/faces/varlink-private.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char no_memory[] = "no memory for a reply";

int varlink_fd(const struct varlink_connection *connection) {
    return bufferevent_getfd(connection->socket);
}

size_t varlink_backlog(const struct varlink_connection *connection) {
    return evbuffer_get_length(bufferevent_get_output(connection->socket));
}

void varlink_write(struct varlink_connection *connection, const void *data, size_t size) {
    if (bufferevent_write(connection->socket, data, size) < 0)
        varlink_cut_off(connection, no_memory);
}

/* The text, or NULL without memory for it. */
static char *take_text(json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

void varlink_write_json(struct varlink_connection *connection, json_t *json) {
    _cleanup_free_ char *text = take_text(json);

    if (text)
        varlink_write(connection, text, strlen(text));
    else
        varlink_cut_off(connection, no_memory);
}

static void send_message(struct varlink_connection *connection, json_t *message) {
    varlink_write_json(connection, message);
    varlink_write(connection, "", 1);
}

static json_t *make_reply(json_t *parameters, bool continues) {
    json_t *message = json_pack("{s:o}", "parameters", parameters);

    if (message && continues)
        json_object_set_new(message, "continues", json_true());
    return message;
}

void varlink_send(struct varlink_connection *connection, json_t *parameters, bool continues) {
    send_message(connection, make_reply(parameters, continues));
}

void varlink_send_at_once(struct varlink_connection *connection, json_t *parameters) {
    _cleanup_free_ char *text = take_text(make_reply(parameters, true));
    size_t size = text ? strlen(text) + 1 : 0, sent = 0;
    ssize_t n;

    if (!text) {
        varlink_cut_off(connection, no_memory);
        return;
    }
    /* What is wrong with the socket, the loop will see. */
    if (varlink_backlog(connection) == 0) {
        n = send(varlink_fd(connection), text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent = n > 0 ? (size_t)n : 0;
    }
    if (sent < size)
        varlink_write(connection, text + sent, size - sent);
}

void varlink_reply(const struct varlink_call *call, json_t *parameters) {
    if (call->oneway)
        json_decref(parameters);
    else
        varlink_send(call->connection, parameters, false);
}

void varlink_error(const struct varlink_call *call, const char *error, json_t *parameters) {
    if (call->oneway)
        json_decref(parameters);
    else
        send_message(call->connection,
                     json_pack("{s:s, s:o}", "error", error, "parameters", parameters));
}

void varlink_invalid_parameter(const struct varlink_call *call, const char *parameter) {
    varlink_error(call, "org.varlink.service.InvalidParameter",
                  json_pack("{s:s}", "parameter", parameter));
}
