/*
 * Stress: four writers publish versions with a checksum over all of each, eight readers of other
 * users verify what they have mapped, and processes are killed at random, the daemon among them.
 * No reader sees a mixture, nobody an error that is not documented, and when all have ended nothing
 * is left over. A few seconds of it; two minutes with SHMREG_TEST_LONG=1.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "stress/data"
#define WRITERS 4u
#define READERS 8u
#define WORKERS (WRITERS + READERS)
#define SECONDS 5u
#define SECONDS_LONG 120u
#define WORDS_MIN 512u   /* 4 KiB */
#define WORDS_MAX 65536u /* 512 KiB */
#define PAUSE_MSEC 10    /* between two kills, on average */
#define DAEMON_TURN 64   /* of so many kills, one is of the daemon */

/* What a version is: the words after the head follow from the seed, and the sum is over all. */
struct content {
    uint64_t sum;
    uint64_t seed;
    uint64_t n_words;
    uint64_t words[];
};

/* What the workers have done, in memory that they share with the test. */
struct counts {
    _Atomic bool stop;
    _Atomic uint64_t published, lost, abandoned, verified, refreshed;
};

static struct test_daemon daemon_;
static struct counts *counts;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t checksum(const struct content *content) {
    uint64_t sum = content->seed ^ content->n_words;

    for (uint64_t i = 0; i < content->n_words; i++)
        sum = (sum ^ content->words[i]) * UINT64_C(1099511628211);
    return sum;
}

static size_t size_of(uint64_t n_words) {
    return sizeof(struct content) + n_words * sizeof(uint64_t);
}

static void fill_content(struct content *content, uint64_t n_words, uint64_t seed) {
    content->seed = seed;
    content->n_words = n_words;
    for (uint64_t i = 0; i < n_words; i++)
        content->words[i] = next_random(&seed);
    content->sum = checksum(content);
}

static void verify(const shmreg_region *region) {
    const struct content *content = shmreg_data(region);

    ck_assert_msg(shmreg_size(region) == size_of(content->n_words) &&
                      content->sum == checksum(content),
                  "version %u is a mixture", shmreg_version(region));
    counts->verified++;
}

/* One version: published in place of the one before, or of whatever is there; or given up. */
static void write_one(shmreg_conn *conn, uint64_t *random) {
    uint64_t n_words = WORDS_MIN + next_random(random) % (WORDS_MAX - WORDS_MIN);
    shmreg_region *now = open_region(conn, NAME, SHMREG_READ), *next = NULL;
    int r;

    verify(now);
    expect_ok(shmreg_stage(conn, NAME, size_of(n_words),
                           SHMREG_OPTIONS(.max_size = size_of(n_words)), &next));
    fill_content(shmreg_data(next), n_words, next_random(random) | 1);
    if (next_random(random) % 8 == 0) {
        counts->abandoned++;
    } else {
        r = shmreg_publish(next, next_random(random) % 2 ? shmreg_version(now) : 0, NULL);
        ck_assert_msg(r == 0 || r == -ESTALE, "publish: %d: %s", r, shmreg_error_message());
        ++*(r == 0 ? &counts->published : &counts->lost);
    }
    shmreg_close(next);
    shmreg_close(now);
}

static bool is_connected(void *conn) {
    int r = shmreg_connect(daemon_.socket, conn);

    ck_assert_msg(r == 0 || r == -ENOENT || r == -ECONNREFUSED || r == -EACCES, "connect: %d: %s",
                  r, shmreg_error_message());
    return r == 0;
}

/* Nobody may be listening at the moment, or the new socket not be open to all yet. */
static shmreg_conn *connect_some_time(void) {
    shmreg_conn *conn;

    wait_until(is_connected, &conn);
    return conn;
}

static uint64_t random_seed(void) {
    return (monotonic_usec() << 16 ^ (uint64_t)getpid()) | 1;
}

static void work_as_writer(int channel, void *data) {
    shmreg_conn *conn = connect_some_time();
    uint64_t random = random_seed();

    (void)channel;
    (void)data;
    while (!counts->stop)
        write_one(conn, &random);
    shmreg_disconnect(conn);
}

/* Follows the region with one handle: what it leaves stays whole until it is dropped. */
static void work_as_follower(int channel, void *data) {
    shmreg_conn *conn = connect_some_time();
    shmreg_region *region = open_region(conn, NAME, SHMREG_READ);

    (void)channel;
    (void)data;
    while (!counts->stop) {
        const struct content *old = shmreg_data(region);
        int r = shmreg_wait(region, 100);

        ck_assert_msg(r == 0 || r == -ETIMEDOUT, "wait: %d: %s", r, shmreg_error_message());
        expect_ok(shmreg_refresh(region));
        verify(region);
        ck_assert_uint_eq(old->sum, checksum(old));
        shmreg_drop_old(region);
        counts->refreshed++;
    }
    shmreg_close(region);
    shmreg_disconnect(conn);
}

