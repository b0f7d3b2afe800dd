/*
 * Durability through the library: what a region may ask for, and flushing; an idle daemon stays
 * idle.
 */
#include "proto/cleanup.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#define SIZE 20000u

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

START_TEST(test_flush) {
    shmreg_region *region, *reader;

    expect_ok(shmreg_create(conn, "file", SIZE, SHMREG_OPTIONS(.backing = SHMREG_FILE), &region));
    fill(shmreg_data(region), SIZE, 1);
    expect_ok(shmreg_flush(region, 0, SIZE));
    expect_ok(shmreg_flush(region, 4097, 1));
    expect_ok(shmreg_flush(region, SIZE, 0));
    expect_error(shmreg_flush(region, 1, SIZE), -EINVAL, "20000");
    expect_error(shmreg_flush(region, UINT64_MAX, 2), -EINVAL, "20000");
    reader = open_region(conn, "file", SHMREG_READ);
    expect_error(shmreg_flush(reader, 0, 1), -EBADF, "reading");
    shmreg_close(reader);
    shmreg_close(region);
}
END_TEST

START_TEST(test_nothing_to_flush_to) {
    shmreg_region *region;

    expect_ok(
        shmreg_create(conn, "memory", SIZE, SHMREG_OPTIONS(.backing = (uint32_t)_i), &region));
    expect_error(shmreg_flush(region, 0, 1), -EOPNOTSUPP, "file");
    shmreg_close(region);
}
END_TEST

static void expect_durability(const char *name, uint32_t durability, uint32_t seconds) {
    struct shmreg_description *description;

    expect_ok(shmreg_describe(conn, name, &description));
    ck_assert_uint_eq(description->durability, durability);
    ck_assert_uint_eq(description->durability_seconds, seconds);
    shmreg_description_free(description);
}

START_TEST(test_what_is_asked_for_is_kept) {
    create_region(conn, "shm", SIZE, NULL);
    create_region(conn, "file", SIZE, SHMREG_OPTIONS(.backing = SHMREG_FILE));
    create_region(conn, "none", SIZE,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .durability = SHMREG_DURABILITY_NONE));
    create_region(conn, "interval", SIZE,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .durability = SHMREG_DURABILITY_INTERVAL,
                                 .durability_seconds = 60));
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    expect_durability("shm", SHMREG_DURABILITY_NONE, 0);
    expect_durability("file", SHMREG_DURABILITY_PUBLISH, 0);
    expect_durability("none", SHMREG_DURABILITY_NONE, 0);
    expect_durability("interval", SHMREG_DURABILITY_INTERVAL, 60);
    expect_error(shmreg_create(conn, "wrong", SIZE,
                               SHMREG_OPTIONS(.durability = SHMREG_DURABILITY_PUBLISH), NULL),
                 -EINVAL, "file");
}
END_TEST

static bool has_slept(void *data) {
    uint64_t before = daemon_wakeups(&daemon_);

    (void)data;
    return !is_readable_within(*(int *)data, 1500) && daemon_wakeups(&daemon_) == before;
}

/* It syncs while there are writers, and sleeps when there is none. */
START_TEST(test_no_writer_no_wakeup) {
    _cleanup_close_ int quiet = raw_greet(daemon_.socket);
    shmreg_region *region;
    uint64_t wakeups;

    expect_ok(shmreg_create(conn, "file", SIZE,
                            SHMREG_OPTIONS(.backing = SHMREG_FILE,
                                           .durability = SHMREG_DURABILITY_INTERVAL,
                                           .durability_seconds = 1),
                            &region));
    wakeups = daemon_wakeups(&daemon_);
    ck_assert(!is_readable_within(quiet, 1500));
    ck_assert_uint_gt(daemon_wakeups(&daemon_), wakeups);
    shmreg_close(region);
    wait_until(has_slept, &quiet);
}
END_TEST

int main(void) {
    TCase *durability = tcase_create("durability");

    tcase_add_checked_fixture(durability, setup, teardown);
    tcase_set_timeout(durability, 30);
    tcase_add_test(durability, test_flush);
    tcase_add_loop_test(durability, test_nothing_to_flush_to, SHMREG_SHM, SHMREG_MEMFD + 1);
    tcase_add_test(durability, test_what_is_asked_for_is_kept);
    tcase_add_test(durability, test_no_writer_no_wakeup);
    return sandbox_run("durability", &durability, 1);
}
