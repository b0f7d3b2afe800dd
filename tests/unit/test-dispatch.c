/*
 * Dispatch: the rules of the conversation, as bytes in and bytes out, without a socket.
 */
#include "tests/unit/conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/faces/flight.h"
#include "proto/status-slot.h"

START_TEST(hello_is_answered_with_the_status_page) {
    const struct wire_hello_reply *body;
    struct stat st;

    begin_before_hello();
    ck_assert_int_eq(hello(9, CLIENT_ID), 0);
    body = talk.reply.body;
    ck_assert_uint_eq(body->version, WIRE_VERSION);
    ck_assert_uint_eq(body->client_id, CLIENT_ID);
    ck_assert_uint_eq(body->flags, 0);
    ck_assert_uint_eq(body->status_slots, STATUS_SLOTS);
    expect_descriptor(0, O_RDONLY);
    ck_assert_int_eq(fstat(talk.dispatcher.reply.fds.fd[0], &st), 0);
    ck_assert_int_eq(st.st_size, STATUS_SLOTS * sizeof(struct status_slot));
    end();
}
END_TEST

START_TEST(hello_comes_first_and_once) {
    begin_before_hello();
    expect_error(create("a", WIRE_WRITE, 0), -EPROTO, "create: hello comes first");
    ck_assert(!world_has(&talk.world, "a"));
    expect_error(hello(0, CLIENT_ID), -EINVAL, "version");
    expect_error(hello(1, 0), -EINVAL, "client id");
    ck_assert_int_eq(hello(1, CLIENT_ID), 0);
    expect_error(hello(1, CLIENT_ID), -EINVAL, "already");
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    end();
}
END_TEST

START_TEST(hello_after_a_restart_resumes) {
    uint64_t id;

    begin_before_hello();
    ck_assert_int_eq(hello(1, CLIENT_ID), 0);
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    id = attachment(0).attachment_id;
    begin_again();
    ck_assert_int_eq(hello(1, CLIENT_ID), 0);
    ck_assert_uint_eq(((const struct wire_hello_reply *)talk.reply.body)->flags,
                      WIRE_HELLO_RESUMED);
    ck_assert_int_eq(detach(id), 0);
    end();
}
END_TEST

START_TEST(no_reply_means_none) {
    struct wire_detach_request body = {.attachment_id = 12345};

    begin();
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client,
                              encode(WIRE_DETACH, WIRE_NO_REPLY, SERIAL, &body, NULL),
                              &talk.reason),
                     0);
    ck_assert_uint_eq(talk.dispatcher.reply.size, 0);
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    body.attachment_id = attachment(0).attachment_id;
    drop_descriptors();
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client,
                              encode(WIRE_DETACH, WIRE_NO_REPLY, SERIAL, &body, NULL),
                              &talk.reason),
                     0);
    ck_assert_uint_eq(talk.dispatcher.reply.size, 0);
    world_expect_usage(&talk.world, 1, 4096, 0, 1);
    end();
}
END_TEST

START_TEST(what_means_nothing_is_refused) {
    struct wire_create_request body = create_defaults(WIRE_WRITE);

    begin();
    body.spec.reserved = 1;
    expect_error(request(WIRE_CREATE, &body, STRINGS({"a"}, {""}, {""})), -EINVAL, "create");
    expect_error(create("a", WIRE_WRITE, 1u << 31), -EINVAL, "create");
    ck_assert(!world_has(&talk.world, "a"));
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    expect_error(request(WIRE_OPEN,
                         &(struct wire_open_request){.count = 1, .access = 1, .reserved = 1},
                         STRINGS({"a", 2})),
                 -EINVAL, "open");
    expect_error(
        request(WIRE_DESTROY, &(struct wire_destroy_request){.reserved = 1}, STRINGS({"a"})),
        -EINVAL, "destroy");
    expect_error(
        request(WIRE_DESCRIBE, &(struct wire_describe_request){.reserved = 1}, STRINGS({"a"})),
        -EINVAL, "describe");
    expect_error(
        request(WIRE_PUT, &(struct wire_put_request){.flags = 2}, STRINGS({"a"}, {"x", 1})),
        -EINVAL, "put");
    expect_error(request(WIRE_SET_ACCESS, &(struct wire_set_access_request){.flags = 2},
                         STRINGS({"a"}, {""})),
                 -EINVAL, "set_access");
    ck_assert(world_has(&talk.world, "a"));
    end();
}
END_TEST

