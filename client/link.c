/*
 * Link: the socket to the daemon, how it is made, and made again
 *
 * A connection outlives its link. When the daemon comes back, HELLO with the same client id gets
 * the old attachments if the daemon still knows them; otherwise every region that is held is opened
 * once more. What cannot be had again (destroyed, or replaced meanwhile) stays mapped, but is not
 * known to the daemon any more, and its handles are not current.
 */
#include "client/connection.h"

#include "client/failure.h"
#include "proto/region-name.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_WAIT_MSEC 1
#define LONGEST_WAIT_MSEC 64

/* No request of a link is larger than OPEN with one name. */
#define LINK_REQUEST_MAX 512u
_Static_assert(sizeof(struct wire_header) + sizeof(struct wire_open_request) + REGION_NAME_MAX +
                       1 <=
                   LINK_REQUEST_MAX,
               "requests of a link");

void link_drop(struct shmreg_conn *conn) {
    pthread_mutex_lock(&conn->state);
    loop_remove_socket(&conn->loop, conn->socket);
    close_fd(&conn->socket);
    conn->linked = false;
    pthread_mutex_unlock(&conn->state);
}

/* While the link is made, nothing may wait longer than the caller does: connect(2) on a full
 * backlog, or HELLO to a daemon that was stopped. Zero is without end. */
