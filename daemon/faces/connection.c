/*
 * Connection: see connection.h.
 */
#include "daemon/faces/connection.h"

#include "daemon/core/clock.h"
#include "daemon/faces/disposal.h"
#include "daemon/faces/turns.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A client is looked at for requests that wait already after so many. */
#define REQUESTS_PER_LOOK 16u
/* One that sends ahead has its turn at least as often. */
static const struct timeval turn_overdue = {.tv_usec = 10000};

#define READABLE EV_READ
#define WRITABLE EV_WRITE
/* A peer that is gone shows as one or the other, depending on what it has left unread; a change of
 * state alone counts, since a socket is writable most of the time. */
#define HUNG_UP (EV_CLOSED | EV_WRITE | EV_ET)

static void on_readable(int fd, short what, void *data);
static void on_writable(int fd, short what, void *data);
static void on_hang_up(int fd, short what, void *data);

static void end(struct connection *connection) {
    connection->ended(connection->data, connection);
}

/* Waits for the socket to become READABLE, WRITABLE or HUNG_UP. */
static int wait_for(struct connection *connection, short what) {
    struct event_base *base = event_get_base(connection->event);
    event_callback_fn callback = what == READABLE   ? on_readable
                                 : what == WRITABLE ? on_writable
                                                    : on_hang_up;

    event_del(connection->event);
    event_assign(connection->event, base, connection->fd, (short)(what | EV_PERSIST), callback,
                 connection);
    event_priority_set(connection->event, connection->ahead ? TURN_LATER : TURN_NORMAL);
    return event_add(connection->event, NULL) < 0 ? -ENOMEM : 0;
}

static const struct timeouts *timeouts_of(const struct connection *connection) {
    return &manager_config(connection->dispatcher->manager)->timeouts;
}

static int start_clock(struct connection *connection, uint32_t seconds) {
    return event_add(connection->clock, &(struct timeval){.tv_sec = seconds}) < 0 ? -ENOMEM : 0;
}

/* Who sends ahead, and has one request answered, waits for another turn. */
static int take_turns(struct connection *connection) {
    int waiting = 0, r = 0;
    bool ahead;

    if (++connection->n_requests % REQUESTS_PER_LOOK == 0) {
        ahead = ioctl(connection->fd, FIONREAD, &waiting) == 0 && waiting > 0;
        if (ahead != connection->ahead) {
            connection->ahead = ahead;
            event_del(connection->clock);
            r = wait_for(connection, READABLE);
        }
    }
    if (r == 0 && connection->ahead)
        r = event_add(connection->clock, &turn_overdue) < 0 ? -ENOMEM : 0;
    return r;
}

/* Nobody waits for a turn whose connection does something else. */
static void leave_turns(struct connection *connection) {
    if (connection->ahead)
        event_del(connection->clock);
    connection->ahead = false;
}

/* Takes over what the socket has no room for. */
static int keep(struct connection *connection, struct reply *reply) {
    size_t used = offsetof(struct reply, data) + reply->size;

    connection->pending = malloc(used);
    if (!connection->pending) {
        packet_fds_close(&reply->fds);
        return -ENOMEM;
    }
    memcpy(connection->pending, reply, used);
    reply->fds.count = 0;
    leave_turns(connection);
    if (connection->greeted && start_clock(connection, timeouts_of(connection)->reply) < 0)
        return -ENOMEM;
    return wait_for(connection, WRITABLE);
}

static int send_reply(struct connection *connection, struct reply *reply) {
    int r = packet_send(connection->fd, reply->data, reply->size, reply->fds.fd, reply->fds.count);

    if (r == 0)
        flight_add(&connection->flight, (unsigned)reply->fds.count, reply->size);
    if (r != -EAGAIN)
        packet_fds_close(&reply->fds);
    if (r == 0)
        connection->news_is_last = false;
    return r;
}

