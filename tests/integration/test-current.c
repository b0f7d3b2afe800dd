/*
 * Current: a handle knows with one load whether its region has changed, and can sleep until it
 * does, through signals and through a restart of the daemon.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static struct test_daemon daemon_;
static shmreg_conn *conn;
static shmreg_region *region;

static void put(const char *text) {
    expect_ok(shmreg_put(conn, "region", text, strlen(text) + 1, 0644));
}

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    put("first");
    region = open_region(conn, "region", SHMREG_READ);
}

static void teardown(void) {
    shmreg_close(region);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

START_TEST(test_every_open_hears_of_it) {
    shmreg_region *other = open_region(conn, "region", SHMREG_READ);

    ck_assert_ptr_ne(region, other);
    ck_assert_ptr_eq(shmreg_data(region), shmreg_data(other));
    ck_assert(shmreg_is_current(region));
    ck_assert(shmreg_is_current(other));
    put("second");
    ck_assert(!shmreg_is_current(region));
    ck_assert(!shmreg_is_current(other));
    ck_assert_str_eq(shmreg_data(region), "first");
    shmreg_close(other);
    other = open_region(conn, "region", SHMREG_READ);
    ck_assert(shmreg_is_current(other));
    ck_assert(!shmreg_is_current(region));
    expect_ok(shmreg_destroy(conn, "region"));
    ck_assert(!shmreg_is_current(other));
    shmreg_close(other);
}
END_TEST

/* What describes a region changes, but not the region. */
START_TEST(test_attributes_and_rights_are_no_news) {
    expect_ok(shmreg_set_attributes(conn, "region", "{\"a\":1}"));
    expect_ok(shmreg_set_access(conn, "region", 0600, NULL));
    ck_assert(shmreg_is_current(region));
}
END_TEST

/* In this mode the kernel kills whoever asks for anything but read, write and exit. */
static void look(int channel, void *data) {
    ssize_t sent;

    (void)data;
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    sent = shmreg_is_current(region) ? write(channel, "", 1) : 0;
    syscall(SYS_exit, sent == 1 ? 0 : 1);
}

START_TEST(test_looking_is_no_system_call) {
    struct child child = child_start(USER(0), look, NULL);

    channel_hear(child.channel);
    child_kill(&child);
}
END_TEST

static void on_alarm(int number) {
    (void)number;
}

static void expect_timeout(int msec) {
    uint64_t since = monotonic_usec();

    expect_error(shmreg_wait(region, msec), -ETIMEDOUT, "'region'");
    ck_assert_uint_ge(monotonic_usec() - since, (uint64_t)msec * 1000);
    ck_assert_uint_le(monotonic_usec() - since, 5000000);
}

START_TEST(test_a_wait_ends_in_time) {
    struct itimerval every = {.it_value = {.tv_usec = 3000}, .it_interval = {.tv_usec = 3000}};
    struct sigaction action = {.sa_handler = on_alarm};

    expect_timeout(0);
    expect_timeout(50);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    expect_timeout(100);
    every = (struct itimerval){.it_value = {0}};
    setitimer(ITIMER_REAL, &every, NULL);
    put("second");
    expect_ok(shmreg_wait(region, 0));
    expect_ok(shmreg_wait(region, -1));
}
END_TEST

static bool sleeps_on_futex(void *data) {
    const struct child *child = data;
    _cleanup_fclose_ FILE *file = NULL;
    char path[64];
    long call = -1;

    snprintf(path, sizeof(path), "/proc/%d/syscall", (int)child->pid);
    file = fopen(path, "re");
    return file && fscanf(file, "%ld", &call) == 1 && call == SYS_futex;
}

/* A user of his own, who may read, with a connection of his own. */
static void wait_for_change(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *mine = open_region(own, "region", SHMREG_READ);

    (void)data;
    channel_say(channel);
    expect_ok(shmreg_wait(mine, -1));
    ck_assert(!shmreg_is_current(mine));
    shmreg_disconnect(own);
}

static struct child start_sleeper(void) {
    struct child child = child_start(USER(20001), wait_for_change, NULL);

