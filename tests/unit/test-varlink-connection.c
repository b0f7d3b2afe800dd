/*
 * Varlink connection: framing, order, and the bounds of what a peer can make it keep.
 */
#include "daemon/faces/varlink-connection.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct event_base *base;
static struct varlink_connection *connection;
static int peer;
static unsigned n_calls, n_parts;
static bool ended;
static const char *cut_off;
static struct varlink_stream stream; /* for the method "Stream" */

static void free_stream(struct varlink_stream *freed) {
    ck_assert_ptr_eq(freed, &stream);
}

/* Parts without end, of 64 KiB each. */
static bool produce(struct varlink_stream *self, struct varlink_connection *to) {
    static const char part[65536];

    (void)self;
    n_parts++;
    varlink_write(to, part, sizeof(part));
    return true;
}

/* Replies with what it was called. */
static void on_call(void *data, const struct varlink_call *call) {
    (void)data;
    n_calls++;
    if (strcmp(call->method, "Stream") == 0)
        varlink_start_stream(call, &stream);
    else if (strcmp(call->method, "Finish") == 0)
        varlink_connection_finish(call->connection);
    else
        varlink_reply(call, json_pack("{s:s}", "was", call->method));
}

static void on_ended(void *data, const char *why) {
    (void)data;
    ended = true;
    cut_off = why;
    varlink_connection_free(connection);
}

static const struct timeouts timeouts = {.hello = 60, .request = 60, .reply = 60};

static void setup(void) {
    static const struct varlink_events events = {.call = on_call, .ended = on_ended};
    int fds[2];

    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    peer = fds[0];
    stream = (struct varlink_stream){.produce = produce, .free = free_stream};
    ck_assert_int_eq(varlink_connection_new(base, fds[1], &timeouts, &events, NULL, &connection),
                     0);
}

static void teardown(void) {
    close(peer);
    if (!ended)
        varlink_connection_free(connection);
    event_base_free(base);
}

/* All that can be done without anything new from the peer. */
static void settle(void) {
    for (unsigned i = 0; i < 16; i++)
        ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
}

/* Sends bytes, as fast as they are taken. */
static void feed(const char *data, size_t size) {
    while (size > 0 && !ended) {
        ssize_t n = send(peer, data, size, MSG_NOSIGNAL);

        ck_assert(n > 0 || errno == EAGAIN || errno == EPIPE);
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        settle();
    }
    settle();
}

static void expect_output(const char *expected, size_t size) {
    char buffer[1024] = "";
    ssize_t n = recv(peer, buffer, sizeof(buffer), 0);

    ck_assert_int_eq(n, (ssize_t)size);
    ck_assert_mem_eq(buffer, expected, size);
}

static void expect_cut_off(const char *data, size_t size, const char *why) {
    setup();
    feed(data, size);
    ck_assert(ended);
    ck_assert_str_eq(cut_off, why);
    ck_assert_uint_eq(n_calls, 0);
    teardown();
    ended = false;
}

START_TEST(calls_are_answered_in_order_however_they_arrive) {
    static const char calls[] = "{\"method\":\"A\"}\0{\"method\":\"B\",\"oneway\":true}\0"
                                "{\"method\":\"C\",\"parameters\":null}";
    static const char replies[] = "{\"parameters\":{\"was\":\"A\"}}\0"
                                  "{\"parameters\":{\"was\":\"C\"}}";

    setup();
    feed(calls, sizeof(calls));
    ck_assert_uint_eq(n_calls, 3);
    expect_output(replies, sizeof(replies));
    for (size_t i = 0; i < sizeof(calls); i++)
        feed(calls + i, 1);
    ck_assert_uint_eq(n_calls, 6);
    expect_output(replies, sizeof(replies));
    teardown();
}
END_TEST

START_TEST(many_calls_at_once_are_all_answered) {
    static const char call[] = "{\"method\":\"A\",\"oneway\":true}";

    setup();
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(send(peer, call, sizeof(call), 0), sizeof(call));
    while (n_calls < 100)
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    teardown();
}
END_TEST

