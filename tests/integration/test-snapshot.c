/*
 * Snapshots through the library and the real daemon: they come in order, hold nobody up but who
 * asked, and whoever dies in the middle of one leaves nothing.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <stdio.h>
#include <stdlib.h>

#define SMALL 100000u
#define LARGE (128u << 20)
#define ATTACHES_MAX 100000u

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

static void make_source(uint64_t size) {
    shmreg_region *region;

    expect_ok(shmreg_create(conn, "source", size, SHMREG_OPTIONS(.mode = 0644), &region));
    memset(shmreg_data(region), 'x', size);
    fill(shmreg_data(region), SMALL, 1);
    shmreg_close(region);
}

struct progress {
    unsigned calls;
    uint64_t done, total;
};

static void on_progress(void *data, uint64_t done, uint64_t total) {
    struct progress *progress = data;

    ck_assert_uint_ge(done, progress->done);
    *progress = (struct progress){progress->calls + 1, done, total};
}

START_TEST(test_the_content_of_now) {
    struct progress progress = {0};
    shmreg_region *source, *copy;

    make_source(SMALL);
    expect_ok(shmreg_snapshot(conn, "source", "copy", SHMREG_OPTIONS(.backing = (uint32_t)_i),
                              on_progress, &progress));
    ck_assert_uint_ge(progress.calls, 1);
    ck_assert_uint_eq(progress.done, SMALL);
    ck_assert_uint_eq(progress.total, SMALL);
    source = open_region(conn, "source", SHMREG_WRITE);
    fill(shmreg_data(source), SMALL, 2);
    copy = open_region(conn, "copy", SHMREG_READ);
    ck_assert_uint_eq(shmreg_size(copy), SMALL);
    ck_assert(is_filled(shmreg_data(copy), SMALL, 1));
    shmreg_close(copy);
    shmreg_close(source);
}
END_TEST

static void copy_as_other(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    struct shmreg_description *description;

    (void)channel;
    (void)data;
    expect_ok(shmreg_snapshot(own, "source", "copy", NULL, NULL, NULL));
    expect_ok(shmreg_describe(own, "copy", &description));
    ck_assert_uint_eq(description->owner_uid, 20002);
    ck_assert_uint_eq(description->mode, 0600);
    shmreg_description_free(description);
    expect_error(shmreg_snapshot(own, "source", "source", NULL, NULL, NULL), -EEXIST, "source");
    expect_error(shmreg_snapshot(own, "secret", "other", NULL, NULL, NULL), -EACCES, "secret");
    expect_error(shmreg_snapshot(own, "nothing", "other", NULL, NULL, NULL), -ENOENT, "nothing");
    shmreg_disconnect(own);
}

START_TEST(test_rights) {
    make_source(SMALL);
    create_region(conn, "secret", 100, NULL);
    run_as(USER(20002), copy_as_other, NULL);
}
END_TEST

static void request_snapshot(int fd, uint32_t serial, const char *name) {
    raw_request(
        fd, WIRE_SNAPSHOT, serial,
        &(struct wire_snapshot_request){.spec = {.mode = WIRE_MODE_DEFAULT}},
        (struct wire_string[]){{.data = "source"}, {.data = name}, {.data = ""}, {.data = ""}});
}

/* The last reply to the request; those before it only tell of progress. */
static int32_t receive_last(int fd, uint32_t serial) {
    struct raw_reply reply;

    do {
        raw_receive(fd, &reply);
        ck_assert_uint_eq(reply.message.header.serial, serial);
        ck_assert_uint_eq(reply.message.header.op, WIRE_SNAPSHOT);
    } while (reply.message.header.flags & WIRE_CONTINUES);
    return reply.message.header.status;
}

START_TEST(test_replies_stay_in_order) {
    _cleanup_close_ int fd = raw_greet(daemon_.socket);
    struct raw_reply reply;

    make_source(LARGE);
    request_snapshot(fd, 11, "copy");
    raw_request(fd, WIRE_DESTROY, 12, &(struct wire_destroy_request){0},
                &(struct wire_string){.data = "copy"});
    request_snapshot(fd, 13, "second");
    ck_assert_int_eq(receive_last(fd, 11), 0);
    raw_receive(fd, &reply);
    ck_assert_uint_eq(reply.message.header.serial, 12);
    ck_assert_int_eq(reply.message.header.status, 0);
    ck_assert_int_eq(receive_last(fd, 13), 0);
    ck_assert(!exists(conn, "copy"));
    ck_assert(exists(conn, "second"));
}
END_TEST

