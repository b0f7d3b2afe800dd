/*
 * Soak: 1,000 clients in processes of several users do whatever the library can, processes and the
 * daemon are killed at random, and when all of it is over nothing is left: no descriptor, mapping,
 * record, segment or byte of quota, and the memory of the daemon is what it was.
 *
 * SHMREG_SOAK_SECONDS says how long, SHMREG_SOAK_SEED repeats the choices of another run (though not
 * the order in which the kernel lets processes run).
 */
#include "tests/soak/actor.h"
#include "tests/soak/census.h"
#include "tests/support/child.h"
#include "tests/support/fsck.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 1000u
#define ACTORS (CLIENTS / ACTOR_CLIENTS)
#define USERS 8u
#define SECONDS 12u
#define SECONDS_LONG 600u
#define KILL_MSEC 40    /* between two kills, on average */
#define RESTART_TURN 8u /* of so many kills, one is of the daemon, and the first one is */
#define MORE_CYCLES 3u
#define RESIDENT_PERCENT 5u
#ifdef __SANITIZE_ADDRESS__
#define RESIDENT_IS_TELLING false /* it keeps what is freed, to see whether it is used again */
#else
#define RESIDENT_IS_TELLING true
#endif

static struct test_daemon daemon_;
static struct tally *tally;
static struct child actors[ACTORS];
static uint64_t seed;
static unsigned kills, restarts, starts;

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* A generator of its own for each process that is started, and for the one that kills. */
static uint64_t next_seed(void) {
    uint64_t z = seed + ++starts * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ z >> 27;
}

static void be_actor(int channel, void *data) {
    (void)channel;
    actor_run(&daemon_, *(const uint64_t *)data, tally);
}

static void start_actor(unsigned i) {
    uint64_t own = next_seed();

    actors[i] = child_start(USER(20001 + i % USERS, 1, {ACTOR_GROUP}), be_actor, &own);
}

static bool all_are_connected(void *data) {
    (void)data;
    return daemon_usage(&daemon_, "connections") > CLIENTS;
}

static void expect_running(void) {
    for (unsigned i = 0; i < ACTORS; i++) {
        int status;

        ck_assert_msg(waitpid(actors[i].pid, &status, WNOHANG) == 0, "actor %u ended: %#x", i,
                      (unsigned)status);
    }
}

/* Time passes between two kills for its own sake: where they strike is left to chance. */
static void kill_at_random(unsigned msec, bool daemon_too) {
    struct actor chance = {.random = next_seed() | 1};
    uint64_t end = monotonic_usec() + msec * UINT64_C(1000);

    while (monotonic_usec() < end) {
        unsigned victim = (unsigned)actor_random(&chance, ACTORS);

        usleep((useconds_t)actor_random(&chance, 2 * KILL_MSEC * 1000));
        expect_running();
        if (daemon_too && (restarts == 0 || actor_once_in(&chance, RESTART_TURN))) {
            daemon_kill(&daemon_);
            daemon_launch(&daemon_);
            restarts++;
        } else {
            child_kill(&actors[victim]);
            start_actor(victim);
            kills++;
        }
    }
}

/* Every other one leaves of itself. */
static void end_actors(void) {
    expect_running();
    tally->stop = true;
    for (unsigned i = 0; i < ACTORS; i++) {
        if (i % 2) {
            child_finish(&actors[i]);
        } else {
            child_kill(&actors[i]);
            kills++;
        }
    }
    tally->stop = false;
}

/* And starts the workers of the daemon by a snapshot, as they keep two threads from then on. */
static void destroy_all(void) {
    shmreg_conn *conn = connect_to(&daemon_);
    char name[16];

    for (unsigned i = 0; actor_name(i, name); i++) {
        int r = shmreg_destroy(conn, name);

        ck_assert_msg(r == 0 || r == -ENOENT, "destroy: %d: %s", r, shmreg_error_message());
    }
    create_region(conn, "source", 1, NULL);
    expect_ok(shmreg_snapshot(conn, "source", "copy", NULL, NULL, NULL));
    expect_ok(shmreg_destroy(conn, "source"));
    expect_ok(shmreg_destroy(conn, "copy"));
    shmreg_disconnect(conn);
}

/* One cycle: all clients come, are killed at random, and go; what is left then. */
static struct census soak(unsigned msec, bool daemon_too) {
    struct census census;

    for (unsigned i = 0; i < ACTORS; i++)
        start_actor(i);
    wait_until(all_are_connected, NULL);
    kill_at_random(msec, daemon_too);
    end_actors();
    destroy_all();
    census = census_take(&daemon_);
    printf("%u kills, %u restarts: %u descriptors, %u mappings, %lu kB resident\n", kills, restarts,
           census.descriptors, census.mappings, census.resident);
    return census;
}

static void expect_same(struct census before, struct census after) {
    ck_assert_uint_eq(after.descriptors, before.descriptors);
    ck_assert_uint_eq(after.mappings, before.mappings);
}

/* What the allocator keeps follows the most that was ever there at once, which chance may put into any
 * cycle; a leak grows in each. */
static bool has_grown(struct census before, struct census after) {
    return RESIDENT_IS_TELLING && after.resident > before.resident * (100 + RESIDENT_PERCENT) / 100;
}

static uint64_t sum_up(void) {
    uint64_t sum = 0;

    for (unsigned i = 0; i < actor_n_operations; i++) {
        printf("%-14s %8" PRIu64 " done, %8" PRIu64 " refused\n", actor_operations[i].name,
               tally->done[i], tally->refused[i]);
        ck_assert_msg(tally->done[i] > 0, "%s never succeeded", actor_operations[i].name);
        sum += tally->done[i] + tally->refused[i];
    }
    return sum;
}

START_TEST(test_nothing_is_left) {
    unsigned seconds = getenv("SHMREG_TEST_LONG") ? SECONDS_LONG : SECONDS;
    unsigned third = (unsigned)number_from("SHMREG_SOAK_SECONDS", seconds) * 1000 / 3;
    struct census fresh, warm, after;
    uint64_t operations;

    seed = number_from("SHMREG_SOAK_SEED", monotonic_usec());
    printf("SHMREG_SOAK_SEED=%" PRIu64 "\n", seed);
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(tally, MAP_FAILED);
    daemon_start(&daemon_);
    destroy_all();
    fresh = census_take(&daemon_);
    expect_same(fresh, soak(third, true));
    /* The daemon that ran at the end of that is the one of the rest. */
    warm = soak(third, false);
    expect_same(fresh, warm);
    after = soak(third, false);
    expect_same(fresh, after);
    for (unsigned i = 0; i < MORE_CYCLES && has_grown(warm, after); i++) {
        warm = after;
        after = soak(third, false);
        expect_same(fresh, after);
    }
    ck_assert_msg(!has_grown(warm, after), "%lu kB resident, %lu kB a cycle before", after.resident,
                  warm.resident);
    operations = sum_up();
    printf("soak: %" PRIu64 " operations, %u kills, %u restarts, %" PRIu64 " errors\n", operations,
           kills, restarts, tally->errors);
    ck_assert_uint_eq(tally->errors, 0);
    daemon_kill(&daemon_);
    expect_sound(&daemon_);
    ck_assert_uint_eq(census_records(&daemon_), 0);
}
END_TEST

int main(void) {
    TCase *soaking = tcase_create("soak");

    tcase_set_timeout(soaking, 2 * (double)number_from("SHMREG_SOAK_SECONDS", SECONDS_LONG) + 120);
    tcase_add_test(soaking, test_nothing_is_left);
    return sandbox_run("soak", &soaking, 1);
}
