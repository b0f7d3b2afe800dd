/*
 * How long a change takes to reach a sleeping reader.
 *
 * The wake-up alone: from the moment before the word is changed until the sleeper, another process
 * on another processor, runs again and has read the clock. Bare: a store to a word in shared memory,
 * FUTEX_WAKE; a loop of FUTEX_WAIT without a time limit. shmregd: status_slot_change(), by which the
 * daemon makes every change known, called on the very status page of a running daemon by a process
 * of the daemon's user; shmreg_wait() in the reader.
 *
 * A real publish, of a stage that is filled already: from the moment at which the daemon makes it
 * (the time it records with the new version, in microseconds) until the sleeper runs, which has the
 * record of the change and the wake-up in it; and from the call of shmreg_publish(), which has the
 * way to the daemon, too. Both against the bare wake-up.
 *
 * The whole way of a value: from the moment before a put until the sleeper runs. Bare: the value goes over a
 * socket to a process that copies it, changes a word, wakes its sleepers, and answers; it records
 * nothing and checks nobody's rights, which is the difference.
 *
 * Ways take turns, round by round. Before each change the sleeper has a tenth of a millisecond to
 * fall asleep, which is not measured.
 */
#include "daemon/ground/status.h"
#include "tests/bench/measure.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIZE 4096u
#define FALL_ASLEEP_NSEC 100000u
#define FIRST_SLOT 0u /* of the first region of a new daemon */
#define PATIENCE_MSEC 20000

/* What the sleeper and who wakes it share. */
struct shared {
    _Atomic uint32_t rounds; /* the sleeper is about to sleep for that many times */
    _Atomic uint32_t word;
    _Atomic uint64_t start_nsec;
    char value[SIZE];
};

static struct test_daemon daemon_;
static shmreg_conn *conn;
static shmreg_region *region;
static struct shared *shared;

static void setup(void) {
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    daemon_start(&daemon_);
    pin(daemon_.pid, 0);
    conn = connect_to(&daemon_);
    create_region(conn, "value", SIZE, SHMREG_OPTIONS(.mode = 0666));
    region = open_region(conn, "value", SHMREG_READ);
    pin(0, count_processors() - 1);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
    munmap(shared, sizeof(*shared));
}

/* The other side of sleep_bare() and sleep_in_library(): until the sleeper sleeps for the @round. */
static void let_it_fall_asleep(uint32_t round) {
    uint64_t now;

    while (shared->rounds != round)
        sched_yield();
    now = now_nsec();
    while (now_nsec() - now < FALL_ASLEEP_NSEC)
        ;
    shared->start_nsec = now_nsec();
}

