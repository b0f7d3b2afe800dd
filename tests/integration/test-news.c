/*
 * News for an event loop: what has become of many regions is learned through one descriptor, by
 * other users' doing, across restarts of the daemon, beside threads that are in calls, and nothing
 * is lost.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REGIONS 64
#define ROUNDS 200
#define THREADS 3
#define FOR_ALL SHMREG_OPTIONS(.mode = 0666)

static struct test_daemon daemon_;
static shmreg_conn *conn;
static shmreg_region *regions[REGIONS];
static uint32_t heard[REGIONS]; /* the bits of all news of each since it was last looked at */

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static const char *name_of(unsigned i) {
    static char name[32];

    snprintf(name, sizeof(name), "region/%u", i);
    return name;
}

static void open_regions(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        create_region(conn, name_of(i), 10, FOR_ALL);
        regions[i] = open_region(conn, name_of(i), SHMREG_READ);
    }
}

static unsigned index_of(const shmreg_region *region) {
    for (unsigned i = 0; i < REGIONS; i++)
        if (regions[i] == region)
            return i;
    ck_abort_msg("news of a handle that nobody has");
}

static void note(void *data, shmreg_region *region, uint32_t what) {
    (void)data;
    heard[index_of(region)] |= what;
}

static void note_and_follow(void *data, shmreg_region *region, uint32_t what) {
    note(data, region, what);
    if (what & SHMREG_NEWS_PUBLISHED)
        expect_ok(shmreg_refresh(region));
}

static bool is_ready(int fd, int msec) {
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, msec) > 0;
}

/* Waits and processes until every region up to @count has been heard of with these bits; then they
 * count as not heard. */
static void hear(unsigned count, uint32_t what,
                 void (*news)(void *data, shmreg_region *region, uint32_t what)) {
    int fd = shmreg_conn_fd(conn);
    unsigned i = 0;

    ck_assert_int_ge(fd, 0);
    for (;;) {
        for (; i < count && (heard[i] & what) == what; i++)
            heard[i] = 0;
        if (i == count)
            return;
        ck_assert_msg(is_ready(fd, 20000), "no news of region %u", i);
        shmreg_process(conn, news, NULL);
    }
}

/* Nothing to do, and the descriptor says so. */
static void expect_quiet(void) {
    int fd = shmreg_conn_fd(conn);

    while (is_ready(fd, 0))
        ck_assert_int_eq(shmreg_process(conn, note, NULL), 0);
    ck_assert_int_eq(shmreg_process(conn, note, NULL), 0);
}

static void put_all(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)channel;
    (void)data;
    for (unsigned i = 0; i < REGIONS; i++)
        expect_ok(shmreg_put(own, name_of(i), "changed", 8, SHMREG_MODE_DEFAULT));
    shmreg_disconnect(own);
}

START_TEST(test_one_descriptor_tells_of_many_regions) {
    open_regions(REGIONS);
    ck_assert_int_eq(shmreg_conn_fd(conn), shmreg_conn_fd(conn));
    expect_quiet();
    for (unsigned i = 0; i < 3; i++) {
        run_as(USER(20001), put_all, NULL);
        hear(REGIONS, SHMREG_NEWS_PUBLISHED, note_and_follow);
        expect_quiet();
    }
    for (unsigned i = 0; i < REGIONS; i++) {
        ck_assert_uint_eq(shmreg_version(regions[i]), 4);
        ck_assert_str_eq(shmreg_data(regions[i]), "changed");
    }
    for (unsigned i = 0; i < REGIONS; i++)
        expect_ok(shmreg_destroy(conn, name_of(i)));
    hear(REGIONS, SHMREG_NEWS_DESTROYED, note);
    expect_quiet();
}
END_TEST

START_TEST(test_what_came_before_the_descriptor_is_not_lost) {
    open_regions(2);
    expect_ok(shmreg_put(conn, name_of(0), "changed", 8, SHMREG_MODE_DEFAULT));
    hear(1, SHMREG_NEWS_PUBLISHED, note);
    ck_assert_uint_eq(heard[1], 0);
    expect_quiet();
}
END_TEST

START_TEST(test_it_works_without_the_descriptor) {
    open_regions(3);
    ck_assert_int_eq(shmreg_process(conn, note, NULL), 0);
    for (unsigned i = 0; i < 5; i++)
        expect_ok(shmreg_put(conn, name_of(1), "changed", 8, SHMREG_MODE_DEFAULT));
    ck_assert_int_eq(shmreg_process(conn, note, NULL), 1);
    ck_assert_uint_eq(heard[1], SHMREG_NEWS_PUBLISHED);
    ck_assert_int_eq(shmreg_process(conn, note, NULL), 0);
    /* What the caller has gone to by himself is no news to him. */
    expect_ok(shmreg_put(conn, name_of(1), "changed", 8, SHMREG_MODE_DEFAULT));
    expect_ok(shmreg_refresh(regions[1]));
    ck_assert_int_eq(shmreg_process(conn, note, NULL), 0);
}
END_TEST

