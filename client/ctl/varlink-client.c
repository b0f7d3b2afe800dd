/*
 * A blocking Varlink client: see varlink-client.h.
 */
#include "client/ctl/varlink-client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define FIRST_CAPACITY 65536u
#define MESSAGE_MAX (256u << 20) /* a million regions fit */

struct varlink {
    int fd;
    int timeout_ms;
    bool more;        /* the call under way may have several replies */
    int64_t deadline; /* of the reply awaited, CLOCK_MONOTONIC in ms */
    char *buffer;
    size_t capacity;
    size_t start; /* of what is received and not yet taken */
    size_t end;
};

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int varlink_new(int fd_, int timeout_ms, struct varlink **ret, struct error *error) {
    _cleanup_close_ int fd = fd_;
    _cleanup_(cleanup_varlink_free) struct varlink *varlink = calloc(1, sizeof(*varlink));

    if (!varlink)
        return error_set(error, -ENOMEM, "no memory for a connection");
    varlink->fd = -1;
    varlink->buffer = malloc(FIRST_CAPACITY);
    if (!varlink->buffer)
        return error_set(error, -ENOMEM, "no memory for a connection");
    varlink->capacity = FIRST_CAPACITY;
    varlink->timeout_ms = timeout_ms;
    varlink->fd = steal_fd(&fd);
    *ret = steal_pointer(varlink);
    return 0;
}

void varlink_free(struct varlink *varlink) {
    close_fd(&varlink->fd);
    free(varlink->buffer);
    free(varlink);
}

int varlink_connect(const struct sockaddr_un *address, int timeout_ms, struct varlink **ret,
                    struct error *error) {
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
    int r;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
        return error_set(error, -errno, "cannot make a socket: %s", strerror(errno));
    do
        r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EAGAIN) /* the timeout, with a full backlog */
        return error_set(error, -ETIMEDOUT, "the daemon at %s accepts no connection",
                         address->sun_path);
    if (r < 0)
        return error_set(error, -errno, "cannot reach the daemon at %s: %s", address->sun_path,
                         strerror(errno));
    return varlink_new(steal_fd(&fd), timeout_ms, ret, error);
}

pid_t varlink_listener(const struct varlink *varlink) {
    struct ucred listener;
    socklen_t size = sizeof(listener);

    return getsockopt(varlink->fd, SOL_SOCKET, SO_PEERCRED, &listener, &size) < 0 ? 0
                                                                                  : listener.pid;
}

void varlink_set_timeout(struct varlink *varlink, int timeout_ms) {
    varlink->timeout_ms = timeout_ms;
    varlink->deadline = now_ms() + timeout_ms;
}

static int wait_for(struct varlink *varlink, short events, struct error *error) {
    struct pollfd poll_fd = {.fd = varlink->fd, .events = events};

    for (;;) {
        int64_t left = varlink->deadline - now_ms();
        int r = poll(&poll_fd, 1, varlink->timeout_ms < 0 ? -1 : left < 0 ? 0 : (int)left);

        if (r > 0)
            return 0;
        if (r == 0)
            return error_set(error, -ETIMEDOUT, "the daemon did not answer within %d s",
                             varlink->timeout_ms / 1000);
        if (errno != EINTR)
            return error_set(error, -errno, "cannot wait for the daemon: %s", strerror(errno));
    }
}

static int connection_error(int code, struct error *error) {
    if (code == -EPIPE || code == -ECONNRESET)
        return error_set(error, -ECONNRESET, "the daemon closed the connection");
    return error_set(error, code, "cannot talk to the daemon: %s", strerror(-code));
}

static int send_all(struct varlink *varlink, const char *data, size_t size, struct error *error) {
    while (size > 0) {
        ssize_t n = send(varlink->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            data += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            int r = wait_for(varlink, POLLOUT, error);

            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return connection_error(-errno, error);
        }
    }
    return 0;
}

