/*
 * Idle: a daemon that nobody asks anything does not wake up at all, whoever is connected and
 * whatever it watches.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define IDLE_MSEC 2000

/* How short of memory this host is, which may wake a daemon, is none of this test's business. */
static const char config[] = "{\"memory_pressure\":{\"watch\":false}}";

static struct test_daemon daemon_;

static void hold_everything(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    (void)data;
    expect_ok(
        shmreg_create(conn, "attached", 1, SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED), &region));
    expect_ok(shmreg_create(conn, "owner", 1, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER), &region));
    create_region(conn, "lease", 1, SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 100));
    create_region(conn, "memfd", 1, SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
    create_region(conn, "file", 1, SHMREG_OPTIONS(.backing = SHMREG_FILE));
    exists(conn, "attached");
    channel_say(channel);
    pause();
}

static void expect_no_wakeup(void) {
    uint64_t before;

    /* The last answer may have been read before the daemon went to sleep. */
    poll(NULL, 0, 100);
    before = daemon_wakeups(&daemon_);
    poll(NULL, 0, IDLE_MSEC);
    ck_assert_uint_eq(daemon_wakeups(&daemon_) - before, 0);
}

START_TEST(test_it_sleeps) {
    shmreg_conn *conn;
    struct child holder;
    uint64_t before;

    daemon_start_with(&daemon_, config);
    conn = connect_to(&daemon_);
    holder = child_start(USER(20001), hold_everything, NULL);
    channel_hear(holder.channel);
    expect_no_wakeup();
    /* The measure is good: a single question shows. */
    before = daemon_wakeups(&daemon_);
    ck_assert(exists(conn, "attached"));
    ck_assert_uint_gt(daemon_wakeups(&daemon_), before);
    child_kill(&holder);
    wait_gone(conn, "attached");
    wait_gone(conn, "owner");
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

START_TEST(test_it_sleeps_after_a_restart) {
    struct child holder;

    daemon_start_with(&daemon_, config);
    holder = child_start(USER(20001), hold_everything, NULL);
    channel_hear(holder.channel);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    expect_no_wakeup();
    child_kill(&holder);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *idle = tcase_create("idle");

    tcase_set_timeout(idle, 30);
    tcase_add_test(idle, test_it_sleeps);
    tcase_add_test(idle, test_it_sleeps_after_a_restart);
    return sandbox_run("idle", &idle, 1);
}