START_TEST(what_is_no_call_ends_the_connection) {
    static const char not_json[] = "a message that is not JSON",
                      no_call[] = "a message that is no call";
    static const struct {
        const char *data, *why;
    } messages[] = {
        {"", not_json},
        {"{", not_json},
        {"{\"method\":\"A\"} x", not_json},
        {"{\"method\":\"A\",\"method\":\"B\"}", not_json},
        {"{\"method\":\"A\\u0000\"}", not_json},
        {"{\"method\":\"\xff\"}", not_json},
        {"[]", no_call},
        {"{}", no_call},
        {"{\"method\":1}", no_call},
        {"{\"method\":\"A\",\"parameters\":[]}", no_call},
        {"{\"method\":\"A\",\"more\":1}", no_call},
    };

    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        expect_cut_off(messages[i].data, strlen(messages[i].data) + 1, messages[i].why);
}
END_TEST

START_TEST(a_message_has_a_largest_size) {
    static char message[VARLINK_MESSAGE_MAX + 2];
    static const char call[] = "{\"method\":\"A\",\"oneway\":true}";

    memset(message, ' ', sizeof(message));
    expect_cut_off(message, VARLINK_MESSAGE_MAX + 1, "a message of more than 256 KiB");
    setup();
    memcpy(message + VARLINK_MESSAGE_MAX + 1 - sizeof(call), call, sizeof(call));
    feed(message, VARLINK_MESSAGE_MAX + 1);
    ck_assert_uint_eq(n_calls, 1);
    ck_assert(!ended);
    teardown();
}
END_TEST

START_TEST(deep_nesting_is_refused) {
    static char message[100000];

    memset(message, '[', sizeof(message) - 1);
    expect_cut_off(message, sizeof(message), "a message of more parts than a call has");
    message[5000] = '\0';
    expect_cut_off(message, 5001, "a message that is not JSON");
}
END_TEST

START_TEST(a_stream_is_produced_as_the_peer_reads) {
    static const char call[] = "{\"method\":\"Stream\"}\0{\"method\":\"A\"}";
    static char buffer[65536];
    unsigned before;
    ssize_t n;

    setup();
    feed(call, sizeof(call));
    while (n_parts < 16)
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    before = n_parts;
    ck_assert_uint_le(before, 64);
    ck_assert_uint_eq(n_calls, 1);
    settle();
    ck_assert_uint_eq(n_parts, before);
    while (n_parts == before &&
           ((n = recv(peer, buffer, sizeof(buffer), 0)) > 0 || errno == EAGAIN))
        settle();
    ck_assert_uint_gt(n_parts, before);
    teardown();
}
END_TEST

START_TEST(calls_behind_an_endless_reply_are_bounded) {
    static const char call[] = "{\"method\":\"Stream\"}", more[4096];

    setup();
    stream.produce = NULL;
    feed(call, sizeof(call));
    for (unsigned i = 0; i < 1000 && !ended; i++)
        feed(more, sizeof(more));
    ck_assert(ended);
    ck_assert_str_eq(cut_off, "too many calls behind one whose replies do not end");
    teardown();
}
END_TEST

START_TEST(a_peer_that_stops_sending_still_gets_its_answers) {
    static const char call[] = "{\"method\":\"A\"}";
    static const char reply[] = "{\"parameters\":{\"was\":\"A\"}}";

    setup();
    ck_assert_int_eq(send(peer, call, sizeof(call), 0), sizeof(call));
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    settle();
    ck_assert(ended);
    ck_assert_ptr_null(cut_off);
    expect_output(reply, sizeof(reply));
    teardown();
}
END_TEST

START_TEST(a_finished_connection_answers_no_more) {
    static const char calls[] = "{\"method\":\"Finish\"}\0{\"method\":\"A\"}";

    setup();
    feed(calls, sizeof(calls));
    ck_assert(ended);
    ck_assert_uint_eq(n_calls, 1);
    teardown();
}
END_TEST

START_TEST(a_peer_that_is_gone_ends_the_connection) {
    static const char call[] = "{\"method\":\"Stream\"}";

    setup();
    stream.produce = NULL;
    feed(call, sizeof(call));
    ck_assert(!ended);
    shutdown(peer, SHUT_RDWR);
    settle();
    ck_assert(ended);
    teardown();
}
END_TEST

SUITE_MAIN("varlink-connection", calls_are_answered_in_order_however_they_arrive,
           many_calls_at_once_are_all_answered, what_is_no_call_ends_the_connection,
           a_message_has_a_largest_size, deep_nesting_is_refused,
           a_stream_is_produced_as_the_peer_reads, calls_behind_an_endless_reply_are_bounded,
           a_peer_that_stops_sending_still_gets_its_answers, a_finished_connection_answers_no_more,
           a_peer_that_is_gone_ends_the_connection);
