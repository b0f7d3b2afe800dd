/*
 * Restart: the daemon is killed with SIGKILL and started again. Readers read on, the library
 * connects again by itself, and counts and lifetimes are what they would be had nothing happened.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <stdlib.h>
#include <unistd.h>

#define SIZE 50000
#define CLIENT_ID 0x1234567890abcdef

static struct test_daemon daemon_;
static shmreg_conn *conn;

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static void restart(void) {
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
}

static void create_filled(const char *name, const struct shmreg_options *options) {
    shmreg_region *region;

    expect_ok(shmreg_create(conn, name, SIZE, options, &region));
    fill(shmreg_data(region), SIZE, 7);
    shmreg_close(region);
}

/* Says when it holds the region, then again when told to call. */
static void read_on(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_READ), *again;
    unsigned reads = 0;

    (void)data;
    channel_say(channel);
    while (!is_readable_within(channel, 0)) {
        ck_assert(is_filled(shmreg_data(region), SIZE, 7));
        reads++;
    }
    channel_hear(channel);
    ck_assert_uint_gt(reads, 0);
    again = open_region(own, "region", SHMREG_WRITE);
    ck_assert(is_filled(shmreg_data(again), SIZE, 7));
    ck_assert_uint_eq(count_readers(own, "region"), 1);
    ck_assert_uint_eq(count_writers(own, "region"), 1);
    channel_say(channel);
    channel_hear(channel);
    shmreg_close(again);
    shmreg_close(region);
    ck_assert_uint_eq(count_readers(own, "region"), 0);
    shmreg_disconnect(own);
}

START_TEST(test_a_reader_reads_on_and_calls_again) {
    static const uint32_t backings[] = {SHMREG_SHM, SHMREG_FILE};
    struct child reader;

    create_filled("region", SHMREG_OPTIONS(.backing = backings[_i], .mode = 0666));
    reader = child_start(USER(20002), read_on, NULL);
    channel_hear(reader.channel);
    restart();
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
    channel_say(reader.channel);
    channel_hear(reader.channel);
    wait_holders(conn, "region", 1, 1);
    channel_say(reader.channel);
    child_finish(&reader);
    wait_holders(conn, "region", 0, 0);
}
END_TEST

static void expect_as_created(const char *name, uint32_t backing) {
    struct shmreg_description *description;
    shmreg_region *region;

    expect_ok(shmreg_describe(conn, name, &description));
    ck_assert_uint_eq(description->version, 2);
    ck_assert_uint_eq(description->size, 1000);
    ck_assert_uint_eq(description->backing, backing);
    ck_assert_uint_eq(description->mode, 0604);
    ck_assert_str_eq(description->acl, "user:20001:rw");
    ck_assert_str_eq(description->attributes, "{\"a\":1}");
    shmreg_description_free(description);
    region = open_region(conn, name, SHMREG_READ);
    ck_assert_uint_eq(shmreg_version(region), 2);
    ck_assert(is_filled(shmreg_data(region), 1000, 3));
    shmreg_close(region);
}

START_TEST(test_everything_that_was_answered_is_there) {
    static const uint32_t backings[] = {SHMREG_SHM, SHMREG_FILE};
    char value[1000];

    create_filled("region", SHMREG_OPTIONS(.backing = backings[_i]));
    fill(value, sizeof(value), 3);
    expect_ok(shmreg_put(conn, "region", value, sizeof(value), SHMREG_MODE_DEFAULT));
    expect_ok(shmreg_set_access(conn, "region", 0604, "user:20001:rw"));
    expect_ok(shmreg_set_attributes(conn, "region", "{\"a\":1}"));
    create_filled("destroyed", SHMREG_OPTIONS(.backing = backings[_i]));
    expect_ok(shmreg_destroy(conn, "destroyed"));
    restart();
    expect_as_created("region", backings[_i]);
    ck_assert(!exists(conn, "destroyed"));
    daemon_stop(&daemon_);
    daemon_launch(&daemon_);
    expect_as_created("region", backings[_i]);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
}
END_TEST

START_TEST(test_a_memfd_goes_with_the_daemon_but_its_mapping_stays) {
    shmreg_region *region, *again;

    create_filled("region", SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
    region = open_region(conn, "region", SHMREG_READ);
    restart();
    ck_assert(!exists(conn, "region"));
    ck_assert(is_filled(shmreg_data(region), SIZE, 7));
    create_region(conn, "region", 10, SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
    again = open_region(conn, "region", SHMREG_READ);
    ck_assert_uint_eq(shmreg_size(again), 10);
    ck_assert(is_filled(shmreg_data(region), SIZE, 7));
    shmreg_close(region);
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
    shmreg_close(again);
    ck_assert_uint_eq(count_readers(conn, "region"), 0);
}
END_TEST

static void call_while_it_is_away(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)data;
    channel_say(channel);
    channel_hear(channel);
    channel_say(channel);
    create_region(own, "patient", 1, NULL);
    shmreg_disconnect(own);
}

START_TEST(test_a_call_waits_for_the_daemon_to_come_back) {
    struct child child = child_start(USER(20001), call_while_it_is_away, NULL);

    channel_hear(child.channel);
    daemon_kill(&daemon_);
    channel_say(child.channel);
    channel_hear(child.channel);
    /* Time to fail, for a call that does not wait. */
    ck_assert(!is_readable_within(child.channel, 200));
    daemon_launch(&daemon_);
    child_finish(&child);
    ck_assert(exists(conn, "patient"));
}
END_TEST

START_TEST(test_a_call_does_not_wait_for_ever) {
    uint64_t since;
    struct shmreg_description *description;

    daemon_kill(&daemon_);
    since = monotonic_usec();
    expect_error(shmreg_describe(conn, "region", &description), -ETIMEDOUT, daemon_.socket);
    ck_assert_uint_ge(monotonic_usec() - since, 4500000);
    ck_assert_uint_le(monotonic_usec() - since, 7000000);
    daemon_launch(&daemon_);
    ck_assert(!exists(conn, "region"));
}
END_TEST

START_TEST(test_what_was_closed_meanwhile_is_not_held) {
    shmreg_region *closed, *kept;

    create_filled("closed", NULL);
    create_filled("kept", NULL);
    closed = open_region(conn, "closed", SHMREG_READ);
    kept = open_region(conn, "kept", SHMREG_READ);
    daemon_kill(&daemon_);
    shmreg_close(closed);
    daemon_launch(&daemon_);
    ck_assert_uint_eq(count_readers(conn, "closed"), 0);
    ck_assert_uint_eq(count_readers(conn, "kept"), 1);
    shmreg_close(kept);
    ck_assert_uint_eq(count_readers(conn, "kept"), 0);
}
END_TEST

static void hold(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region;

    expect_ok(shmreg_create(own, data, SIZE, SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED), &region));
    channel_say(channel);
    pause();
}