static void wake_bare(void) {
    shared->word++;
    syscall(SYS_futex, &shared->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void sleep_bare(struct series *series) {
    uint32_t seen = shared->word;

    shared->rounds++;
    while (shared->word == seen)
        syscall(SYS_futex, &shared->word, FUTEX_WAIT, seen, NULL, NULL, 0);
    series_add(series, now_nsec() - shared->start_nsec, 1);
}

static void sleep_in_library(struct series *series) {
    shared->rounds++;
    must(shmreg_wait(region, PATIENCE_MSEC) == 0);
    series_add(series, now_nsec() - shared->start_nsec, 1);
    must(shmreg_refresh(region) == 0);
    shmreg_drop_old(region);
}

/* As the daemon does it, in its stead. */
static void change_slot(struct status_page *page) {
    status_slot_change(page, FIRST_SLOT, status_slot_version(page, FIRST_SLOT) + 1,
                       status_slot_flags(page, FIRST_SLOT));
}

static void wake_by_slot(int channel, void *data) {
    struct status_page *page;

    (void)channel;
    (void)data;
    pin(0, 0);
    ck_assert_int_eq(status_page_open(daemon_.runtime, &page, &(struct error){0}), 0);
    for (uint32_t round = 0; round < 2 * measure_rounds();) {
        let_it_fall_asleep(++round);
        wake_bare();
        let_it_fall_asleep(++round);
        change_slot(page);
    }
    status_page_close(page);
}

START_TEST(wake_up_alone) {
    static struct series bare = {.name = "bare"}, ours = {.name = "shmregd"};
    struct child waker;

    setup();
    waker = child_start(USER(DAEMON_UID), wake_by_slot, NULL);
    for (unsigned i = measure_rounds(); i > 0; i--) {
        sleep_bare(&bare);
        sleep_in_library(&ours);
    }
    child_finish(&waker);
    print_ratio("word changed to reader awake", &bare, &ours);
    teardown();
}
END_TEST

static void serve_bare(int channel, void *data) {
    char value[SIZE];
    ssize_t size;

    (void)data;
    pin(0, 0);
    while ((size = read(channel, value, sizeof(value))) > 0) {
        memcpy(shared->value, value, (size_t)size);
        wake_bare();
        must(write(channel, value, 1) == 1);
    }
}

static void put_both_ways(int channel, void *data) {
    static char value[SIZE] = "value";
    int server = *(int *)data;
    shmreg_conn *own = connect_to(&daemon_);

    (void)channel;
    pin(0, 0);
    for (uint32_t round = 0; round < 2 * measure_rounds();) {
        let_it_fall_asleep(++round);
        must(write(server, value, SIZE) == SIZE && read(server, value, 1) == 1);
        let_it_fall_asleep(++round);
        must(shmreg_put(own, "value", value, SIZE, SHMREG_MODE_DEFAULT) == 0);
    }
    shmreg_disconnect(own);
}

START_TEST(put_to_reader) {
    static struct series bare = {.name = "bare"}, ours = {.name = "shmregd"};
    struct child server, publisher;

    setup();
    server = child_start(USER(20001), serve_bare, NULL);
    publisher = child_start(USER(20002), put_both_ways, &server.channel);
    for (unsigned i = measure_rounds(); i > 0; i--) {
        sleep_bare(&bare);
        sleep_in_library(&ours);
    }
    child_finish(&publisher);
    shutdown(server.channel, SHUT_RDWR);
    child_finish(&server);
    print_ratio("put to reader awake, 4 KiB", &bare, &ours);
    teardown();
}
END_TEST

static void publish_in_turn(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *stage;

    (void)channel;
    (void)data;
    pin(0, 0);
    for (uint32_t round = 0; round < 2 * measure_rounds();) {
        must(shmreg_stage(own, "value", SIZE, NULL, &stage) == 0);
        memset(shmreg_data(stage), (int)round, SIZE);
        let_it_fall_asleep(++round);
        wake_bare();
        let_it_fall_asleep(++round);
        must(shmreg_publish(stage, 0, NULL) == 0);
        shmreg_close(stage);
    }
    shmreg_disconnect(own);
}

/* How long ago the daemon made the version that is current now. */
static uint64_t nsec_since_change(uint64_t realtime_nsec) {
    struct shmreg_description *description;
    uint64_t changed_nsec;

    must(shmreg_describe(conn, "value", &description) == 0);
    changed_nsec = (uint64_t)description->changed_usec * 1000;
    shmreg_description_free(description);
    return realtime_nsec > changed_nsec ? realtime_nsec - changed_nsec : 0;
}

static void sleep_until_published(struct series *from_change, struct series *from_call) {
    struct timespec realtime;

    shared->rounds++;
    must(shmreg_wait(region, PATIENCE_MSEC) == 0);
    clock_gettime(CLOCK_REALTIME, &realtime);
    series_add(from_call, now_nsec() - shared->start_nsec, 1);
    series_add(
        from_change,
        nsec_since_change((uint64_t)realtime.tv_sec * 1000000000u + (uint64_t)realtime.tv_nsec), 1);
    must(shmreg_refresh(region) == 0);
    shmreg_drop_old(region);
}

START_TEST(publish_to_reader) {
    static struct series bare = {.name = "bare"}, from_change = {.name = "shmregd"},
                         from_call = {.name = "shmregd"};
    struct child publisher;

    setup();
    publisher = child_start(USER(20002), publish_in_turn, NULL);
    for (unsigned i = measure_rounds(); i > 0; i--) {
        sleep_bare(&bare);
        sleep_until_published(&from_change, &from_call);
    }
    child_finish(&publisher);
    print_ratio("published to reader awake", &bare, &from_change);
    print_ratio("call of publish to reader awake", &bare, &from_call);
    teardown();
}
END_TEST

int main(void) {
    TCase *wake = tcase_create("wake");

    tcase_set_timeout(wake, 300);
    tcase_add_test(wake, wake_up_alone);
    tcase_add_test(wake, put_to_reader);
    tcase_add_test(wake, publish_to_reader);
    return sandbox_run("bench-wake", &wake, 1);
}
