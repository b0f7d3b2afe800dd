/*
 * Locks: one thread of all at a time, an owner that dies told to the next, whoever may not lock
 * refused; ranges of bytes between processes. And the test of tests: owners killed with SIGKILL,
 * thousands of them, none of which blocks the next.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "shared"
#define SIZE 4096
#define USER_A USER(20001)
#define USER_B USER(20002)
#define N_THREADS 4
#define ROUNDS 20000
#define KILLS 1000
#define KILLS_LONG 10000
#define PATIENCE_MSEC 10000

static struct test_daemon daemon_;

static shmreg_region *create(shmreg_conn *conn, uint32_t backing) {
    shmreg_region *region;

    expect_ok(shmreg_create(
        conn, NAME, SIZE,
        SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK, .backing = backing, .mode = 0666), &region));
    return region;
}

START_TEST(test_who_may_lock) {
    struct shmreg_description *description;
    shmreg_region *region, *reader, *without;
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn, SHMREG_BACKING_DEFAULT);
    reader = open_region(conn, NAME, SHMREG_READ);
    expect_ok(shmreg_create(conn, "without", 1, NULL, &without));
    expect_error(shmreg_lock(reader, 0), -EACCES, "open for reading");
    expect_error(shmreg_lock(without, 0), -EOPNOTSUPP, "SHMREG_SYNC_BLOCK");
    expect_error(shmreg_unlock(region), -EPERM, "not locked by this thread");
    expect_error(shmreg_lock_recovered(region), -EPERM, "not locked by this thread");
    for (int timeout_msec = -1; timeout_msec <= 1; timeout_msec++) {
        expect_ok(shmreg_lock(region, timeout_msec));
        expect_error(shmreg_lock(region, 1000), -EDEADLK, "by this thread already");
        expect_error(shmreg_lock_recovered(region), -EINVAL, "no owner");
        expect_ok(shmreg_unlock(region));
    }
    expect_ok(shmreg_describe(conn, NAME, &description));
    ck_assert_uint_eq(description->flags, SHMREG_SYNC_BLOCK);
    shmreg_description_free(description);
    expect_ok(shmreg_describe(conn, "without", &description));
    ck_assert_uint_eq(description->flags, 0);
    shmreg_description_free(description);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

static void *add_in_turn(void *data) {
    shmreg_region *region = data;
    uint64_t *count = shmreg_data(region);

    for (unsigned i = 0; i < ROUNDS; i++) {
        expect_ok(shmreg_lock(region, PATIENCE_MSEC));
        ++*count;
        expect_ok(shmreg_unlock(region));
    }
    return NULL;
}

static void add_as_another(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    (void)channel;
    (void)data;
    add_in_turn(open_region(conn, NAME, SHMREG_WRITE));
    shmreg_disconnect(conn);
}

START_TEST(test_one_at_a_time_among_threads_and_users) {
    pthread_t thread[N_THREADS];
    struct child child[2];
    shmreg_region *region;
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn, SHMREG_SHM + (unsigned)_i);
    child[0] = child_start(USER_A, add_as_another, NULL);
    child[1] = child_start(USER_B, add_as_another, NULL);
    for (size_t i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, add_in_turn, region), 0);
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(thread[i], NULL);
    child_finish(&child[0]);
    child_finish(&child[1]);
    ck_assert_uint_eq(*(uint64_t *)shmreg_data(region), (N_THREADS + 2) * ROUNDS);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

static void lock_and_wait(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, NAME, SHMREG_WRITE);

    (void)data;
    expect_ok(shmreg_lock(region, 0));
    expect_ok(shmreg_write_begin(region));
    channel_say(channel);
    channel_hear(channel);
    expect_ok(shmreg_unlock(region));
    channel_say(channel);
    channel_hear(channel);
    shmreg_disconnect(conn);
}

START_TEST(test_a_timeout_and_a_dead_owner) {
    shmreg_region *region, *reader;
    struct child child;
    shmreg_conn *conn;
    uint64_t begun;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn, SHMREG_BACKING_DEFAULT);
    reader = open_region(conn, NAME, SHMREG_READ);
    for (unsigned dies = 0; dies <= 1; dies++) {
        child = child_start(USER_A, lock_and_wait, NULL);
        channel_hear(child.channel);
        expect_error(shmreg_lock(region, 0), -ETIMEDOUT, "locked by somebody else");
        expect_error(shmreg_lock(region, 20), -ETIMEDOUT, "locked by somebody else");
        expect_error(shmreg_read_begin(reader, 20, &begun), -ETIMEDOUT, "being written");
        if (!dies) {
            channel_say(child.channel);
            channel_hear(child.channel);
            expect_ok(shmreg_lock(region, 0));
            expect_ok(shmreg_unlock(region));
            channel_say(child.channel);
            child_finish(&child);
            continue;
        }
        child_kill(&child);
        expect_error(shmreg_lock(region, 0), -EOWNERDEAD, "died");
        /* It died writing, and so it stays until it is said that all is well. */
        expect_error(shmreg_read_begin(reader, 0, &begun), -ETIMEDOUT, "died");
        expect_error(shmreg_lock(region, 0), -EDEADLK, "");
        expect_ok(shmreg_lock_recovered(region));
        expect_ok(shmreg_read_begin(reader, 0, &begun));
        ck_assert(!shmreg_read_retry(reader, begun));
        expect_ok(shmreg_unlock(region));
        expect_ok(shmreg_lock(region, 0));
        expect_ok(shmreg_unlock(region));
    }
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