static struct child start_holder(child_function function, const char *name) {
    struct child child = child_start(USER(20001), function, (void *)name);

    channel_hear(child.channel);
    return child;
}

START_TEST(test_a_silent_holder_keeps_its_region) {
    struct child silent = start_holder(hold, "kept"), dead = start_holder(hold, "dropped");

    daemon_kill(&daemon_);
    child_kill(&dead);
    daemon_launch(&daemon_);
    wait_gone(conn, "dropped");
    ck_assert_uint_eq(count_writers(conn, "kept"), 1);
    restart();
    ck_assert_uint_eq(count_writers(conn, "kept"), 1);
    child_kill(&silent);
    wait_gone(conn, "kept");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

static void own(int channel, void *data) {
    shmreg_conn *mine = connect_to(&daemon_);

    create_region(mine, data, SIZE, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER));
    channel_say(channel);
    pause();
}

START_TEST(test_an_owner_is_watched_again) {
    struct child living = start_holder(own, "living"), dead = start_holder(own, "dead");

    daemon_kill(&daemon_);
    child_kill(&dead);
    daemon_launch(&daemon_);
    ck_assert(!exists(conn, "dead"));
    ck_assert(exists(conn, "living"));
    child_kill(&living);
    wait_gone(conn, "living");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

START_TEST(test_a_lease_runs_on) {
    struct shmreg_description *description;
    uint64_t since = monotonic_usec();

    create_region(conn, "long", 1, SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 100));
    create_region(conn, "short", 1, SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 2));
    restart();
    expect_ok(shmreg_describe(conn, "long", &description));
    ck_assert_uint_le(description->remaining_seconds, 100);
    ck_assert_uint_ge(description->remaining_seconds, 80);
    shmreg_description_free(description);
    wait_gone(conn, "short");
    ck_assert_uint_ge(monotonic_usec() - since, 1900000);
    ck_assert_uint_le(monotonic_usec() - since, 6000000);
}
END_TEST

/* The id of a client is no secret that gives its attachments to another process. */
static void pretend(int channel, void *data) {
    int fd = raw_connect(daemon_.socket);

    (void)channel;
    (void)data;
    ck_assert_uint_eq(raw_hello(fd, CLIENT_ID), 0);
}

START_TEST(test_attachments_are_resumed_by_their_process_only) {
    static const char name[] = "region";
    _cleanup_close_ int fd = raw_connect(daemon_.socket);

    create_filled(name, NULL);
    ck_assert_uint_eq(raw_hello(fd, CLIENT_ID), 0);
    raw_request(fd, WIRE_OPEN, 2, &(struct wire_open_request){.count = 1, .access = WIRE_READ},
                &(struct wire_string){name, sizeof(name)});
    ck_assert_int_eq(raw_receive_status(fd), 0);
    restart();
    close_fd(&fd);
    run_as(USER(0), pretend, NULL);
    run_as(USER(20001), pretend, NULL);
    ck_assert_uint_eq(count_readers(conn, name), 1);
    fd = raw_connect(daemon_.socket);
    ck_assert_uint_eq(raw_hello(fd, CLIENT_ID), WIRE_HELLO_RESUMED);
    ck_assert_uint_eq(count_readers(conn, name), 1);
    close_fd(&fd);
    wait_holders(conn, name, 0, 0);
}
END_TEST

START_TEST(test_it_is_started_but_once) {
    struct test_daemon second = daemon_;

    daemon_expect_refusal(&second);
    ck_assert(daemon_has_logged(&second, "another shmregd uses registry"));
    /* The first one still serves its sockets. */
    shmreg_disconnect(connect_to(&daemon_));
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("restart");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 40);
    tcase_add_loop_test(cases, test_a_reader_reads_on_and_calls_again, 0, 2);
    tcase_add_loop_test(cases, test_everything_that_was_answered_is_there, 0, 2);
    tcase_add_test(cases, test_a_memfd_goes_with_the_daemon_but_its_mapping_stays);
    tcase_add_test(cases, test_a_call_waits_for_the_daemon_to_come_back);
    tcase_add_test(cases, test_a_call_does_not_wait_for_ever);
    tcase_add_test(cases, test_what_was_closed_meanwhile_is_not_held);
    tcase_add_test(cases, test_a_silent_holder_keeps_its_region);
    tcase_add_test(cases, test_an_owner_is_watched_again);
    tcase_add_test(cases, test_a_lease_runs_on);
    tcase_add_test(cases, test_attachments_are_resumed_by_their_process_only);
    tcase_add_test(cases, test_it_is_started_but_once);
    return sandbox_run("restart", &cases, 1);
}