START_TEST(test_a_new_region_of_the_name_is_the_end_of_the_old) {
    open_regions(2);
    expect_ok(shmreg_destroy(conn, name_of(0)));
    create_region(conn, name_of(0), 10, FOR_ALL);
    hear(1, SHMREG_NEWS_DESTROYED, note);
    expect_ok(shmreg_put(conn, name_of(0), "changed", 8, SHMREG_MODE_DEFAULT));
    expect_quiet();
    expect_ok(shmreg_refresh(regions[0]));
    expect_quiet();
    expect_ok(shmreg_put(conn, name_of(0), "again", 6, SHMREG_MODE_DEFAULT));
    hear(1, SHMREG_NEWS_PUBLISHED, note);
}
END_TEST

static void own_a_region(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)data;
    create_region(own, "owned", 10, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER, .mode = 0666));
    channel_say(channel);
    pause();
}

START_TEST(test_a_reaped_region_is_news) {
    struct child owner = child_start(USER(20001), own_a_region, NULL);

    channel_hear(owner.channel);
    regions[0] = open_region(conn, "owned", SHMREG_READ);
    expect_quiet();
    child_kill(&owner);
    hear(1, SHMREG_NEWS_DESTROYED, note);
}
END_TEST

static void wait_for_the_end(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "owned", SHMREG_READ);

    (void)data;
    channel_say(channel);
    expect_ok(shmreg_wait(region, 20000));
    expect_error(shmreg_refresh(region), -ENOENT, "'owned'");
    shmreg_disconnect(own);
}

START_TEST(test_a_reaped_region_wakes_its_sleepers) {
    struct child owner = child_start(USER(20001), own_a_region, NULL), sleeper;

    channel_hear(owner.channel);
    sleeper = child_start(USER(20002), wait_for_the_end, NULL);
    channel_hear(sleeper.channel);
    if (_i == 1) {
        daemon_kill(&daemon_);
        daemon_launch(&daemon_);
    }
    child_kill(&owner);
    child_finish(&sleeper);
}
END_TEST

static void count_and_close_all(void *data, shmreg_region *region, uint32_t what) {
    unsigned i = index_of(region);

    ck_assert_uint_eq(what, SHMREG_NEWS_PUBLISHED);
    ++*(unsigned *)data;
    /* This one, and its neighbours, which may have news, too. */
    for (unsigned other = i & ~3u; other < (i | 3u) + 1; other++) {
        shmreg_close(regions[other]);
        regions[other] = NULL;
    }
    ck_assert(exists(conn, name_of(i)));
}

START_TEST(test_handles_may_be_closed_while_they_are_reported) {
    unsigned count = 0;
    int reported;

    open_regions(REGIONS);
    run_as(USER(20001), put_all, NULL);
    reported = shmreg_process(conn, count_and_close_all, &count);
    ck_assert_int_eq(reported, REGIONS / 4);
    ck_assert_uint_eq(count, REGIONS / 4);
    ck_assert_uint_eq(count_readers(conn, name_of(0)), 0);
}
END_TEST

/* Waits for a daemon that is not there, as an event loop does. */
static void look_for_the_daemon(unsigned times) {
    int fd = shmreg_conn_fd(conn);
    uint64_t start;

    for (unsigned i = 0; i < times; i++) {
        ck_assert(is_ready(fd, 20000));
        start = monotonic_usec();
        ck_assert_int_lt(shmreg_process(conn, note, NULL), 0);
        ck_assert_uint_lt(monotonic_usec() - start, 1000000);
    }
}

START_TEST(test_restarts_lose_nothing) {
    open_regions(REGIONS);
    expect_quiet();
    for (unsigned i = 0; i < 4; i++) {
        daemon_kill(&daemon_);
        look_for_the_daemon(3);
        daemon_launch(&daemon_);
        /* Before or after the watcher is back: one of both. */
        run_as(USER(20001), put_all, NULL);
        hear(REGIONS, SHMREG_NEWS_PUBLISHED, i % 2 ? note_and_follow : note);
        expect_quiet();
    }
    expect_ok(shmreg_destroy(conn, name_of(5)));
    regions[0] = regions[5];
    hear(1, SHMREG_NEWS_DESTROYED, note);
}
END_TEST

START_TEST(test_a_region_that_is_gone_with_the_daemon_is_destroyed) {
    char command[DAEMON_PATH_MAX + 16];

    open_regions(2);
    expect_quiet();
    daemon_kill(&daemon_);
    snprintf(command, sizeof(command), "rm -r %s/*", daemon_.runtime);
    ck_assert_int_eq(system(command), 0);
    daemon_launch(&daemon_);
    hear(2, SHMREG_NEWS_DESTROYED, note);
    expect_quiet();
}
END_TEST

static bool stop;