/* Opens anew what it verifies, now and then on a new connection. */
static void work_as_opener(int channel, void *data) {
    (void)channel;
    (void)data;
    while (!counts->stop) {
        shmreg_conn *conn = connect_some_time();

        for (unsigned i = 0; i < 50 && !counts->stop; i++) {
            shmreg_region *region = open_region(conn, NAME, SHMREG_READ);

            verify(region);
            shmreg_close(region);
        }
        shmreg_disconnect(conn);
    }
}

static struct child start_worker(unsigned i) {
    child_function work = i < WRITERS ? work_as_writer : i % 2 ? work_as_follower : work_as_opener;

    return child_start(USER(20001 + i), work, NULL);
}

/* The first version, whose rights are those of all that follow. */
static void publish_first(shmreg_conn *conn) {
    shmreg_region *region;

    expect_ok(shmreg_stage(conn, NAME, size_of(WORDS_MIN), SHMREG_OPTIONS(.mode = 0666), &region));
    fill_content(shmreg_data(region), WORDS_MIN, 1);
    expect_ok(shmreg_publish(region, 0, NULL));
    shmreg_close(region);
}

static void expect_running(const struct child workers[static WORKERS]) {
    for (unsigned i = 0; i < WORKERS; i++) {
        int status;

        ck_assert_msg(waitpid(workers[i].pid, &status, WNOHANG) == 0, "worker %u ended: %#x", i,
                      (unsigned)status);
    }
}

/* Kills until the time is over; returns how many. Time passes between the kills for its own sake:
 * where they strike is to be random. */
static unsigned kill_at_random(struct child workers[static WORKERS], unsigned seconds,
                               unsigned *daemon_kills) {
    uint64_t random = random_seed(), end = monotonic_usec() + seconds * UINT64_C(1000000);
    unsigned kills = 0;

    while (monotonic_usec() < end) {
        unsigned victim = (unsigned)(next_random(&random) % WORKERS);

        usleep((useconds_t)(next_random(&random) % (2 * PAUSE_MSEC * 1000)));
        expect_running(workers);
        if (++kills % DAEMON_TURN == 0) {
            daemon_kill(&daemon_);
            daemon_launch(&daemon_);
            ++*daemon_kills;
        } else {
            child_kill(&workers[victim]);
            workers[victim] = start_worker(victim);
        }
    }
    return kills;
}

static bool nothing_is_attached(void *data) {
    (void)data;
    return daemon_usage(&daemon_, "attachments") == 0 && daemon_segments(&daemon_) == 1;
}

/* One region, one segment, and nobody who holds or stages anything. */
static void expect_nothing_left(shmreg_conn *conn) {
    struct shmreg_description *description;

    wait_until(nothing_is_attached, NULL);
    expect_ok(shmreg_describe(conn, NAME, &description));
    ck_assert_uint_eq(description->readers + description->writers, 0);
    ck_assert_uint_eq(daemon_usage(&daemon_, "bytes"), description->max_size);
    ck_assert_uint_eq(daemon_usage(&daemon_, "regions"), 1);
    shmreg_description_free(description);
}

START_TEST(test_no_reader_sees_a_mixture) {
    unsigned seconds = getenv("SHMREG_TEST_LONG") ? SECONDS_LONG : SECONDS;
    unsigned kills, daemon_kills = 0;
    struct child workers[WORKERS];
    shmreg_conn *conn;

    counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(counts, MAP_FAILED);
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    publish_first(conn);
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i] = start_worker(i);
    kills = kill_at_random(workers, seconds, &daemon_kills);
    expect_running(workers);
    counts->stop = true;
    for (unsigned i = 0; i < WORKERS; i++)
        child_finish(&workers[i]);
    expect_nothing_left(conn);
    /* Nor does the next daemon find anything. */
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    expect_nothing_left(conn);
    printf("%u s, %u kills, %u of the daemon: %llu versions published, %llu lost to another, %llu "
           "given up, %llu checksums verified, %llu refreshes\n",
           seconds, kills, daemon_kills, (unsigned long long)counts->published,
           (unsigned long long)counts->lost, (unsigned long long)counts->abandoned,
           (unsigned long long)counts->verified, (unsigned long long)counts->refreshed);
    ck_assert_uint_gt(counts->published, 0);
    ck_assert_uint_gt(counts->verified, 0);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *stress = tcase_create("stress-publish");

    tcase_set_timeout(stress, SECONDS_LONG + 60);
    tcase_add_test(stress, test_no_reader_sees_a_mixture);
    return sandbox_run("stress-publish", &stress, 1);
}