int varlink_send(struct varlink *varlink, const char *method, json_t *parameters_, bool more,
                 struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters = parameters_;
    _cleanup_(cleanup_json_decref) json_t *call = NULL;
    _cleanup_free_ char *text = NULL;

    if (parameters)
        call = json_pack("{s:s, s:O}", "method", method, "parameters", parameters);
    if (call && more && json_object_set_new(call, "more", json_true()) < 0)
        return error_set(error, -ENOMEM, "no memory for the call");
    if (call)
        text = json_dumps(call, JSON_COMPACT);
    if (!text)
        return error_set(error, -ENOMEM, "no memory for the call");
    varlink->more = more;
    varlink_set_timeout(varlink, varlink->timeout_ms);
    return send_all(varlink, text, strlen(text) + 1, error);
}

static int make_room(struct varlink *varlink, struct error *error) {
    char *buffer;

    if (varlink->start > 0) {
        memmove(varlink->buffer, varlink->buffer + varlink->start, varlink->end - varlink->start);
        varlink->end -= varlink->start;
        varlink->start = 0;
    }
    if (varlink->end < varlink->capacity)
        return 0;
    if (varlink->capacity >= MESSAGE_MAX)
        return error_set(error, -EPROTO, "the daemon's reply has no end within %u MiB",
                         MESSAGE_MAX >> 20);
    buffer = realloc(varlink->buffer, varlink->capacity * 2);
    if (!buffer)
        return error_set(error, -ENOMEM, "no memory for the daemon's reply");
    varlink->buffer = buffer;
    varlink->capacity *= 2;
    return 0;
}

/* Receives until a whole message is there, and returns where its NUL is. */
static int receive_message(struct varlink *varlink, char **ret_end, struct error *error) {
    size_t searched = varlink->start;

    for (;;) {
        char *end = memchr(varlink->buffer + searched, '\0', varlink->end - searched);
        size_t offset = varlink->end - varlink->start;
        ssize_t n;
        int r;

        if (end) {
            *ret_end = end;
            return 0;
        }
        r = make_room(varlink, error);
        if (r == 0)
            r = wait_for(varlink, POLLIN, error);
        if (r < 0)
            return r;
        searched = varlink->start + offset;
        n = recv(varlink->fd, varlink->buffer + varlink->end, varlink->capacity - varlink->end,
                 MSG_DONTWAIT);
        if (n == 0)
            return connection_error(-ECONNRESET, error);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return connection_error(-errno, error);
        if (n > 0)
            varlink->end += (size_t)n;
    }
}

static int reply_error(const char *name, json_t *parameters, struct error *error) {
    const char *message = json_string_value(json_object_get(parameters, "message"));
    _cleanup_free_ char *text = NULL;

    if (message)
        return error_set(error, -EREMOTEIO, "%s", message);
    text = json_dumps(parameters, JSON_COMPACT | JSON_ENSURE_ASCII);
    return error_set(error, -EREMOTEIO, "the daemon answers %s %s", name, text ? text : "");
}

static int take_reply(struct varlink *varlink, json_t *reply, json_t **ret, bool *ret_continues,
                      struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters =
        json_incref(json_object_get(reply, "parameters"));
    json_t *failure = json_object_get(reply, "error");
    json_t *continues = json_object_get(reply, "continues");

    if (!parameters)
        parameters = json_object(); /* allowed where there are none */
    if (!json_is_object(reply) || !json_is_object(parameters) ||
        (failure && !json_is_string(failure)) || (continues && !json_is_boolean(continues)) ||
        (json_is_true(continues) && !varlink->more))
        return error_set(error, -EPROTO, "what the daemon sent is no Varlink reply");
    if (failure)
        return reply_error(json_string_value(failure), parameters, error);
    *ret_continues = json_is_true(continues);
    *ret = steal_pointer(parameters);
    return 0;
}

int varlink_receive(struct varlink *varlink, json_t **ret, bool *ret_continues,
                    struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    json_error_t fault;
    char *end = NULL;
    int r = receive_message(varlink, &end, error);

    if (r < 0)
        return r;
    reply = json_loadb(varlink->buffer + varlink->start,
                       (size_t)(end - varlink->buffer) - varlink->start, 0, &fault);
    varlink->start = (size_t)(end + 1 - varlink->buffer);
    if (!reply)
        return error_set(error, -EPROTO, "what the daemon sent is no JSON: %s", fault.text);
    varlink_set_timeout(varlink, varlink->timeout_ms);
    return take_reply(varlink, reply, ret, ret_continues, error);
}