START_TEST(unknown_operations_are_answered) {
    struct wire_header header = {.op = 999, .serial = SERIAL};

    begin();
    memcpy(talk.dispatcher.request, &header, sizeof(header));
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, sizeof(header), &talk.reason), 0);
    memcpy(&header, talk.dispatcher.reply.data, sizeof(header));
    ck_assert_uint_eq(header.op, 999);
    ck_assert_uint_eq(header.serial, SERIAL);
    ck_assert_int_eq(header.status, -EOPNOTSUPP);
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    end();
}
END_TEST

START_TEST(malformed_messages_touch_nothing) {
    struct wire_create_request body = create_defaults(WIRE_WRITE);
    size_t size;

    begin();
    size = encode(WIRE_CREATE, 0, SERIAL, &body, STRINGS({"a"}, {""}, {""}));
    talk.dispatcher.request_fds = (struct packet_fds){1, {dup(STDIN_FILENO)}};
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, size, &talk.reason), -EBADMSG);
    packet_fds_close(&talk.dispatcher.request_fds);
    ck_assert_str_eq(talk.reason.text, "create: 1 descriptors where 0 belong");
    decode_reply();
    expect_error(talk.reply.header.status, -EBADMSG, "create: 1 descriptors");

    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, size - 1, &talk.reason), -EBADMSG);
    ck_assert_uint_gt(talk.dispatcher.reply.size, 0);
    /* Without a header there is nothing to answer. */
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, 3, &talk.reason), -EBADMSG);
    ck_assert_uint_eq(talk.dispatcher.reply.size, 0);
    world_expect_usage(&talk.world, 0, 0, 0, 1);
    end();
}
END_TEST

START_TEST(a_refused_client_is_told_why) {
    struct wire_hello_request body = {.version = 1, .client_id = CLIENT_ID};
    struct error refusal;

    begin();
    error_set(&refusal, -EDQUOT, "no more connections");
    dispatch_refusal(&talk.dispatcher, encode(WIRE_HELLO, 0, SERIAL, &body, NULL), &refusal);
    decode_reply();
    ck_assert_uint_eq(talk.reply.header.op, WIRE_HELLO);
    ck_assert_uint_eq(talk.reply.header.serial, SERIAL);
    expect_error(talk.reply.header.status, -EDQUOT, "no more connections");
    dispatch_refusal(&talk.dispatcher, 3, &refusal);
    ck_assert_uint_eq(talk.dispatcher.reply.size, 0);
    end();
}
END_TEST

/* One in a second: what is asked for as fast as it goes is refused before long. */
START_TEST(requests_over_the_rate_are_answered_with_the_limit) {
    int status = 0;
    uint64_t id;

    begin();
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    id = attachment(0).attachment_id;
    drop_descriptors();
    talk.world.config.user.rate = 1;
    for (unsigned i = 0; i < 1000 && status != -EDQUOT; i++)
        status = request(WIRE_RENEW, &(struct wire_renew_request){0}, STRINGS({"b", 1}));
    expect_error(status, -EDQUOT, "limit on requests of user 20001: 1 a second, 1 at once");
    /* What gives something back is not refused. */
    ck_assert_int_eq(detach(id), 0);
    end();
}
END_TEST

START_TEST(descriptors_over_the_share_are_answered_as_any_error) {
    struct wire_create_request body = create_defaults(WIRE_WRITE);
    struct flights flights;
    struct flight flight;
    int pair[2];
    size_t size;

    begin();
    ck_assert_int_eq(flights_init(&flights, talk.world.base), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    flight_begin(&flights, &flight, WORLD_UID, pair[0]);
    ck_assert_int_eq(send(pair[0], "", 1, 0), 1);
    flight_add(&flight, flights.share, 1);
    talk.dispatcher.flight = &flight;
    expect_error(create("a", WIRE_WRITE, 0), -ETOOMANYREFS, "under way to user 20001");
    ck_assert(!world_has(&talk.world, "a"));
    /* Nobody is spared what is wrong with his message, nor answered who wants no answer. */
    size = encode(WIRE_CREATE, WIRE_NO_REPLY, SERIAL, &body, STRINGS({"a", 1}, {"", 0}, {"", 0}));
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, size, &talk.reason), 0);
    ck_assert_uint_eq(talk.dispatcher.reply.size, 0);
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, size - 1, &talk.reason), -EBADMSG);
    talk.dispatcher.flight = NULL;
    flight_forget(&flight);
    flights_deinit(&flights);
    close(pair[0]);
    close(pair[1]);
    end();
}
END_TEST

SUITE_MAIN("dispatch", hello_is_answered_with_the_status_page, hello_comes_first_and_once,
           hello_after_a_restart_resumes, no_reply_means_none, what_means_nothing_is_refused,
           unknown_operations_are_answered, malformed_messages_touch_nothing,
           a_refused_client_is_told_why, requests_over_the_rate_are_answered_with_the_limit,
           descriptors_over_the_share_are_answered_as_any_error);
