/*
 * How long after SIGKILL a dead owner's region is gone: from kill(2) until its segment has left
 * /dev/shm, which inotify(7) tells.
 */
#include "tests/bench/measure.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_ROUNDS_MAX 400u

static struct test_daemon daemon_;

static void own_region(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    (void)data;
    expect_ok(
        shmreg_create(conn, "owned", 4096, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER), &region));
    channel_say(channel);
    pause();
}

START_TEST(reap) {
    static struct series reaped = {.name = "reaped"};
    unsigned rounds = measure_rounds() < REAP_ROUNDS_MAX ? measure_rounds() : REAP_ROUNDS_MAX;
    char events[4096];
    int watcher;

    daemon_start(&daemon_);
    watcher = inotify_init1(IN_CLOEXEC);
    ck_assert_int_ge(watcher, 0);
    ck_assert_int_ge(inotify_add_watch(watcher, "/dev/shm", IN_DELETE), 0);
    for (unsigned i = 0; i < rounds; i++) {
        struct child owner = child_start(USER(20001), own_region, NULL);
        uint64_t start;

        channel_hear(owner.channel);
        start = now_nsec();
        must(kill(owner.pid, SIGKILL) == 0);
        wait_readable(watcher);
        series_add(&reaped, now_nsec() - start, 1);
        ck_assert_int_gt(read(watcher, events, sizeof(events)), 0);
        ck_assert_int_eq(waitpid(owner.pid, NULL, 0), owner.pid);
        close(owner.channel);
    }
    print_spread("kill to reap", &reaped);
    close(watcher);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("reap");

    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, reap);
    return sandbox_run("bench-reap", &tcase, 1);
}