/* Whether the client has yet to read the news that it was sent: it will see this change, too. */
static bool is_news_unread(const struct connection *connection) {
    int unread;

    return connection->news_is_last && ioctl(connection->fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* Sends a message that nobody asked for. */
static int send_unasked(const struct connection *connection, enum wire_op op, const void *body) {
    _Alignas(uint64_t) char message[sizeof(struct wire_header) + sizeof(uint64_t)];
    struct wire_header header = {.op = (uint16_t)op, .flags = WIRE_REPLY};
    int size = wire_encode(&header, body, NULL, message);

    return packet_send(connection->fd, message, (size_t)size, NULL, 0);
}

static int send_resumed(struct connection *connection) {
    const struct wire_resumed_reply body = {.turn = connection->client->resumption.turn};

    if (send_unasked(connection, WIRE_RESUMED, &body) == -EAGAIN)
        return -EAGAIN;
    connection->resumed = false;
    connection->news_is_last = false;
    return 0;
}

static int send_news(struct connection *connection) {
    if (!is_news_unread(connection) &&
        send_unasked(connection, WIRE_NEWS, &(struct wire_news_reply){0}) == -EAGAIN)
        return -EAGAIN;
    connection->news = false;
    connection->news_is_last = true;
    return 0;
}

/* Sends what there is to be told unasked. -EAGAIN while there is no room; any other trouble of the
 * socket is left to whoever reads from it. */
static int tell(struct connection *connection) {
    int r = connection->resumed ? send_resumed(connection) : 0;

    return r == 0 && connection->news ? send_news(connection) : r;
}

/* After a reply: the news that came meanwhile goes out, then the next request is read. */
static int go_on(struct connection *connection) {
    return wait_for(connection, tell(connection) == -EAGAIN ? WRITABLE : READABLE);
}

static void tell_now_or_later(struct connection *connection) {
    if (connection->serving || connection->pending || tell(connection) == 0 || connection->task)
        return;
    /* Without memory to wait for room there would be silence: then rather a new connection. */
    if (wait_for(connection, WRITABLE) < 0)
        shutdown(connection->fd, SHUT_RDWR);
}

void connection_tell_news(struct connection *connection) {
    connection->news = true;
    tell_now_or_later(connection);
}

void connection_tell_resumed(struct connection *connection) {
    connection->resumed = connection->greeted = true;
    event_del(connection->clock);
    tell_now_or_later(connection);
}

/* Says once why a client is being cut off. */
static void log_cut_off(const struct connection *connection, const char *why) {
    if (connection->client)
        audit_cut_off(manager_audit(connection->client->manager), &connection->client->caller, why);
}

/* A reply of the task. One that is not the last only tells of progress: where the socket has no room
 * for it, it is dropped. */
static void on_replied(void *data, bool last) {
    struct connection *connection = data;
    struct reply *reply = &connection->dispatcher->reply;
    int r = reply->size > 0 ? send_reply(connection, reply) : 0;

    if (last) {
        connection->task = NULL;
        r = r == -EAGAIN ? keep(connection, reply) : r < 0 ? r : go_on(connection);
    }
    if (r < 0 && r != -EAGAIN)
        end(connection);
}

static int take_task(struct connection *connection) {
    connection->task = steal_pointer(connection->dispatcher->task);
    connection->task->replied = on_replied;
    connection->task->data = connection;
    leave_turns(connection);
    return wait_for(connection, HUNG_UP);
}

/* Answers the request that was received. Anything but 0 is the end of the connection. */
static int serve(struct connection *connection, size_t size) {
    struct dispatcher *dispatcher = connection->dispatcher;
    struct reply *reply = &dispatcher->reply;
    struct error error;
    int served, r = 0;

    connection->serving = true;
    if (connection->client) {
        dispatcher->flight = &connection->flight;
        served = dispatch(dispatcher, connection->client, size, &error);
        dispatcher->flight = NULL;
        if (served < 0)
            log_cut_off(connection, error.text);
        if (!connection->greeted && connection->client->id != 0) {
            connection->greeted = true;
            event_del(connection->clock);
        }
    } else {
        served = connection->refusal->code;
        dispatch_refusal(dispatcher, size, connection->refusal);
    }
    connection->serving = false;
    if (dispatcher->task)
        return take_task(connection);
    /* Before the last answer, which has none, is what is unread. */
    if (served < 0)
        flight_look(&connection->flight);
    if (reply->size > 0)
        r = send_reply(connection, reply);
    if (r == -EAGAIN && served == 0)
        return keep(connection, reply);
    if (r == -ETOOMANYREFS)
        log_cut_off(connection, "too many descriptors are under way to clients that do not take "
                                "them (RLIMIT_NOFILE)");
    if (r < 0 || served < 0)
        return r < 0 ? r : served;
    if (connection->news)
        r = go_on(connection);
    return r == 0 && connection->greeted && !connection->news ? take_turns(connection) : r;
}

static void on_readable(int fd, short what, void *data) {
    struct connection *connection = data;
    struct dispatcher *dispatcher = connection->dispatcher;
    uid_t uid = connection->client ? connection->client->caller.uid : DISPOSAL_NOBODY;
    int r = disposal_receive(uid, fd, dispatcher->request, sizeof(dispatcher->request),
                             &dispatcher->request_fds);
    bool ends;

    (void)what;
    if (r == -EAGAIN)
        return;
    if (r == -EMFILE)
        log_cut_off(connection, "no more descriptors are taken from it now");
    if (r == -EBADMSG)
        log_cut_off(connection, "a message that is too large or has too many descriptors");
    ends = r <= 0 || serve(connection, (size_t)r) < 0;
    disposal_close(uid, &dispatcher->request_fds);
    if (ends)
        end(connection);
}

static void on_writable(int fd, short what, void *data) {
    struct connection *connection = data;
    int r = connection->pending ? send_reply(connection, connection->pending) : 0;

    (void)fd;
    (void)what;
    if (r == -EAGAIN)
        return;
    if (connection->pending && connection->greeted)
        event_del(connection->clock);
    free(steal_pointer(connection->pending));
    if (r < 0 || go_on(connection) < 0)
        end(connection);
}

static void on_hang_up(int fd, short what, void *data) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

    (void)what;
    if (poll(&poll_fd, 1, 0) > 0)
        end(data);
}

/* Time is up. */
static void on_clock(int fd, short what, void *data) {
    struct connection *connection = data;

    (void)fd;
    (void)what;
    if (connection->ahead) {
        connection->ahead = false;
        if (!connection->news && wait_for(connection, READABLE) < 0)
            end(connection);
        return;
    }
    log_cut_off(connection, connection->greeted
                                ? "it has not read its replies for too long (timeouts.reply)"
                                : "it has not said hello in time (timeouts.hello)");
    end(connection);
}

int connection_new(struct dispatcher *dispatcher, struct event_base *base, int fd,
                   struct client *client, const struct error *refusal,
                   void (*ended)(void *data, struct connection *connection), void *data,
                   struct connection **ret) {
    _cleanup_close_ int socket = fd;
    _cleanup_(cleanup_connection_free) struct connection *connection =
        calloc(1, sizeof(*connection));

    if (!connection)
        return -ENOMEM;
    *connection = (struct connection){
        .dispatcher = dispatcher,
        .client = client,
        .fd = steal_fd(&socket),
        .since_usec = boottime_usec(),
        .ended = ended,
        .data = data,
    };
    connection->event =
        event_new(base, connection->fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->clock = evtimer_new(base, on_clock, connection);
    if (!connection->event || !connection->clock || event_add(connection->event, NULL) < 0 ||
        start_clock(connection, timeouts_of(connection)->hello) < 0)
        return -ENOMEM;
    if (!client) {
        connection->refusal = malloc(sizeof(*refusal));
        if (!connection->refusal)
            return -ENOMEM;
        *connection->refusal = *refusal;
    }
    if (client)
        client->face = connection;
    *ret = steal_pointer(connection);
    return 0;
}

void connection_free(struct connection *connection) {
    if (connection->task)
        connection->task->cancel(connection->task);
    if (connection->event)
        event_free(connection->event);
    if (connection->clock)
        event_free(connection->clock);
    if (connection->pending)
        packet_fds_close(&connection->pending->fds);
    free(connection->pending);
    free(connection->refusal);
    flight_forget(&connection->flight);
    close_fd(&connection->fd);
    free(connection);
}
