/*
 * The sequence and the event: readers who cannot write never take a mixture for the whole while a
 * writer writes without a pause, and whoever sleeps on the event is woken by each notification.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <stdatomic.h>
#include <unistd.h>

#define NAME "shared"
#define WORDS 64
#define SIZE (WORDS * sizeof(uint64_t))
#define READS 2000
#define NOTIFICATIONS 2000
#define PATIENCE_MSEC 10000

static struct test_daemon daemon_;

static shmreg_region *create(shmreg_conn *conn) {
    shmreg_region *region;

    expect_ok(shmreg_create(conn, NAME, SIZE,
                            SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK, .mode = 0666), &region));
    return region;
}

static void hammer(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, NAME, SHMREG_WRITE);
    _Atomic uint64_t *words = shmreg_data(region);

    (void)data;
    channel_say(channel);
    for (uint64_t value = 1; !is_readable_within(channel, 0); value++) {
        expect_ok(shmreg_lock(region, PATIENCE_MSEC));
        expect_ok(shmreg_write_begin(region));
        for (size_t i = 0; i < WORDS; i++)
            atomic_store_explicit(&words[i], value, memory_order_relaxed);
        expect_ok(shmreg_write_end(region));
        expect_ok(shmreg_unlock(region));
    }
    shmreg_disconnect(conn);
}

/* The first and the last of the words, when all of them are read as one. */
static void read_whole(const shmreg_region *region, uint64_t *copy, uint64_t *retries) {
    const _Atomic uint64_t *words = shmreg_data(region);
    uint64_t begun;

    for (;; ++*retries) {
        expect_ok(shmreg_read_begin(region, PATIENCE_MSEC, &begun));
        for (size_t i = 0; i < WORDS; i++)
            copy[i] = atomic_load_explicit(&words[i], memory_order_relaxed);
        if (!shmreg_read_retry(region, begun))
            return;
    }
}

static void read_always(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, NAME, SHMREG_READ);
    uint64_t copy[WORDS], last = 0, retries = 0, changes = 0;

    (void)channel;
    (void)data;
    for (unsigned i = 0; i < READS || changes < 2; i++) {
        read_whole(region, copy, &retries);
        for (size_t k = 1; k < WORDS; k++)
            ck_assert_uint_eq(copy[k], copy[0]);
        ck_assert_uint_ge(copy[0], last);
        changes += copy[0] != last;
        last = copy[0];
    }
    shmreg_disconnect(conn);
}

START_TEST(test_no_reader_sees_a_mixture) {
    struct child writer, reader[2];
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    create(conn);
    writer = child_start(USER(20001), hammer, NULL);
    channel_hear(writer.channel);
    reader[0] = child_start(USER(20002), read_always, NULL);
    reader[1] = child_start(USER(20003), read_always, NULL);
    child_finish(&reader[0]);
    child_finish(&reader[1]);
    channel_say(writer.channel);
    child_finish(&writer);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

START_TEST(test_who_may_write_and_when) {
    shmreg_region *region, *reader, *without;
    uint64_t begun, again;
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn);
    reader = open_region(conn, NAME, SHMREG_READ);
    expect_ok(shmreg_create(conn, "without", 1, NULL, &without));
    expect_error(shmreg_write_begin(reader), -EACCES, "open for reading");
    expect_error(shmreg_write_begin(region), -EPERM, "not locked");
    expect_error(shmreg_write_end(region), -EPERM, "not locked");
    expect_error(shmreg_write_begin(without), -EOPNOTSUPP, "sync block");
    expect_error(shmreg_read_begin(without, 0, &begun), -EOPNOTSUPP, "sync block");
    ck_assert(shmreg_read_retry(without, 0));
    expect_ok(shmreg_read_begin(reader, 0, &begun));
    expect_ok(shmreg_lock(region, 0));
    expect_error(shmreg_write_end(region), -EALREADY, "not writing");
    ck_assert(!shmreg_read_retry(reader, begun));
    expect_ok(shmreg_write_begin(region));
    ck_assert(shmreg_read_retry(reader, begun));
    expect_error(shmreg_write_begin(region), -EALREADY, "already writing");
    expect_error(shmreg_read_begin(reader, 1, &again), -ETIMEDOUT, "being written");
    expect_ok(shmreg_unlock(region));
    expect_ok(shmreg_read_begin(reader, 0, &again));
    ck_assert_uint_eq(again, begun + 2);
    ck_assert(shmreg_read_retry(reader, begun));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

static void answer_each(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *ask = open_region(conn, NAME, SHMREG_READ);
    shmreg_region *tell = open_region(conn, "answer", SHMREG_WRITE);
    uint32_t now = 0;

    (void)channel;
    (void)data;
    while (now < NOTIFICATIONS) {
        expect_ok(shmreg_wait_event(ask, now, PATIENCE_MSEC, &now));
        expect_ok(shmreg_notify(tell));
    }
    shmreg_disconnect(conn);
}

/* Nobody looks before he has slept, so a notification that wakes nobody ends this. */
START_TEST(test_every_notification_wakes) {
    shmreg_region *ask, *answer;
    struct child child;
    uint32_t now = 99;
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    ask = create(conn);
    expect_ok(shmreg_create(conn, "answer", 1,
                            SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK, .mode = 0666), &answer));
    expect_error(shmreg_wait_event(answer, 0, 0, &now), -ETIMEDOUT, "nobody has notified");
    ck_assert_uint_eq(now, 0);
    expect_error(shmreg_wait_event(answer, 0, 10, &now), -ETIMEDOUT, "nobody has notified");
    child = child_start(USER(20001), answer_each, NULL);
    for (uint32_t i = 1; i <= NOTIFICATIONS; i++) {
        expect_ok(shmreg_notify(ask));
        expect_ok(shmreg_wait_event(answer, i - 1, -1, &now));
        ck_assert_uint_eq(now, i);
        if (i == NOTIFICATIONS / 2) {
            daemon_kill(&daemon_);
            daemon_launch(&daemon_);
        }
    }
    child_finish(&child);
    expect_error(shmreg_notify(open_region(conn, NAME, SHMREG_READ)), -EACCES, "for reading");
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *sequence = tcase_create("sequence");

    tcase_set_timeout(sequence, 110);
    tcase_add_test(sequence, test_no_reader_sees_a_mixture);
    tcase_add_test(sequence, test_who_may_write_and_when);
    tcase_add_test(sequence, test_every_notification_wakes);
    return sandbox_run("sequence", &sequence, 1);
}