    channel_hear(child.channel);
    wait_until(sleeps_on_futex, &child);
    return child;
}

START_TEST(test_a_change_wakes_every_sleeper) {
    struct child first = start_sleeper(), second = start_sleeper();

    if (_i == 0)
        put("second");
    else
        expect_ok(shmreg_destroy(conn, "region"));
    child_finish(&first);
    child_finish(&second);
}
END_TEST

START_TEST(test_a_sleeper_sleeps_through_a_restart) {
    struct child sleeper = start_sleeper();

    daemon_kill(&daemon_);
    ck_assert(shmreg_is_current(region));
    daemon_launch(&daemon_);
    ck_assert(exists(conn, "region"));
    ck_assert(shmreg_is_current(region));
    wait_until(sleeps_on_futex, &sleeper);
    put("second");
    ck_assert(!shmreg_is_current(region));
    child_finish(&sleeper);
}
END_TEST

/* Without its page, a daemon takes up with a new one, and all that was seen on the old one is worth
 * nothing. The old one says for ever what it said. */
START_TEST(test_a_page_that_was_lost) {
    shmreg_region *other = open_region(conn, "region", SHMREG_READ);
    char path[128];

    snprintf(path, sizeof(path), "%s/status", daemon_.runtime);
    daemon_kill(&daemon_);
    ck_assert_int_eq(unlink(path), 0);
    daemon_launch(&daemon_);
    ck_assert(exists(conn, "region"));
    ck_assert(!shmreg_is_current(region));
    expect_ok(shmreg_wait(region, -1));
    expect_ok(shmreg_refresh(region));
    ck_assert(shmreg_is_current(region));
    ck_assert(!shmreg_is_current(other));
    expect_ok(shmreg_refresh(other));
    put("second");
    ck_assert(!shmreg_is_current(region));
    ck_assert(!shmreg_is_current(other));
    shmreg_close(other);
}
END_TEST

static unsigned count_page_maps(void) {
    _cleanup_fclose_ FILE *file = fopen("/proc/self/maps", "re");
    char line[512], path[128];
    unsigned count = 0;

    ck_assert_ptr_nonnull(file);
    snprintf(path, sizeof(path), "%s/status", daemon_.runtime);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, path) != NULL;
    return count;
}

START_TEST(test_a_page_is_mapped_once) {
    for (unsigned i = 0; i < 3; i++) {
        daemon_kill(&daemon_);
        daemon_launch(&daemon_);
        ck_assert(exists(conn, "region"));
        ck_assert_uint_eq(count_page_maps(), 1);
    }
}
END_TEST

/* The child's connection is one of another user, to whom the daemon does not give the region. */
static void be_refused(int channel, void *data) {
    (void)channel;
    (void)data;
    ck_assert(shmreg_is_current(region));
    ck_assert(!exists(conn, "nothing"));
    ck_assert(!shmreg_is_current(region));
    expect_ok(shmreg_wait(region, -1));
    expect_error(shmreg_refresh(region), -EACCES, "user 20002");
    ck_assert_str_eq(shmreg_data(region), "first");
}

START_TEST(test_what_the_daemon_refuses_is_not_current) {
    expect_ok(shmreg_set_access(conn, "region", 0600, NULL));
    run_as(USER(20002), be_refused, NULL);
    ck_assert(shmreg_is_current(region));
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("current");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 40);
    tcase_add_test(cases, test_every_open_hears_of_it);
    tcase_add_test(cases, test_attributes_and_rights_are_no_news);
    tcase_add_test(cases, test_looking_is_no_system_call);
    tcase_add_test(cases, test_a_wait_ends_in_time);
    tcase_add_loop_test(cases, test_a_change_wakes_every_sleeper, 0, 2);
    tcase_add_test(cases, test_a_sleeper_sleeps_through_a_restart);
    tcase_add_test(cases, test_a_page_that_was_lost);
    tcase_add_test(cases, test_a_page_is_mapped_once);
    tcase_add_test(cases, test_what_the_daemon_refuses_is_not_current);
    return sandbox_run("current", &cases, 1);
}