/* An assertion in a thread would end only half of the test: a count of failures is returned. */
static void *be_in_calls(void *data) {
    uintptr_t failures = 0;
    char text[32], back[32];
    char name[32];
    size_t size;

    snprintf(name, sizeof(name), "thread/%u", (unsigned)(uintptr_t)data);
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        snprintf(text, sizeof(text), "%u", i);
        failures += shmreg_put(conn, name, text, sizeof(text), 0600) != 0;
        failures +=
            shmreg_get(conn, name, back, sizeof(back), &size) != 0 || strcmp(text, back) != 0;
    }
    return (void *)failures;
}

static void put_rounds(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)data;
    channel_hear(channel);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const char *name = name_of(i % 8);

        expect_ok(shmreg_put(own, name, "changed", 8, SHMREG_MODE_DEFAULT));
    }
    shmreg_disconnect(own);
}

static void expect_last_version(void) {
    for (unsigned i = 0; i < 8; i++)
        while (shmreg_version(regions[i]) != 1 + ROUNDS / 8) {
            ck_assert(is_ready(shmreg_conn_fd(conn), 20000));
            shmreg_process(conn, note_and_follow, NULL);
        }
}

START_TEST(test_threads_that_are_in_calls_are_not_disturbed) {
    pthread_t threads[THREADS];
    struct child child;

    open_regions(8);
    ck_assert_int_ge(shmreg_conn_fd(conn), 0);
    /* Forked while there are no threads, one of which might hold a lock of the allocator. */
    child = child_start(USER(20001), put_rounds, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, be_in_calls, (void *)i), 0);
    channel_say(child.channel);
    expect_last_version();
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failures;

        pthread_join(threads[i], &failures);
        ck_assert_uint_eq((uintptr_t)failures, 0);
    }
    child_finish(&child);
    expect_quiet();
}
END_TEST

static void watch_as_a_child(int channel, void *data) {
    ck_assert_int_eq(fcntl(*(int *)data, F_GETFD), -1);
    ck_assert_int_ge(shmreg_conn_fd(conn), 0);
    expect_quiet();
    channel_say(channel);
    hear(2, SHMREG_NEWS_PUBLISHED, note_and_follow);
    channel_say(channel);
    shmreg_disconnect(conn);
}

START_TEST(test_a_child_has_a_descriptor_of_its_own) {
    struct child child;
    int fd;

    open_regions(2);
    fd = shmreg_conn_fd(conn);
    expect_quiet();
    child = child_start(USER(20001), watch_as_a_child, &fd);
    channel_hear(child.channel);
    for (unsigned i = 0; i < 2; i++)
        expect_ok(shmreg_put(conn, name_of(i), "changed", 8, SHMREG_MODE_DEFAULT));
    channel_hear(child.channel);
    child_finish(&child);
    hear(2, SHMREG_NEWS_PUBLISHED, note);
    expect_quiet();
    ck_assert_int_eq(shmreg_conn_fd(conn), fd);
}
END_TEST

struct loop_test {
    struct event_base *base;
    unsigned left;
};

static void on_news(void *data, shmreg_region *region, uint32_t what) {
    struct loop_test *loop = data;

    note_and_follow(NULL, region, what);
    if (--loop->left == 0)
        event_base_loopbreak(loop->base);
}

static void on_readable(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    ck_assert_int_ge(shmreg_process(conn, on_news, data), 0);
}

START_TEST(test_libevent_can_wait_for_it) {
    struct loop_test loop = {.base = event_base_new(), .left = REGIONS};
    struct timeval limit = {.tv_sec = 20};
    struct event *event;

    open_regions(REGIONS);
    event = event_new(loop.base, shmreg_conn_fd(conn), EV_READ | EV_PERSIST, on_readable, &loop);
    ck_assert_int_eq(event_add(event, NULL), 0);
    event_base_loopexit(loop.base, &limit);
    run_as(USER(20001), put_all, NULL);
    event_base_dispatch(loop.base);
    ck_assert_uint_eq(loop.left, 0);
    event_free(event);
    event_base_free(loop.base);
}
END_TEST

int main(void) {
    TCase *news = tcase_create("news");

    tcase_set_timeout(news, 60);
    tcase_add_checked_fixture(news, setup, teardown);
    tcase_add_test(news, test_one_descriptor_tells_of_many_regions);
    tcase_add_test(news, test_what_came_before_the_descriptor_is_not_lost);
    tcase_add_test(news, test_it_works_without_the_descriptor);
    tcase_add_test(news, test_a_new_region_of_the_name_is_the_end_of_the_old);
    tcase_add_test(news, test_a_reaped_region_is_news);
    tcase_add_loop_test(news, test_a_reaped_region_wakes_its_sleepers, 0, 2);
    tcase_add_test(news, test_handles_may_be_closed_while_they_are_reported);
    tcase_add_test(news, test_restarts_lose_nothing);
    tcase_add_test(news, test_a_region_that_is_gone_with_the_daemon_is_destroyed);
    tcase_add_test(news, test_threads_that_are_in_calls_are_not_disturbed);
    tcase_add_test(news, test_a_child_has_a_descriptor_of_its_own);
    tcase_add_test(news, test_libevent_can_wait_for_it);
    return sandbox_run("news", &news, 1);
}
