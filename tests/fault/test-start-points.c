/*
 * Start points: the daemon's own start, on a state in which there is something to do. Regions of all
 * backings are held and read; a client has died that held regions and filled stages; a segment has
 * no record. The start is killed before or after one of its system calls, or one of them fails: then
 * it gives up with a message, or goes on. Either way the next that is ready has everything that was
 * answered, and nothing is left over. With SHMREG_TEST_LONG, at each point in turn.
 */
#include "proto/cleanup.h"
#include "tests/fault/balance.h"
#include "tests/fault/trace.h"
#include "tests/support/child.h"
#include "tests/support/fsck.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/service-manager.h"
#include "tests/support/wait.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 5000
#define POINTS_MAX 2000
#define STRIDE 61
#define CLIENT_UID 20001
#define NAME_LENGTH 32

static const uint32_t backings[] = {SHMREG_SHM, SHMREG_FILE, SHMREG_MEMFD};
static const int errors[] = {ENOSPC, EMFILE, ENFILE, ENOMEM, EIO, EINTR, EAGAIN};

/* What is told when the process that ran the test is gone. */
static struct tally { unsigned rounds, given_up, last; } * killed, *failed;

static struct test_daemon daemon_;
static struct service_manager manager;
static shmreg_conn *conn;
static shmreg_region *held[ARRAY_SIZE(backings)], *stage;
static unsigned descriptors, stored;
static struct balance whole;

static void name_kept(char ret[static NAME_LENGTH], unsigned i) {
    snprintf(ret, NAME_LENGTH, "kept/%u", i);
}

static void setup(void) {
    daemon_prepare(&daemon_, "{}");
    service_manager_start(&manager, daemon_.root);
    daemon_.manager = &manager;
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    for (unsigned i = 0; i < ARRAY_SIZE(backings); i++) {
        char name[NAME_LENGTH];

        name_kept(name, i);
        expect_ok(
            shmreg_create(conn, name, SIZE, SHMREG_OPTIONS(.backing = backings[i]), &held[i]));
        fill(shmreg_data(held[i]), SIZE, i);
    }
    expect_ok(shmreg_stage(conn, "staged", SIZE, NULL, &stage));
    fill(shmreg_data(stage), SIZE, 9);
    balance_read(&daemon_, &whole);
    descriptors = settled_descriptors(&daemon_, conn);
    service_manager_settle(&manager);
    stored = manager.n_stored;
}

/* What was staged before all the starts is published after them. */
static void teardown(void) {
    static char value[SHMREG_VALUE_MAX];
    size_t size;

    expect_ok(shmreg_publish(stage, 0, NULL));
    expect_ok(shmreg_get(conn, "staged", value, sizeof(value), &size));
    ck_assert(size == SIZE && is_filled(value, SIZE, 9));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
    expect_sound(&daemon_);
    service_manager_stop(&manager);
}

/* Holds regions that end with it, and fills stages. */
static void hold(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    char name[NAME_LENGTH];
    shmreg_region *region;

    (void)data;
    for (unsigned i = 0; i < ARRAY_SIZE(backings); i++) {
        snprintf(name, sizeof(name), "held/%u", i);
        expect_ok(shmreg_create(own, name, SIZE,
                                SHMREG_OPTIONS(.backing = backings[i], .lifetime = SHMREG_ATTACHED),
                                &region));
        snprintf(name, sizeof(name), "unfinished/%u", i);
        expect_ok(shmreg_stage(own, name, SIZE, SHMREG_OPTIONS(.backing = backings[i]), &region));
    }
    channel_say(channel);
    channel_hear(channel);
}

/* As a daemon leaves it that is killed between a segment and its record. */
static void leave_segment(void) {
    _cleanup_closedir_ DIR *directory = opendir("/dev/shm");
    const struct dirent *entry;
    char path[300] = "";
    unsigned long instance;
    int fd;

    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)))
        if (sscanf(entry->d_name, "shmreg.%lx.", &instance) == 1)
            snprintf(path, sizeof(path), "/dev/shm/shmreg.%.*s.999999.1",
                     (int)strcspn(entry->d_name + 7, "."), entry->d_name + 7);
    fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_msg(fd >= 0, "cannot make %s: %s", path, strerror(errno));
    ck_assert_int_eq(fchown(fd, DAEMON_UID, DAEMON_UID), 0);
    close(fd);
}

/* All that a start has to put in order. */
static void disturb(void) {
    struct child holder = child_start(USER(CLIENT_UID), hold, NULL);

    channel_hear(holder.channel);
    daemon_kill(&daemon_);
    child_kill(&holder);
    leave_segment();
}

static bool is_whole(void *data) {
    struct balance now;

    (void)data;
    balance_read(&daemon_, &now);
    service_manager_settle(&manager);
    return memcmp(&now, &whole, sizeof(now)) == 0 && manager.n_stored == stored &&
           daemon_segments(&daemon_) == (int)ARRAY_SIZE(backings) &&
           settled_descriptors(&daemon_, conn) <= descriptors;
}

