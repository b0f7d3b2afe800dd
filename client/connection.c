/*
 * Connections: their making and end, and the way of one request: see connection.h.
 */
#include "client/connection.h"

#include "client/failure.h"
#include "proto/region-name.h"
#include "proto/socket-path.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

struct shmreg_conn *talk_lock(struct shmreg_conn *conn) {
    pthread_mutex_lock(&conn->talk);
    return conn;
}

void talk_unlock(struct shmreg_conn *conn) {
    pthread_mutex_unlock(&conn->talk);
}

int64_t monotonic_nsec(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t monotonic_msec(void) {
    return monotonic_nsec() / 1000000;
}

static int64_t link_deadline(void) {
    return monotonic_msec() + LINK_PATIENCE_MSEC;
}

int check_name(const char *name) {
    const char *fault = region_name_fault(name);

    return fault ? fail(-EINVAL, "'%.*s': %s", REGION_NAME_MAX, name, fault) : 0;
}

static int connection_new(const char *path, struct shmreg_conn **ret) {
    struct shmreg_conn *conn = calloc(1, sizeof(*conn));
    int r;

    if (!conn)
        return fail(-ENOMEM, "no memory for a connection");
    pthread_mutex_init(&conn->talk, NULL);
    pthread_mutex_init(&conn->state, NULL);
    conn->socket = -1;
    SLIST_INIT(&conn->pages);
    conn->loop = LOOP_NONE;
    LIST_INIT(&conn->regions);
    LIST_INIT(&conn->blocks);
    TAILQ_INIT(&conn->news);
    TAILQ_INIT(&conn->mappings);
    TAILQ_INIT(&conn->detaches);
    r = socket_address(path, CLIENT_SOCKET_NAME, &conn->address);
    if (r < 0)
        fail(r, "the path of the daemon's socket is too long");
    if (r == 0 && mapping_table_init(&conn->table) < 0)
        r = fail(-ENOMEM, "no memory for a connection");
    if (r == 0)
        r = fork_watch(conn);
    if (r < 0) {
        mapping_table_deinit(&conn->table);
        free(conn);
        return r;
    }
    *ret = conn;
    return 0;
}

int shmreg_connect(const char *path, shmreg_conn **ret) {
    struct shmreg_conn *conn = NULL;
    int r = connection_new(path, &conn);

    if (r < 0)
        return r;
    r = link_make(conn, link_deadline());
    if (r < 0) {
        shmreg_disconnect(conn);
        /* It was there and went before it answered, or never answers. */
        return r == -ECONNRESET ? -ECONNREFUSED : r == -EAGAIN ? -ETIMEDOUT : r;
    }
    *ret = conn;
    return 0;
}

void shmreg_disconnect(shmreg_conn *conn) {
    struct shmreg_region *region;
    struct mapping *mapping;

    if (!conn)
        return;
    fork_unwatch(conn);
    /* Unmapped first: the end of the connection tells the daemon that nothing is held. */
    while ((mapping = TAILQ_FIRST(&conn->mappings))) {
        TAILQ_REMOVE(&conn->mappings, mapping, link);
        if (mapping->data)
            munmap(mapping->data, mapping->length);
        close_fd(&mapping->fd);
        free(mapping);
    }
    block_list_deinit(&conn->blocks);
    while ((region = LIST_FIRST(&conn->regions))) {
        LIST_REMOVE(region, link);
        free(region);
    }
    loop_close(&conn->loop);
    close_fd(&conn->socket);
    connection_forget_detaches(conn, SIZE_MAX);
    mapping_table_deinit(&conn->table);
    page_list_deinit(&conn->pages);
    pthread_mutex_destroy(&conn->talk);
    pthread_mutex_destroy(&conn->state);
    free(conn);
}

void connection_flush_detaches(struct shmreg_conn *conn) {
    _Alignas(
        uint64_t) char message[sizeof(struct wire_header) + sizeof(struct wire_detach_request)];

    while (conn->linked && conn->next_detach) {
        struct wire_header header = {.op = WIRE_DETACH, .flags = WIRE_NO_REPLY};
        struct wire_detach_request body = {.attachment_id = conn->next_detach->attachment_id};
        int size = wire_encode(&header, &body, NULL, message);

        if (send(conn->socket, message, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
        conn->n_detaches_sent++;
        conn->next_detach = TAILQ_NEXT(conn->next_detach, link);
    }
}

void connection_forget_detaches(struct shmreg_conn *conn, size_t count) {
    struct mapping *mapping;

    while (count-- > 0 && (mapping = TAILQ_FIRST(&conn->detaches))) {
        TAILQ_REMOVE(&conn->detaches, mapping, link);
        if (mapping == conn->next_detach)
            conn->next_detach = TAILQ_FIRST(&conn->detaches);
        else
            conn->n_detaches_sent--;
        free(mapping);
    }
}

static int receive(struct shmreg_conn *conn, struct call *call) {
    struct wire_header *header = (struct wire_header *)conn->reply;
    struct error error = {0};
    int r = packet_receive(conn->socket, conn->reply, sizeof(conn->reply), &call->fds);

    if (r == 0 || r == -ECONNRESET || r == -EPIPE)
        return -ECONNRESET;
    if (r == -EAGAIN)
        return r;
    call->starved = r == -EMFILE;
    if (r == -EMFILE) {
        packet_fds_close(&call->fds);
        r = (int)sizeof(*header) + (int)(header->length % WIRE_MESSAGE_MAX);
    }
    if (r < 0)
        return fail(-EPROTO, "the daemon's answer cannot be received: %s", strerror(-r));

    r = wire_decode(WIRE_REPLY_SIDE, conn->reply, (size_t)r, call->fds.count, &call->reply, &error);
    if (r < 0)
        return fail(-EPROTO, "the daemon's answer makes no sense: %s", error.text);
    return 0;
}

void connection_resume(struct shmreg_conn *conn, const struct wire_resumed_reply *resumed) {
    struct mapping *mapping;

    pthread_mutex_lock(&conn->state);
    conn->turn = resumed->turn;
    TAILQ_FOREACH (mapping, &conn->mappings, link)
        mapping->fresh = false;
    conn->n_detaches_sent = 0;
    conn->next_detach = TAILQ_FIRST(&conn->detaches);
    pthread_mutex_unlock(&conn->state);
    loop_ring(&conn->loop, 0);
}

static bool has_more(const struct shmreg_conn *conn) {
    struct pollfd socket = {.fd = conn->socket, .events = POLLIN};

    return poll(&socket, 1, 0) > 0;
}

/* Says that the request was sent before: to which daemon it is said now goes along. */
static void mark_repeated(const struct shmreg_conn *conn, struct wire_header *request) {
    if (!(conn->features & WIRE_FEATURE_RESUME))
        return;
    request->flags |= WIRE_REPEATED;
    request->status = (int32_t)conn->turn;
}

static int send_request(struct shmreg_conn *conn, const void *data, size_t size,
                        const struct call *call) {
    int r = packet_send(conn->socket, data, size, call->fd, call->fd ? 1 : 0);

    if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN)
        return -ECONNRESET;
    if (r < 0 && r != -EAGAIN)
        return fail(r, "cannot send to the daemon: %s", strerror(-r));
    return r;
}

/* The present daemon may never have seen the request; if it has, it takes no notice of the repeat. */
static int repeat(struct shmreg_conn *conn, void *data, size_t size, struct call *call) {
    call->resumed = call->repeated = true;
    pthread_mutex_lock(&conn->state);
    connection_flush_detaches(conn);
    pthread_mutex_unlock(&conn->state);
    mark_repeated(conn, data);
    return send_request(conn, data, size, call);
}

/* What comes before the reply is dealt with. Of several daemons one after the other, only the last one
 * is asked again. */
static int receive_asked(struct shmreg_conn *conn, void *data, size_t size, struct call *call) {
    bool asks_again = false;
    int r = 0;

    while (r == 0) {
        if (asks_again && !has_more(conn)) {
            r = repeat(conn, data, size, call);
            asks_again = false;
        }
        if (r == 0)
            r = receive(conn, call);
        if (r < 0 || !is_unasked(&call->reply.header))
            return r;
        if (call->reply.header.op == WIRE_RESUMED) {
            connection_resume(conn, call->reply.body);
            asks_again = true;
        }
        loop_ring(&conn->loop, 0);
    }
    return r;
}

static int receive_reply(struct shmreg_conn *conn, void *data, size_t size, struct call *call) {
    const struct wire_header *header = &call->reply.header, *asked = data;
    int r = receive_asked(conn, data, size, call);

    if (r < 0)
        return r;
    if (header->flags & WIRE_CONTINUES && !call->progress)
        return fail(-EPROTO, "the daemon's answer has parts where it should be whole");
    if (header->op != asked->op || header->serial != asked->serial)
        return fail(-EPROTO, "the daemon answered another request than the one it was asked");
    return 0;
}

int connection_exchange(struct shmreg_conn *conn, void *data, size_t size, struct call *call) {
    int r = send_request(conn, data, size, call);

    if (r < 0)
        return r;
    do {
        r = receive_reply(conn, data, size, call);
        if (r == 0 && call->reply.header.flags & WIRE_CONTINUES)
            call->progress(call);
    } while (r == 0 && call->reply.header.flags & WIRE_CONTINUES);
    if (r < 0)
        packet_fds_close(&call->fds);
    return r;
}

int call_status(const struct call *call) {
    int status = call->reply.header.status;

    return status < 0 ? fail(status, "%s", call->reply.string[0].data) : 0;
}

/* A reply to this request says that what was sent before it has been dealt with. */
static int exchange_request(struct shmreg_conn *conn, size_t size, struct call *call) {
    size_t n_detaches;
    int r;

    pthread_mutex_lock(&conn->state);
    connection_flush_detaches(conn);
    n_detaches = conn->n_detaches_sent;
    pthread_mutex_unlock(&conn->state);

    r = connection_exchange(conn, conn->request, size, call);
    /* Those that another daemon was told again may have come after the request. */
    if (r == 0 && n_detaches > 0 && !call->resumed) {
        pthread_mutex_lock(&conn->state);
        connection_forget_detaches(conn, n_detaches);
        pthread_mutex_unlock(&conn->state);
    }
    return r;
}

/* Until it is answered, by whichever daemon. */
static int ask_until_answered(struct shmreg_conn *conn, size_t size, struct call *call,
                              bool *ret_sent) {
    int64_t deadline = 0;
    int r;

    for (;;) {
        if (!conn->linked) {
            if (deadline == 0)
                deadline = link_deadline();
            r = link_make_again(conn, deadline);
            if (r < 0)
                return r;
        }
        if (call->repeated)
            mark_repeated(conn, (struct wire_header *)conn->request);
        call->resumed = false;
        *ret_sent = true;
        r = exchange_request(conn, size, call);
        if (r == 0)
            return call_status(call);
        link_drop(conn);
        if (r != -ECONNRESET)
            return r;
        call->repeated = true;
    }
}

static int ask(struct shmreg_conn *conn, struct call *call) {
    struct wire_header header = {.op = (uint16_t)call->op, .serial = ++conn->serial};
    int r, size = wire_encode(&header, call->body, call->strings, conn->request);
    bool sent = false;

    if (size < 0)
        return fail(size, "the request is too long for one message");
    r = ask_until_answered(conn, (size_t)size, call, &sent);
    if (sent && !conn->linked)
        conn->given_up = header.serial;
    return r;
}

int connection_call(struct shmreg_conn *conn, struct call *call) {
    int r;

    loop_remove_socket(&conn->loop, conn->socket);
    r = ask(conn, call);
    if (conn->linked)
        loop_add_socket(&conn->loop, conn->socket);
    else
        loop_ring(&conn->loop, 0);
    return r;
}
