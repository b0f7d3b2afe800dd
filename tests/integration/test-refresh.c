/*
 * Refresh: a handle is moved to what its name leads to now, and keeps what it led to for as long as
 * its owner wants.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define THREADS 4
#define ROUNDS 300

static struct test_daemon daemon_;
static shmreg_conn *conn;
static shmreg_region *region;

static void put(const char *text) {
    expect_ok(shmreg_put(conn, "region", text, strlen(text) + 1, 0666));
}

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    put("first");
    region = open_region(conn, "region", SHMREG_READ);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static bool is_mapped(void *data) {
    unsigned char there;

    return mincore(data, 1, &there) == 0;
}

START_TEST(test_old_versions_stay_until_they_are_dropped) {
    char *first = shmreg_data(region), *second;

    put("second");
    expect_ok(shmreg_refresh(region));
    second = shmreg_data(region);
    put("third");
    expect_ok(shmreg_refresh(region));
    ck_assert(shmreg_is_current(region));
    ck_assert_uint_eq(shmreg_version(region), 3);
    ck_assert_str_eq(first, "first");
    ck_assert_str_eq(second, "second");
    ck_assert_str_eq(shmreg_data(region), "third");
    ck_assert_uint_eq(count_readers(conn, "region"), 3);

    shmreg_drop_old(region);
    ck_assert(!is_mapped(first));
    ck_assert(!is_mapped(second));
    ck_assert_str_eq(shmreg_data(region), "third");
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    shmreg_drop_old(region);
    shmreg_close(region);
    ck_assert_uint_eq(count_readers(conn, "region"), 0);
}
END_TEST

START_TEST(test_a_close_drops_them_too) {
    char *first = shmreg_data(region);

    put("second");
    expect_ok(shmreg_refresh(region));
    shmreg_close(region);
    ck_assert(!is_mapped(first));
    ck_assert_uint_eq(count_readers(conn, "region"), 0);
}
END_TEST

/* Each handle is moved for itself, and what others have found needs no question. */
START_TEST(test_handles_are_moved_one_by_one) {
    shmreg_region *other = open_region(conn, "region", SHMREG_READ);
    char *first = shmreg_data(region);

    put("second");
    expect_ok(shmreg_refresh(region));
    shmreg_drop_old(region);
    ck_assert_str_eq(first, "first");
    ck_assert_ptr_eq(shmreg_data(other), first);
    ck_assert_uint_eq(shmreg_version(other), 1);
    daemon_kill(&daemon_);
    expect_ok(shmreg_refresh(other));
    expect_ok(shmreg_refresh(region));
    ck_assert_ptr_eq(shmreg_data(other), shmreg_data(region));
    shmreg_close(region);
    ck_assert_str_eq(shmreg_data(other), "second");
    daemon_launch(&daemon_);
    ck_assert_uint_eq(count_readers(conn, "region"), 2);
    shmreg_drop_old(other);
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
}
END_TEST

START_TEST(test_it_follows_the_name) {
    expect_ok(shmreg_destroy(conn, "region"));
    expect_error(shmreg_refresh(region), -ENOENT, "'region'");
    ck_assert_str_eq(shmreg_data(region), "first");
    ck_assert(!shmreg_is_current(region));
    put("anew");
    expect_ok(shmreg_refresh(region));
    ck_assert(shmreg_is_current(region));
    ck_assert_uint_eq(shmreg_version(region), 1);
    ck_assert_str_eq(shmreg_data(region), "anew");
}
END_TEST

static void lose_the_right(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *mine = open_region(own, "region", SHMREG_READ);

    (void)data;
    channel_say(channel);
    channel_hear(channel);
    expect_error(shmreg_refresh(mine), -EACCES, "lacks the right 'r'");
    ck_assert(!shmreg_is_current(mine));
    ck_assert_uint_eq(shmreg_version(mine), 1);
    ck_assert_str_eq(shmreg_data(mine), "first");
    shmreg_disconnect(own);
}

START_TEST(test_one_that_is_refused_stays) {
    struct child child = child_start(USER(20001), lose_the_right, NULL);

    channel_hear(child.channel);
    expect_ok(shmreg_set_access(conn, "region", 0600, NULL));
    put("second");
    channel_say(child.channel);
    child_finish(&child);
}
END_TEST

START_TEST(test_after_a_restart) {
    put("second");
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    expect_ok(shmreg_refresh(region));
    ck_assert_str_eq(shmreg_data(region), "second");
    ck_assert_uint_eq(shmreg_version(region), 2);
    put("third");
    ck_assert(!shmreg_is_current(region));
}
END_TEST

static void use_what_was_inherited(int channel, void *data) {
    (void)channel;
    (void)data;
    put("second");
    ck_assert(!shmreg_is_current(region));
    expect_ok(shmreg_refresh(region));
    ck_assert_str_eq(shmreg_data(region), "second");
    shmreg_close(region);
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
    shmreg_disconnect(conn);
}

START_TEST(test_a_child_and_its_parent_are_moved_each_for_itself) {
    run_as(USER(0), use_what_was_inherited, NULL);
    ck_assert(!shmreg_is_current(region));
    ck_assert_str_eq(shmreg_data(region), "first");
    expect_ok(shmreg_refresh(region));
    ck_assert_str_eq(shmreg_data(region), "second");
}
END_TEST

static _Atomic bool done;

/* Content is the number of its version, so a handle that goes back shows. */
static void *follow(void *data) {
    uintptr_t failures = 0;
    unsigned last = 0;

    while (!done) {
        unsigned number;

        failures += shmreg_wait(data, -1) != 0 || shmreg_refresh(data) != 0;
        number = *(const unsigned *)shmreg_data(data);
        failures += number < last;
        last = number;
    }
    return (void *)failures;
}

START_TEST(test_threads_follow_one_handle) {
    pthread_t threads[THREADS];
    uintptr_t failures = 0;
    unsigned number = 1;

    expect_ok(shmreg_put(conn, "region", &number, sizeof(number), SHMREG_MODE_DEFAULT));
    expect_ok(shmreg_refresh(region));
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, follow, region), 0);
    while (number++ < ROUNDS) {
        if (number == ROUNDS)
            done = true;
        expect_ok(shmreg_put(conn, "region", &number, sizeof(number), SHMREG_MODE_DEFAULT));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        failures += (uintptr_t)result;
    }
    ck_assert_uint_eq(failures, 0);
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(*(const unsigned *)shmreg_data(region), ROUNDS);
    shmreg_drop_old(region);
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("refresh");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, test_old_versions_stay_until_they_are_dropped);
    tcase_add_test(cases, test_a_close_drops_them_too);
    tcase_add_test(cases, test_handles_are_moved_one_by_one);
    tcase_add_test(cases, test_it_follows_the_name);
    tcase_add_test(cases, test_one_that_is_refused_stays);
    tcase_add_test(cases, test_after_a_restart);
    tcase_add_test(cases, test_a_child_and_its_parent_are_moved_each_for_itself);
    tcase_add_test(cases, test_threads_follow_one_handle);
    return sandbox_run("refresh", &cases, 1);
}