/* Of the daemon that runs; then of its directories. It is down afterwards. */
static void expect_whole(void) {
    static char value[SHMREG_VALUE_MAX];
    char name[NAME_LENGTH];
    size_t size;

    for (unsigned i = 0; i < ARRAY_SIZE(backings); i++) {
        name_kept(name, i);
        expect_ok(shmreg_get(conn, name, value, sizeof(value), &size));
        ck_assert_msg(size == SIZE && is_filled(value, SIZE, i), "%s is damaged", name);
        ck_assert(is_filled(shmreg_data(held[i]), SIZE, i));
        ck_assert_uint_eq(count_readers(conn, name) + count_writers(conn, name), 1);
    }
    wait_until(is_whole, NULL);
    daemon_stop(&daemon_);
    expect_sound(&daemon_);
}

/* Starts it, held at the first call of its own: what comes before is the dynamic linker's. */
static void start_traced(struct trace *ret) {
    struct trace_point point;

    daemon_launch_held(&daemon_);
    trace_start(ret, daemon_.pid);
    ck_assert_int_eq(kill(daemon_.pid, SIGCONT), 0);
    do
        trace_next(ret, &point);
    while (!point.entry || point.call != SYS_umask);
}

/* Kills the start at that point. Returns whether there are further points. */
static bool kill_at(unsigned number) {
    struct trace_point point;
    struct trace trace;
    bool ready = false;

    start_traced(&trace);
    for (unsigned i = 0; i < number && !ready; i++) {
        trace_next(&trace, &point);
        ready = trace_waits(&trace, &point);
    }
    trace_kill(&trace);
    daemon_launch(&daemon_);
    return !ready;
}

static void inject(struct trace *trace, const struct trace_point *point, unsigned error) {
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        int candidate = errors[(error + i) % ARRAY_SIZE(errors)];

        if (trace_can_fail(point, candidate)) {
            trace_fail(trace, point, candidate);
            return;
        }
    }
}

/* Whether it is up, or has given up; it is reaped then. */
static bool is_decided(void *data) {
    bool *up = data;

    *up = daemon_has_logged(&daemon_, " started in ");
    return *up || !daemon_is_alive(&daemon_);
}

/* One that is up is killed: the next start makes up for what this one could not do. */
static void end_start(void) {
    bool up;

    wait_until(is_decided, &up);
    if (up) {
        daemon_kill(&daemon_);
    } else {
        failed->given_up++;
        ck_assert(daemon_has_logged(&daemon_, "error: "));
    }
    daemon_launch(&daemon_);
}

/* Has that call of the start fail. Returns whether there was such a call. */
static bool fail_at(unsigned number, unsigned error) {
    struct trace_point point;
    struct trace trace;
    unsigned calls = 0;
    bool hit = false;

    ck_assert_int_eq(truncate(daemon_.log, 0), 0);
    start_traced(&trace);
    do {
        trace_next(&trace, &point);
        hit = point.entry && calls++ == number;
    } while (!hit && !trace_waits(&trace, &point));
    if (hit)
        inject(&trace, &point, error);
    trace_end(&trace);
    end_start();
    return hit;
}

static bool is_long(void) {
    return getenv("SHMREG_TEST_LONG") != NULL;
}

/* Where a short run begins: another point with each run, or SHMREG_TEST_SEED. */
static unsigned first_point(void) {
    const char *given = getenv("SHMREG_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : monotonic_usec();

    return is_long() ? 0 : (unsigned)(seed % STRIDE);
}

START_TEST(test_killed_at_its_start) {
    bool more = true;

    for (unsigned i = first_point(); more; i += is_long() ? 1 : STRIDE) {
        ck_assert_uint_lt(i, POINTS_MAX);
        killed->last = i;
        disturb();
        more = kill_at(i);
        expect_whole();
        daemon_launch(&daemon_);
        killed->rounds++;
    }
    ck_assert_uint_gt(killed->rounds, 3);
}
END_TEST

START_TEST(test_a_call_of_its_start_fails) {
    unsigned n_errors = is_long() ? ARRAY_SIZE(errors) : 1;
    bool more = true;

    for (unsigned i = first_point(); more; i += is_long() ? 1 : STRIDE)
        for (unsigned k = 0; k < n_errors && more; k++) {
            ck_assert_uint_lt(i, POINTS_MAX);
            failed->last = i;
            disturb();
            more = fail_at(i, i + k);
            expect_whole();
            daemon_launch(&daemon_);
            failed->rounds++;
        }
    ck_assert_uint_gt(failed->rounds, 3);
}
END_TEST

int main(void) {
    TCase *points = tcase_create("start-points");
    int status;

    killed =
        mmap(NULL, 2 * sizeof(*killed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (killed == MAP_FAILED)
        return 1;
    failed = killed + 1;
    tcase_set_timeout(points, 1200);
    tcase_add_checked_fixture(points, setup, teardown);
    tcase_add_test(points, test_killed_at_its_start);
    tcase_add_test(points, test_a_call_of_its_start_fails);
    status = sandbox_run("start-points", &points, 1);
    printf("starts killed: %u, the last at point %u\n", killed->rounds, killed->last);
    printf("starts with an error: %u, %u gave up, the last at call %u\n", failed->rounds,
           failed->given_up, failed->last);
    return status;
}
