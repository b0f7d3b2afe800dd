/*
 * Repeat: requests that are asked again after a restart. What was done is answered as done, what was
 * not is carried out, and what another message has dealt with is dropped.
 */
#include "tests/unit/conversation.h"

#include <errno.h>
#include <string.h>

#define TURN 77u

/* Asks as after a restart; with a turn, on the connection that was taken over. */
static bool ask_again(uint32_t op, uint32_t serial, uint32_t turn, const void *body,
                      const struct wire_string *strings) {
    size_t size = encode(op, WIRE_REPEATED, serial, body, strings);
    struct wire_header *header = (struct wire_header *)talk.dispatcher.request;

    header->status = (int32_t)turn;
    drop_descriptors();
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, size, &talk.reason), 0);
    return talk.dispatcher.reply.size > 0;
}

static int repeat(uint32_t op, const void *body, const struct wire_string *strings) {
    ck_assert(ask_again(op, SERIAL, 0, body, strings));
    return decode_reply();
}

/* The daemon is killed, and the client is known to the next one. */
static void restart(void) {
    drop_descriptors();
    begin_again();
    ck_assert_int_eq(hello(1, CLIENT_ID), 0);
    ck_assert_uint_eq(((const struct wire_hello_reply *)talk.reply.body)->flags,
                      WIRE_HELLO_RESUMED);
}

START_TEST(a_put_is_answered_with_its_version) {
    const struct wire_put_request body = {.flags = WIRE_PUT_CREATE, .mode = WIRE_MODE_DEFAULT};
    const struct wire_string *strings = STRINGS({"a"}, {"value", 5});

    begin();
    world_put(&talk.world, WORLD_UID, "a", "old");
    ck_assert_int_eq(request(WIRE_PUT, &body, strings), 0);
    restart();
    /* Somebody else was faster than the repeat. */
    world_put(&talk.world, WORLD_UID, "a", "newer");
    ck_assert_int_eq(repeat(WIRE_PUT, &body, strings), 0);
    ck_assert_uint_eq(((const struct wire_put_reply *)talk.reply.body)->version, 2);
    world_expect_content(&talk.world, "a", "newer");
    end();
}
END_TEST

START_TEST(what_was_destroyed_or_created_is_not_so_again) {
    struct wire_create_request body = create_defaults(WIRE_NO_ACCESS);
    struct wire_destroy_request destruction = {{0}};
    struct region_spec spec = world_spec("a");

    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    restart();
    ck_assert_int_eq(repeat(WIRE_CREATE, &body, STRINGS({"a"}, {""}, {""})), 0);
    ck_assert_int_eq(request(WIRE_DESTROY, &destruction, STRINGS({"a"})), 0);
    restart();
    world_create(&talk.world, WORLD_UID, &spec);
    ck_assert_int_eq(repeat(WIRE_DESTROY, &destruction, STRINGS({"a"})), 0);
    ck_assert(world_has(&talk.world, "a"));
    end();
}
END_TEST

static void destroy_as_another(const char *name) {
    const struct caller caller = world_caller(WORLD_UID);
    struct error error;

    ck_assert_int_eq(manager_destroy(talk.world.manager, &caller, name, &error), 0);
}

START_TEST(what_another_has_destroyed_is_not_made_anew) {
    struct wire_create_request body = create_defaults(WIRE_WRITE);
    const struct wire_string *strings = STRINGS({"a"}, {""}, {""});

    begin();
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    restart();
    destroy_as_another("a");
    expect_error(repeat(WIRE_CREATE, &body, strings), -ENOENT, "destroyed by somebody");
    ck_assert(!world_has(&talk.world, "a"));
    world_expect_usage(&talk.world, 0, 0, 0, 1);
    /* The next one that is asked for is another. */
    ck_assert(ask_again(WIRE_CREATE, SERIAL + 1, 0, &body, strings));
    ck_assert_int_eq(decode_reply(), 0);
    ck_assert(world_has(&talk.world, "a"));
    end();
}
END_TEST

/* Whatever the durable registry says of the last change there: what it held has ended. */
START_TEST(a_client_that_has_left_is_not_resumed) {
    struct wire_create_request body = create_defaults(WIRE_NO_ACCESS);

    body.spec.backing = BACKING_FILE;
    begin();
    ck_assert_int_eq(request(WIRE_CREATE, &body, STRINGS({"a"}, {""}, {""})), 0);
    restart();
    manager_remove_client(talk.world.manager, talk.client);
    drop_descriptors();
    begin_again();
    ck_assert_int_eq(hello(1, CLIENT_ID), 0);
    ck_assert_uint_eq(((const struct wire_hello_reply *)talk.reply.body)->flags, 0);
    ck_assert(world_has(&talk.world, "a"));
    end();
}
END_TEST

START_TEST(an_unanswered_open_holds_once) {
    static const char names[] = "a\0a";
    const struct wire_open_request body = {.count = 2, .access = WIRE_READ};

    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    ck_assert_int_eq(OPEN(names, 2, WIRE_READ), 0);
    restart();
    ck_assert_uint_eq(talk.client->n_attachments, 2);
    ck_assert_int_eq(repeat(WIRE_OPEN, &body, STRINGS({names, sizeof(names)})), 0);
    ck_assert_uint_eq(talk.client->n_attachments, 2);
    world_expect_usage(&talk.world, 1, 4096, 2, 1);
    /* Who gives the request up says so. */
    restart();
    ck_assert_int_eq(repeat(WIRE_DETACH, &(struct wire_detach_request){0}, NULL), 0);
    ck_assert_uint_eq(talk.client->n_attachments, 0);
    end();
}
END_TEST

START_TEST(what_was_not_done_is_carried_out) {
    const struct wire_resize_request body = {.size = 4000};

    begin();
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    restart();
    ck_assert(ask_again(WIRE_RESIZE, SERIAL + 1, 0, &body, STRINGS({"a"})));
    expect_error(decode_reply(), -EINVAL, "does not shrink");
    end();
}
END_TEST

START_TEST(a_repeat_is_dropped_that_another_message_deals_with) {
    const struct wire_describe_request body = {{0}};
    const struct wire_string *name = STRINGS({"a"});

    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    talk.client->resumption.turn = TURN;
    /* Of the last daemon's turn, or of a connection before. */
    ck_assert(!ask_again(WIRE_DESCRIBE, SERIAL, TURN - 1, &body, name));
    ck_assert(!ask_again(WIRE_DESCRIBE, SERIAL, 0, &body, name));
    ck_assert(ask_again(WIRE_DESCRIBE, SERIAL, TURN, &body, name));
    /* Read unrepeated before, as was all that was sent after it. */
    ck_assert_int_eq(request(WIRE_DESCRIBE, &body, name), 0);
    ck_assert(!ask_again(WIRE_DESCRIBE, SERIAL, TURN, &body, name));
    ck_assert(!ask_again(WIRE_DESCRIBE, SERIAL + 1, TURN, &body, name));
    ck_assert(ask_again(WIRE_DESCRIBE, SERIAL - 1, TURN, &body, name));
    end();
}
END_TEST

SUITE_MAIN("repeat", a_put_is_answered_with_its_version,
           what_was_destroyed_or_created_is_not_so_again,
           what_another_has_destroyed_is_not_made_anew, a_client_that_has_left_is_not_resumed,
           an_unanswered_open_holds_once, what_was_not_done_is_carried_out,
           a_repeat_is_dropped_that_another_message_deals_with);