static bool has_two_segments(void *data) {
    (void)data;
    return daemon_segments(&daemon_) == 2;
}

static bool has_one_segment(void *data) {
    (void)data;
    return daemon_segments(&daemon_) == 1;
}

START_TEST(test_a_client_that_is_gone_leaves_nothing) {
    int fd = raw_greet(daemon_.socket);
    unsigned descriptors;

    make_source(LARGE);
    descriptors = settled_descriptors(&daemon_, conn);
    request_snapshot(fd, 11, "copy");
    wait_until(has_two_segments, NULL);
    close_fd(&fd);
    wait_until(has_one_segment, NULL);
    ck_assert(!exists(conn, "copy"));
    /* Its socket is gone, too. */
    ck_assert_uint_lt(settled_descriptors(&daemon_, conn), descriptors);
}
END_TEST

/* With replies to it unread: the socket then fails instead of coming to its end. */
START_TEST(test_a_client_that_is_gone_without_reading) {
    int fd = raw_greet(daemon_.socket);

    make_source(LARGE);
    raw_request(fd, WIRE_DESTROY, 10, &(struct wire_destroy_request){0},
                &(struct wire_string){.data = "nothing"});
    request_snapshot(fd, 11, "copy");
    wait_until(has_two_segments, NULL);
    close_fd(&fd);
    wait_until(has_one_segment, NULL);
    ck_assert(!exists(conn, "copy"));
}
END_TEST

START_TEST(test_a_daemon_that_is_killed_leaves_nothing) {
    _cleanup_close_ int fd = raw_greet(daemon_.socket);

    make_source(LARGE);
    request_snapshot(fd, 11, "copy");
    wait_until(has_two_segments, NULL);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    ck_assert(!exists(conn, "copy"));
    ck_assert(exists(conn, "source"));
}
END_TEST

static void take_snapshots(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)data;
    channel_say(channel);
    for (unsigned i = 0; i < 3; i++) {
        expect_ok(shmreg_snapshot(own, "source", "copy", NULL, NULL, NULL));
        expect_ok(shmreg_destroy(own, "copy"));
    }
    shmreg_disconnect(own);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* How long each attach takes until the child has ended, or @count of them: sorted. */
static unsigned measure_attaches(uint64_t *usec, unsigned count, int until) {
    unsigned n = 0;

    while (n < count && (until < 0 || !is_readable_within(until, 0))) {
        uint64_t start = monotonic_usec();

        shmreg_close(open_region(conn, "other", SHMREG_READ));
        usec[n++] = monotonic_usec() - start;
    }
    qsort(usec, n, sizeof(*usec), compare);
    return n;
}

START_TEST(test_others_are_served_meanwhile) {
    static uint64_t quiet[1000], busy[ATTACHES_MAX];
    struct child child;
    unsigned n;

    make_source(LARGE);
    create_region(conn, "other", 4096, NULL);
    measure_attaches(quiet, 1000, -1);
    child = child_start(USER(0), take_snapshots, NULL);
    channel_hear(child.channel);
    n = measure_attaches(busy, ATTACHES_MAX, child.channel);
    child_finish(&child);
    printf("attach: median %llu us, during snapshots of %u MiB %llu us, worst %llu us of %u\n",
           (unsigned long long)quiet[500], LARGE >> 20, (unsigned long long)busy[n / 2],
           (unsigned long long)busy[n - 1], n);
    ck_assert_uint_ge(n, 100);
    /* A loop that copied would make them wait for a good part of a second. */
    ck_assert_uint_lt(busy[n / 2], 20 * quiet[500] + 1000);
}
END_TEST

int main(void) {
    TCase *snapshot = tcase_create("snapshot");

    tcase_add_checked_fixture(snapshot, setup, teardown);
    tcase_set_timeout(snapshot, 60);
    tcase_add_loop_test(snapshot, test_the_content_of_now, 0, SHMREG_FILE + 1);
    tcase_add_test(snapshot, test_rights);
    tcase_add_test(snapshot, test_replies_stay_in_order);
    tcase_add_test(snapshot, test_a_client_that_is_gone_leaves_nothing);
    tcase_add_test(snapshot, test_a_client_that_is_gone_without_reading);
    tcase_add_test(snapshot, test_a_daemon_that_is_killed_leaves_nothing);
    tcase_add_test(snapshot, test_others_are_served_meanwhile);
    return sandbox_run("snapshot", &snapshot, 1);
}
