/*
 * Watch and news: a connection's socket, served by the loop. News comes between replies, at once or
 * when there is room, one message however much has changed, and only to who watches and is
 * attached.
 */
#include "tests/unit/conversation.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/faces/server.h"
#include "proto/cleanup.h"

static struct server *server;
static int listener = -1, peer = -1;
static _Alignas(8) unsigned char message[WIRE_MESSAGE_MAX];
static struct wire_message last;

static void step(void) {
    event_base_loop(talk.world.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* A client of the server's, on a socket of its own. */
static int connect_peer(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/client.sock", talk.world.runtime);
    ck_assert_int_ge(fd, 0);
    if (listener < 0) {
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        ck_assert_int_eq(listen(listener, 8), 0);
        ck_assert_int_eq(server_new(&(struct server_options){.base = talk.world.base,
                                                             .manager = talk.world.manager},
                                    dup(listener), &server),
                         0);
    }
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_to_daemon(int fd, uint32_t op, uint32_t serial, const void *body,
                           const struct wire_string *strings) {
    struct wire_header header = {.op = (uint16_t)op, .serial = serial};
    int size = wire_encode(&header, body, strings, message);

    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(packet_send(fd, message, (size_t)size, NULL, 0), 0);
}

/* The next message that is there without the loop running; false if there is none. */
static bool receive(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct packet_fds fds;
    struct error error;
    int r;

    if (poll(&poll_fd, 1, 0) == 0)
        return false;
    r = packet_receive(fd, message, sizeof(message), &fds);
    ck_assert_int_gt(r, 0);
    ck_assert_int_eq(wire_decode(WIRE_REPLY_SIDE, message, (size_t)r, fds.count, &last, &error), 0);
    packet_fds_close(&fds);
    return true;
}

static void expect_message(int fd, uint32_t op, uint32_t serial) {
    for (unsigned i = 0; i < 1000 && !receive(fd); i++)
        step();
    ck_assert_uint_eq(last.header.op, op);
    ck_assert_uint_eq(last.header.serial, serial);
    ck_assert_int_eq(last.header.status, 0);
}

static void expect_news(int fd) {
    ck_assert(receive(fd));
    ck_assert_uint_eq(last.header.op, WIRE_NEWS);
    ck_assert_uint_eq(last.header.serial, 0);
}

static void expect_silence(int fd) {
    for (unsigned i = 0; i < 5; i++)
        step();
    ck_assert(!receive(fd));
}

static void watch(int fd, uint32_t enable) {
    send_to_daemon(fd, WIRE_WATCH, 3, &(struct wire_watch_request){.enable = enable}, NULL);
    expect_message(fd, WIRE_WATCH, 3);
}

static void open_region(int fd, const char *name) {
    send_to_daemon(fd, WIRE_OPEN, 2, &(struct wire_open_request){.count = 1, .access = WIRE_READ},
                   STRINGS({name, strlen(name) + 1}));
    expect_message(fd, WIRE_OPEN, 2);
}

static void greet(int fd, uint64_t id) {
    send_to_daemon(fd, WIRE_HELLO, 1,
                   &(struct wire_hello_request){.version = WIRE_VERSION, .client_id = id}, NULL);
    expect_message(fd, WIRE_HELLO, 1);
}

/* A watcher that is attached to "value", which another client puts. */
static void begin_watching(void) {
    begin();
    peer = connect_peer();
    greet(peer, 99);
    world_put(&talk.world, 0, "value", "first");
    open_region(peer, "value");
    watch(peer, 1);
}

static void end_watching(void) {
    close_fd(&peer);
    for (unsigned i = 0; i < 5; i++)
        step();
    server_free(server);
    server = NULL;
    close_fd(&listener);
    end();
}

static void put(const char *text) {
    world_put(&talk.world, 0, "value", text);
}

START_TEST(a_watcher_is_told_at_once) {
    struct caller root = world_caller(0);

    begin_watching();
    expect_silence(peer);
    put("second");
    expect_news(peer);
    put("third");
    expect_news(peer);
    ck_assert_int_eq(manager_destroy(talk.world.manager, &root, "value", NULL), 0);
    expect_news(peer);
    expect_silence(peer);
    end_watching();
}
END_TEST

START_TEST(nobody_else_is_told) {
    struct caller root = world_caller(0);
    int other;

    begin_watching();
    other = connect_peer();
    greet(other, 100);
    open_region(other, "value");
    put("second");
    expect_news(peer);
    expect_silence(other);
    /* A region it is not attached to, and what does not show on the status page. */
    world_put(&talk.world, 0, "another", "value");
    ck_assert_int_eq(manager_set_attributes(talk.world.manager, &root, "value", "{}", NULL), 0);
    expect_silence(peer);
    watch(peer, 0);
    put("third");
    expect_silence(peer);
    close(other);
    end_watching();
}
END_TEST

START_TEST(news_that_was_not_read_is_not_repeated) {
    begin_watching();
    for (unsigned i = 0; i < 1000; i++)
        put("again");
    expect_news(peer);
    expect_silence(peer);
    put("once more");
    expect_news(peer);
    end_watching();
}
END_TEST

START_TEST(its_own_news_comes_after_the_reply) {
    struct wire_put_request body = {.mode = WIRE_MODE_DEFAULT};

    begin_watching();
    send_to_daemon(peer, WIRE_PUT, 7, &body, STRINGS({"value", 0}, {"mine", 4}));
    expect_message(peer, WIRE_PUT, 7);
    expect_news(peer);
    expect_silence(peer);
    end_watching();
}
END_TEST

/* Asks for more than a socket holds, without reading; returns the serial after the last. */
static unsigned fill_up(unsigned first) {
    static char value[WIRE_VALUE_MAX];
    struct wire_get_request body = {.capacity = sizeof(value)};
    unsigned serial = first;

    world_put(&talk.world, 0, "large", "x");
    ck_assert_int_eq(manager_put(talk.world.manager, &(struct caller){.uid = 0}, "large", value,
                                 sizeof(value), 0600, &(uint32_t){0}, NULL),
                     0);
    for (unsigned i = 0; i < 64; i++) {
        send_to_daemon(peer, WIRE_GET, serial++, &body, STRINGS({"large", 0}));
        step();
    }
    return serial;
}

START_TEST(a_watcher_that_does_not_read_holds_up_nobody) {
    unsigned next, news = 0;

    begin_watching();
    next = fill_up(100);
    for (unsigned i = 0; i < 1000; i++)
        put("again");
    /* Replies are in order, and the news is not before the one that waited. */
    for (unsigned serial = 100; serial < next;) {
        while (!receive(peer))
            step();
        if (last.header.op == WIRE_NEWS) {
            news++;
            continue;
        }
        ck_assert_uint_eq(last.header.op, WIRE_GET);
        ck_assert_uint_eq(last.header.serial, serial++);
    }
    for (unsigned i = 0; i < 5; i++)
        step();
    news += receive(peer);
    ck_assert_uint_eq(news, 1);
    expect_silence(peer);
    put("last");
    expect_news(peer);
    end_watching();
}
END_TEST

START_TEST(a_watcher_that_is_gone_harms_nothing) {
    begin_watching();
    close_fd(&peer);
    for (unsigned i = 0; i < 10; i++)
        put("again");
    for (unsigned i = 0; i < 5; i++)
        step();
    ck_assert_uint_eq(server_n_connections(server), 0);
    end_watching();
}
END_TEST

START_TEST(nonsense_is_refused) {
    begin();
    expect_error(request(WIRE_WATCH, &(struct wire_watch_request){.enable = 2}, NULL), -EINVAL,
                 "watch");
    expect_error(
        request(WIRE_WATCH, &(struct wire_watch_request){.enable = 1, .reserved = 1}, NULL),
        -EINVAL, "watch");
    ck_assert(!talk.client->watches);
    expect_error(request(WIRE_NEWS, &(struct wire_news_request){0}, NULL), -EOPNOTSUPP, "news");
    ck_assert_int_eq(request(WIRE_WATCH, &(struct wire_watch_request){.enable = 1}, NULL), 0);
    ck_assert(talk.client->watches);
    end();
}
END_TEST

SUITE_MAIN("watch", a_watcher_is_told_at_once, nobody_else_is_told,
           news_that_was_not_read_is_not_repeated, its_own_news_comes_after_the_reply,
           a_watcher_that_does_not_read_holds_up_nobody, a_watcher_that_is_gone_harms_nothing,
           nonsense_is_refused);
