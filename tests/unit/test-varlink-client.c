/*
 * The Varlink client against an other end that answers, cuts, delays, and talks nonsense.
 *
 * The replies are written into the socket before the client asks: it takes them in order, as from a
 * daemon that is quick.
 */
#include "client/ctl/varlink-client.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SHORT_TIMEOUT_MS 50
#define LONG_TIMEOUT_MS 30000

struct pair {
    struct varlink *varlink;
    int daemon;
    struct error error;
};

static void pair_open(struct pair *pair, int timeout_ms) {
    int fds[2];

    memset(pair, 0, sizeof(*pair));
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ck_assert_int_eq(varlink_new(fds[0], timeout_ms, &pair->varlink, &pair->error), 0);
    pair->daemon = fds[1];
}

static void pair_close(struct pair *pair) {
    varlink_free(pair->varlink);
    close_fd(&pair->daemon);
}

/* Asks with the reply (of @size bytes) already there, and nothing to follow it. */
static int ask(struct pair *pair, const char *reply, size_t size, bool more, json_t **ret) {
    bool continues;

    ck_assert_int_eq(write(pair->daemon, reply, size), (ssize_t)size);
    shutdown(pair->daemon, SHUT_WR);
    ck_assert_int_eq(varlink_send(pair->varlink, "a.b.C", json_object(), more, &pair->error), 0);
    return varlink_receive(pair->varlink, ret, &continues, &pair->error);
}

START_TEST(a_call_and_its_reply) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    static const char text[] = "{\"parameters\": {\"x\": 1}}",
                      expected[] = "{\"method\":\"a.b.C\",\"parameters\":{}}";
    char sent[256];
    struct pair pair;

    pair_open(&pair, LONG_TIMEOUT_MS);
    ck_assert_int_eq(ask(&pair, text, sizeof(text), false, &reply), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(reply, "x")), 1);
    ck_assert_int_eq(read(pair.daemon, sent, sizeof(sent)), sizeof(expected));
    ck_assert_str_eq(sent, expected);
    pair_close(&pair);
}
END_TEST

START_TEST(a_stream_ends_with_the_reply_that_says_so) {
    static const char text[] = "{\"parameters\":{\"n\":0},\"continues\":true}\0"
                               "{\"parameters\":{\"n\":1},\"continues\":true}\0"
                               "{\"parameters\":{\"n\":2}}";
    bool continues = true;
    struct pair pair;
    int n;

    pair_open(&pair, LONG_TIMEOUT_MS);
    ck_assert_int_eq(write(pair.daemon, text, sizeof(text)), sizeof(text));
    ck_assert_int_eq(varlink_send(pair.varlink, "a.b.C", json_object(), true, &pair.error), 0);
    for (n = 0; continues; n++) {
        _cleanup_(cleanup_json_decref) json_t *reply = NULL;

        ck_assert_int_eq(varlink_receive(pair.varlink, &reply, &continues, &pair.error), 0);
        ck_assert_int_eq(json_integer_value(json_object_get(reply, "n")), n);
    }
    ck_assert_int_eq(n, 3);
    pair_close(&pair);
}
END_TEST

START_TEST(an_error_is_the_daemons_own_sentence) {
    static const char *const cases[][2] = {
        {"{\"error\":\"io.shmreg.Admin.NotFound\",\"parameters\":{\"message\":\"no region 'a'\"}}",
         "no region 'a'"},
        {"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"a.b.C\"}}",
         "the daemon answers org.varlink.service.MethodNotFound {\"method\":\"a.b.C\"}"},
        {"{\"error\":\"a.b.E\"}", "the daemon answers a.b.E {}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *reply;
        struct pair pair;

        pair_open(&pair, LONG_TIMEOUT_MS);
        ck_assert_int_eq(ask(&pair, cases[i][0], strlen(cases[i][0]) + 1, false, &reply),
                         -EREMOTEIO);
        ck_assert_str_eq(pair.error.text, cases[i][1]);
        pair_close(&pair);
    }
}
END_TEST

START_TEST(nonsense_is_an_error) {
    static const char *const replies[] = {
        "",
        "x",
        "[]",
        "42",
        "{",
        "\xff\xfe",
        "{\"parameters\":[]}",
        "{\"error\":1}",
        "{\"parameters\":{},\"continues\":1}",
        "{\"parameters\":{},\"continues\":true}",
        "HTTP/1.1 400 Bad Request\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
        json_t *reply;
        struct pair pair;
        int r;

        pair_open(&pair, LONG_TIMEOUT_MS);
        r = ask(&pair, replies[i], strlen(replies[i]) + 1, false, &reply);
        ck_assert_msg(r == -EPROTO, "'%s' gives %d", replies[i], r);
        pair_close(&pair);
    }
}
END_TEST

START_TEST(a_connection_that_is_cut) {
    static const char half[] = {'{', '"', 'p', 'a'};
    json_t *reply;
    struct pair pair;

    pair_open(&pair, LONG_TIMEOUT_MS);
    ck_assert_int_eq(ask(&pair, half, sizeof(half), false, &reply), -ECONNRESET);
    pair_close(&pair);

    pair_open(&pair, LONG_TIMEOUT_MS);
    close_fd(&pair.daemon);
    ck_assert_int_eq(varlink_send(pair.varlink, "a.b.C", json_object(), false, &pair.error),
                     -ECONNRESET);
    pair_close(&pair);
}
END_TEST

START_TEST(a_daemon_that_does_not_answer) {
    bool continues;
    json_t *reply;
    struct pair pair;

    pair_open(&pair, SHORT_TIMEOUT_MS);
    ck_assert_int_eq(varlink_send(pair.varlink, "a.b.C", json_object(), false, &pair.error), 0);
    ck_assert_int_eq(varlink_receive(pair.varlink, &reply, &continues, &pair.error), -ETIMEDOUT);
    pair_close(&pair);
}
END_TEST

START_TEST(a_daemon_that_does_not_read) {
    static char large[4 << 20];
    struct pair pair;

    memset(large, 'x', sizeof(large) - 1);
    pair_open(&pair, SHORT_TIMEOUT_MS);
    ck_assert_int_eq(
        varlink_send(pair.varlink, "a.b.C", json_pack("{s:s}", "d", large), false, &pair.error),
        -ETIMEDOUT);
    pair_close(&pair);
}
END_TEST

START_TEST(nobody_at_the_socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/admin.sock"};
    struct varlink *varlink;
    struct error error;

    ck_assert_int_eq(varlink_connect(&address, LONG_TIMEOUT_MS, &varlink, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, address.sun_path));
}
END_TEST

START_TEST(a_full_backlog_is_waited_for_no_longer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char directory[] = "/tmp/varlink-client-XXXXXX";
    struct varlink *first, *second;
    struct error error;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", directory);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    ck_assert_int_eq(varlink_connect(&address, SHORT_TIMEOUT_MS, &first, &error), 0);
    ck_assert_int_eq(varlink_connect(&address, SHORT_TIMEOUT_MS, &second, &error), -ETIMEDOUT);
    varlink_free(first);
    unlink(address.sun_path);
    rmdir(directory);
}
END_TEST

SUITE_MAIN("varlink-client", a_call_and_its_reply, a_stream_ends_with_the_reply_that_says_so,
           an_error_is_the_daemons_own_sentence, nonsense_is_an_error, a_connection_that_is_cut,
           a_daemon_that_does_not_answer, a_daemon_that_does_not_read, nobody_at_the_socket,
           a_full_backlog_is_waited_for_no_longer);