START_TEST(test_without_recovery_the_lock_is_lost) {
    shmreg_region *region;
    struct child child;
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn, SHMREG_BACKING_DEFAULT);
    child = child_start(USER_A, lock_and_wait, NULL);
    channel_hear(child.channel);
    child_kill(&child);
    expect_error(shmreg_lock(region, -1), -EOWNERDEAD, "died");
    expect_ok(shmreg_unlock(region));
    for (int timeout_msec = -1; timeout_msec <= 1; timeout_msec++)
        expect_error(shmreg_lock(region, timeout_msec), -ENOTRECOVERABLE, "shmreg_lock_recovered");
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

START_TEST(test_versions_and_daemons_come_and_go) {
    shmreg_region *region, *other;
    shmreg_conn *conn, *conn2;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    conn2 = connect_to(&daemon_);
    region = create(conn, _i ? SHMREG_FILE : SHMREG_SHM);
    expect_ok(shmreg_lock(region, 0));
    expect_ok(shmreg_put(conn, NAME, "new", 4, SHMREG_MODE_DEFAULT));
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_version(region), 2);
    shmreg_drop_old(region);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    other = open_region(conn2, NAME, SHMREG_WRITE);
    expect_error(shmreg_lock(other, 0), -EDEADLK, "");
    expect_ok(shmreg_unlock(region));
    expect_ok(shmreg_lock(other, 0));
    expect_error(shmreg_lock(region, 0), -EDEADLK, "");
    /* A handle that goes with its lock held does not take the memory from under it. */
    shmreg_disconnect(conn2);
    expect_ok(shmreg_destroy(conn, NAME));
    shmreg_disconnect(conn);
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
    daemon_stop(&daemon_);
}
END_TEST

static void lock_range_and_wait(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, NAME, SHMREG_WRITE);

    (void)data;
    expect_ok(shmreg_lock_range(region, 100, 50, true, true));
    channel_say(channel);
    channel_hear(channel);
    shmreg_disconnect(conn);
}

START_TEST(test_ranges) {
    shmreg_region *region, *reader;
    struct child child;
    shmreg_conn *conn;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn, SHMREG_SHM + (unsigned)_i);
    reader = open_region(conn, NAME, SHMREG_READ);
    child = child_start(USER_A, lock_range_and_wait, NULL);
    channel_hear(child.channel);
    expect_ok(shmreg_lock_range(region, 0, 100, true, false));
    expect_ok(shmreg_lock_range(region, 150, 0, true, false));
    expect_error(shmreg_lock_range(region, 149, 1, false, false), -EAGAIN, "somebody else");
    expect_error(shmreg_lock_range(reader, 0, 0, false, false), -EAGAIN, "somebody else");
    expect_error(shmreg_lock_range(reader, 0, 1, true, false), -EACCES, "writers'");
    expect_error(shmreg_lock_range(region, UINT64_MAX, 1, true, false), -EINVAL, "bytes at");
    expect_ok(shmreg_unlock_range(region, 0, 0));
    expect_ok(shmreg_lock_range(reader, 0, 100, false, true));
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
    expect_ok(shmreg_lock_range(region, 100, 50, true, true));
    child_kill(&child);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

struct counters {
    uint64_t owners, recovered;
};

/* Takes the lock from its dead owner, says so, and dies with it. */
static void own(shmreg_region *region) {
    struct counters *counters = shmreg_data(region);
    int r = shmreg_lock(region, PATIENCE_MSEC);

    if (r == -EOWNERDEAD && shmreg_lock_recovered(region) == 0)
        counters->recovered++;
    else if (r < 0)
        _exit(1);
    counters->owners++;
    shmreg_notify(region);
    for (;;)
        pause();
}

static pid_t start_owner(shmreg_region *region) {
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        own(region);
    return pid;
}

/* Each has the lock when it is killed, and the next one waits for it then. */
START_TEST(test_killed_owners_never_block_the_next) {
    uint64_t kills = getenv("SHMREG_TEST_LONG") ? KILLS_LONG : KILLS, start;
    const struct counters *counters;
    shmreg_region *region;
    pid_t owner, next;
    shmreg_conn *conn;
    uint32_t event = 0;

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    region = create(conn, SHMREG_BACKING_DEFAULT);
    counters = shmreg_data(region);
    start = monotonic_usec();
    next = start_owner(region);
    for (uint64_t i = 1; i <= kills; i++) {
        owner = next;
        expect_ok(shmreg_wait_event(region, event, PATIENCE_MSEC, &event));
        ck_assert_uint_eq(event, i);
        next = i < kills ? start_owner(region) : -1;
        ck_assert_int_eq(kill(owner, SIGKILL), 0);
        ck_assert(WIFSIGNALED(wait_for_end(owner)));
    }
    expect_error(shmreg_lock(region, 0), -EOWNERDEAD, "died");
    expect_ok(shmreg_lock_recovered(region));
    expect_ok(shmreg_unlock(region));
    ck_assert_uint_eq(counters->owners, kills);
    ck_assert_uint_eq(counters->recovered, kills - 1);
    printf("%llu killed owners in %llu ms\n", (unsigned long long)kills,
           (unsigned long long)(monotonic_usec() - start) / 1000);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *locks = tcase_create("locks");

    tcase_set_timeout(locks, getenv("SHMREG_TEST_LONG") ? 600 : 110);
    tcase_add_test(locks, test_who_may_lock);
    tcase_add_loop_test(locks, test_one_at_a_time_among_threads_and_users, 0, 3);
    tcase_add_test(locks, test_a_timeout_and_a_dead_owner);
    tcase_add_test(locks, test_without_recovery_the_lock_is_lost);
    tcase_add_loop_test(locks, test_versions_and_daemons_come_and_go, 0, 2);
    tcase_add_loop_test(locks, test_ranges, 0, 3);
    tcase_add_test(locks, test_killed_owners_never_block_the_next);
    return sandbox_run("locks", &locks, 1);
}