static int limit_waiting(const struct shmreg_conn *conn, int64_t msec) {
    struct timeval limit = {.tv_sec = msec / 1000, .tv_usec = msec % 1000 * 1000};

    if (setsockopt(conn->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(conn->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        return fail(-errno, "cannot set a time limit on the socket: %s", strerror(errno));
    return 0;
}

static int link_connect(struct shmreg_conn *conn, int64_t deadline_msec) {
    int64_t left_msec = deadline_msec - monotonic_msec();
    int r;

    /* Under the lock, so that a fork knows every socket there is. */
    pthread_mutex_lock(&conn->state);
    conn->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    r = conn->socket < 0 ? -errno : 0;
    pthread_mutex_unlock(&conn->state);
    if (r < 0)
        return fail(r, "cannot make a socket: %s", strerror(-r));

    r = limit_waiting(conn, left_msec > 0 ? left_msec : 1);
    if (r < 0)
        return r;
    do
        r = connect(conn->socket, (struct sockaddr *)&conn->address, sizeof(conn->address));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return fail(-errno, "cannot connect to shmregd at %s: %s", conn->address.sun_path,
                    strerror(errno));
    return 0;
}

int link_exchange(struct shmreg_conn *conn, struct call *call) {
    /* Of a buffer's own: it may have to be sent again after something else has come. */
    _Alignas(uint64_t) char request[LINK_REQUEST_MAX];
    struct wire_header header = {.op = (uint16_t)call->op, .serial = ++conn->serial};
    int size = wire_encode(&header, call->body, call->strings, request);

    return size < 0 ? size : connection_exchange(conn, request, (size_t)size, call);
}

static int take_page(struct shmreg_conn *conn, int fd, uint32_t n_slots) {
    const struct page *page;
    struct mapping *mapping;
    int r = page_list_get(&conn->pages, fd, n_slots, &page);

    if (r < 0)
        return r;
    pthread_mutex_lock(&conn->state);
    if (page != conn->page)
        TAILQ_FOREACH (mapping, &conn->mappings, link)
            mapping_lose(mapping);
    conn->page = page;
    pthread_mutex_unlock(&conn->state);
    return 0;
}

static int hello(struct shmreg_conn *conn, bool *ret_resumed) {
    _cleanup_(call_close_fds) struct call call = {.op = WIRE_HELLO};
    struct wire_hello_request body = {.version = WIRE_VERSION, .features = WIRE_FEATURE_RESUME};
    const struct wire_hello_reply *reply;
    int r;

    /* A forked child is another client than its parent. */
    if (conn->inherited || conn->client_id == 0)
        if (getrandom(&conn->client_id, sizeof(conn->client_id), 0) < 0)
            return fail(-errno, "no random numbers: %s", strerror(errno));
    body.client_id = conn->client_id;
    call.body = &body;
    r = link_exchange(conn, &call);
    if (r == 0)
        r = call_status(&call);
    if (r < 0)
        return r;
    if (call.starved)
        return fail(-EMFILE, "no free descriptor for the daemon's status page");
    reply = call.reply.body;
    if (call.fds.count != 1 || reply->version == 0 || reply->version > WIRE_VERSION)
        return fail(-EPROTO, "the daemon does not speak version %u of the protocol", WIRE_VERSION);
    conn->features = reply->features;
    conn->turn = 0;
    *ret_resumed = reply->flags & WIRE_HELLO_RESUMED;
    return take_page(conn, call.fds.fd[0], reply->status_slots);
}

/* What the old link said about slots may not hold for this one, and neither do its attachments,
 * unless the daemon has resumed them. */
static void start_over(struct shmreg_conn *conn, bool resumed) {
    struct mapping *mapping;

    pthread_mutex_lock(&conn->state);
    TAILQ_FOREACH (mapping, &conn->mappings, link) {
        mapping->fresh = false;
        if (!resumed)
            mapping->attachment_id = 0;
    }
    if (!resumed)
        connection_forget_detaches(conn, SIZE_MAX);
    conn->n_detaches_sent = 0;
    conn->next_detach = TAILQ_FIRST(&conn->detaches);
    conn->inherited = false;
    pthread_mutex_unlock(&conn->state);
}

static int attach_again(const struct call *call, struct mapping *newer) {
    struct wire_attachment attachment;

    if (call->reply.string[0].length != sizeof(attachment))
        return fail(-EPROTO, "the daemon opened more than it was asked for");
    memcpy(&attachment, call->reply.string[0].data, sizeof(attachment));
    return mapping_attach(newer, &attachment);
}

/* Only the end of the link is an error: what is refused now stays mapped as it is. */
static int restore_mapping(struct shmreg_conn *conn, struct mapping *mapping) {
    _cleanup_(cleanup_mapping_free) struct mapping *newer =
        mapping_new(conn, mapping->name, mapping->access);
    struct wire_open_request body = {.count = 1, .access = mapping_right(mapping)};
    struct wire_string name = {.data = mapping->name, .length = strlen(mapping->name) + 1};
    _cleanup_(call_close_fds) struct call call = {.op = WIRE_OPEN, .body = &body, .strings = &name};
    bool refused;
    int r;

    if (!newer)
        return -ENOMEM;
    r = link_exchange(conn, &call);
    if (r < 0)
        return r;
    refused = call.reply.header.status < 0;
    r = refused ? 0 : attach_again(&call, newer);
    if (r < 0)
        return r;
    pthread_mutex_lock(&conn->state);
    if (refused || !mapping_take_over(mapping, newer))
        mapping_lose(mapping);
    pthread_mutex_unlock(&conn->state);
    return 0;
}

/* Asks for what the daemon does not know to be held: nothing of it after a new HELLO; after one that
 * was resumed, what a link that broke in here has not come to. Each mapping is kept by a reference
 * while the daemon is asked, so that it stays in the list when its last handle is closed meanwhile.
 */
static int restore(struct shmreg_conn *conn) {
    struct mapping *mapping, *next;
    int r = 0;

    pthread_mutex_lock(&conn->state);
    mapping = TAILQ_FIRST(&conn->mappings);
    if (mapping)
        mapping->references++;
    pthread_mutex_unlock(&conn->state);

    while (mapping) {
        if (r == 0 && mapping->data && !mapping->staged && mapping->attachment_id == 0)
            r = restore_mapping(conn, mapping);
        pthread_mutex_lock(&conn->state);
        next = r == 0 ? TAILQ_NEXT(mapping, link) : NULL;
        if (next)
            next->references++;
        pthread_mutex_unlock(&conn->state);
        mapping_unref(mapping);
        mapping = next;
    }
    return r;
}

/* A loop learns what changed meanwhile, and is told again from now on. A daemon that is too old for
 * that is one to go on with all the same. */
static int watch(struct shmreg_conn *conn) {
    struct wire_watch_request body = {.enable = 1};
    _cleanup_(call_close_fds) struct call call = {.op = WIRE_WATCH, .body = &body};
    int r = link_exchange(conn, &call);

    conn->loop.pause_msec = 0;
    loop_ring(&conn->loop, 0);
    return r;
}

/* What a request attached whose answer nobody waited for is given back. That the link broke again is
 * found by the next message. */
static void give_up(struct shmreg_conn *conn) {
    _Alignas(uint64_t) char request[LINK_REQUEST_MAX];
    struct wire_header header = {
        .op = WIRE_DETACH,
        .flags = WIRE_NO_REPLY | WIRE_REPEATED,
        .serial = conn->given_up,
    };
    int size = wire_encode(&header, &(struct wire_detach_request){0}, NULL, request);

    if (conn->given_up != 0 && conn->features & WIRE_FEATURE_RESUME)
        packet_send(conn->socket, request, (size_t)size, NULL, 0);
}

static int make(struct shmreg_conn *conn, int64_t deadline_msec) {
    bool resumed = false;
    int r = link_connect(conn, deadline_msec);

    if (r == 0)
        r = hello(conn, &resumed);
    if (r < 0)
        return r;
    start_over(conn, resumed);
    if (resumed)
        give_up(conn);
    conn->given_up = 0;
    r = restore(conn);
    if (r == 0 && loop_is_open(&conn->loop))
        r = watch(conn);
    if (r == 0)
        r = limit_waiting(conn, 0);
    if (r < 0)
        return r;
    pthread_mutex_lock(&conn->state);
    conn->linked = true;
    pthread_mutex_unlock(&conn->state);
    return 0;
}

int link_make(struct shmreg_conn *conn, int64_t deadline_msec) {
    int r = make(conn, deadline_msec);

    if (r == -ECONNRESET)
        fail(r, "shmregd at %s ended the connection", conn->address.sun_path);
    if (r == -EAGAIN)
        fail(r, "shmregd at %s does not answer", conn->address.sun_path);
    if (r < 0)
        link_drop(conn);
    return r;
}

static bool may_pass(int error) {
    return error == -ENOENT || error == -ECONNREFUSED || error == -EACCES || error == -ECONNRESET ||
           error == -EAGAIN;
}

/* Asks again and again, with pauses that grow, rather than watching the directory: it goes and
 * comes back with the daemon, and the socket's file is there before anybody listens. */
int link_make_again(struct shmreg_conn *conn, int64_t deadline_msec) {
    int64_t wait_msec = FIRST_WAIT_MSEC;

    for (;;) {
        struct timespec wait = {.tv_nsec = wait_msec * 1000000};
        int r = link_make(conn, deadline_msec);

        if (r == 0 || !may_pass(r))
            return r;
        if (monotonic_msec() + wait_msec > deadline_msec)
            return fail(-ETIMEDOUT, "shmregd at %s went away and did not come back: %s",
                        conn->address.sun_path, strerror(-r));
        nanosleep(&wait, NULL);
        wait_msec = wait_msec * 2 > LONGEST_WAIT_MSEC ? LONGEST_WAIT_MSEC : wait_msec * 2;
    }
}
