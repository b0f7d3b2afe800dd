/*
 * Stage and publish through the library: nobody sees a stage, everybody the whole version, and
 * nothing is left of a stage that ends before.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 10000u
#define ROUNDS 100u
#define PUBLISHERS 4u

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

static shmreg_region *stage_filled(shmreg_conn *c, const char *name, unsigned seed) {
    shmreg_region *region = NULL;

    expect_ok(shmreg_stage(c, name, SIZE, SHMREG_OPTIONS(.mode = 0666), &region));
    fill(shmreg_data(region), SIZE, seed);
    return region;
}

static uint32_t publish(shmreg_region *region, uint32_t expected) {
    uint32_t version = 0;

    expect_ok(shmreg_publish(region, expected, &version));
    ck_assert_uint_eq(version, shmreg_version(region));
    return version;
}

static bool is_whole(shmreg_region *region, unsigned seed) {
    return shmreg_size(region) == SIZE && is_filled(shmreg_data(region), SIZE, seed);
}

START_TEST(test_a_stage_is_nobodys_and_then_everybodys) {
    shmreg_region *staged = stage_filled(conn, "region", 1), *other;
    void *data = shmreg_data(staged);

    ck_assert(!exists(conn, "region"));
    ck_assert_uint_eq(shmreg_version(staged), 0);
    ck_assert(shmreg_is_current(staged));
    expect_error(shmreg_wait(staged, 0), -ETIMEDOUT, "has not changed");
    expect_ok(shmreg_refresh(staged));
    ck_assert_uint_eq(publish(staged, 0), 1);
    ck_assert_ptr_eq(shmreg_data(staged), data);
    ck_assert(shmreg_is_current(staged));
    /* From now on it is a handle as any other: the next open shares its memory. */
    other = open_region(conn, "region", SHMREG_WRITE);
    ck_assert_ptr_eq(shmreg_data(other), data);
    ck_assert_uint_eq(count_writers(conn, "region"), 1);
    expect_error(shmreg_publish(staged, 0, NULL), -EINVAL, "no stage");
    shmreg_close(other);
    shmreg_close(staged);
    wait_holders(conn, "region", 0, 0);
}
END_TEST

START_TEST(test_who_has_the_old_version_keeps_it_whole) {
    shmreg_region *first = stage_filled(conn, "region", 1), *reader, *second;

    publish(first, 0);
    reader = open_region(conn, "region", SHMREG_READ);
    second = stage_filled(conn, "region", 2);
    ck_assert_uint_eq(publish(second, 1), 2);
    ck_assert(!shmreg_is_current(reader));
    ck_assert(!shmreg_is_current(first));
    ck_assert(shmreg_is_current(second));
    ck_assert(is_whole(reader, 1));
    expect_ok(shmreg_refresh(reader));
    ck_assert(is_whole(reader, 2));
    ck_assert_uint_eq(count_writers(conn, "region"), 2);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    shmreg_close(first);
    shmreg_close(second);
    shmreg_drop_old(reader);
    wait_holders(conn, "region", 1, 0);
    ck_assert(is_whole(reader, 2));
    shmreg_close(reader);
}
END_TEST

START_TEST(test_the_size_is_the_versions_own) {
    struct shmreg_description *description;
    shmreg_region *region;

    create_region(conn, "region", SIZE, SHMREG_OPTIONS(.max_size = 3 * SIZE));
    expect_ok(shmreg_stage(conn, "region", SIZE / 2, NULL, &region));
    publish(region, 1);
    expect_ok(shmreg_describe(conn, "region", &description));
    ck_assert_uint_eq(description->size, SIZE / 2);
    ck_assert_uint_eq(description->max_size, 3 * SIZE);
    shmreg_description_free(description);
    shmreg_close(region);
    expect_ok(
        shmreg_stage(conn, "region", 2 * SIZE, SHMREG_OPTIONS(.max_size = 2 * SIZE), &region));
    publish(region, 2);
    expect_ok(shmreg_describe(conn, "region", &description));
    ck_assert_uint_eq(description->size, 2 * SIZE);
    ck_assert_uint_eq(description->max_size, 2 * SIZE);
    shmreg_description_free(description);
    shmreg_close(region);
}
END_TEST

START_TEST(test_a_sync_block_goes_on_with_the_region) {
    shmreg_region *first, *second;

    expect_ok(
        shmreg_stage(conn, "region", SIZE, SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK), &first));
    expect_error(shmreg_lock(first, 0), -EOPNOTSUPP, "sync block");
    publish(first, 0);
    expect_ok(shmreg_lock(first, 0));
    second = stage_filled(conn, "region", 2);
    publish(second, 1);
    expect_error(shmreg_lock(second, 0), -EDEADLK, "region");
    expect_ok(shmreg_unlock(second));
    shmreg_close(first);
    expect_ok(shmreg_lock(second, 0));
    expect_ok(shmreg_unlock(second));
    shmreg_close(second);
}
END_TEST

START_TEST(test_a_stage_that_is_closed_leaves_nothing) {
    shmreg_close(stage_filled(conn, "region", 1));
    ck_assert(!exists(conn, "region"));
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
    expect_error(shmreg_stage(conn, "region", 0, NULL, &(shmreg_region *){NULL}), -EINVAL, "size");
    expect_error(shmreg_stage(conn, "region", SIZE, SHMREG_OPTIONS(.flags = SHMREG_EXISTING_OK),
                              &(shmreg_region *){NULL}),
                 -EINVAL, "flags");
    expect_error(shmreg_stage(conn, "region", SIZE, SHMREG_OPTIONS(.acl = "nonsense"),
                              &(shmreg_region *){NULL}),
                 -EINVAL, "nonsense");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

/* Adds to a counter, each time in a new version of what was read. */
static void count_up(int channel, void *data) {
    unsigned losses = 0, wins = 0;

    (void)data;
    conn = connect_to(&daemon_);
    channel_hear(channel);
    while (wins < ROUNDS) {
        shmreg_region *now = open_region(conn, "counter", SHMREG_READ), *next = NULL;
        int r;

        expect_ok(shmreg_stage(conn, "counter", sizeof(unsigned), NULL, &next));
        *(unsigned *)shmreg_data(next) = *(const unsigned *)shmreg_data(now) + 1;
        r = shmreg_publish(next, shmreg_version(now), NULL);
        if (r == -ESTALE) {
            ck_assert_ptr_nonnull(strstr(shmreg_error_message(), "is at version"));
            losses++;
        } else {
            ck_assert_msg(r == 0, "%s", shmreg_error_message());
            wins++;
        }
        shmreg_close(next);
        shmreg_close(now);
    }
    printf("process %d: %u times the winner, %u times told of another\n", getpid(), wins, losses);
    shmreg_disconnect(conn);
}

START_TEST(test_of_several_publishers_one_wins_each_version) {
    struct child children[PUBLISHERS];
    unsigned zero = 0, count;
    shmreg_region *region;
    size_t size;

    expect_ok(shmreg_put(conn, "counter", &zero, sizeof(zero), 0666));
    for (unsigned i = 0; i < PUBLISHERS; i++)
        children[i] = child_start(USER(20001 + i), count_up, NULL);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        channel_say(children[i].channel);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        child_finish(&children[i]);
    expect_ok(shmreg_get(conn, "counter", &count, sizeof(count), &size));
    ck_assert_uint_eq(count, PUBLISHERS * ROUNDS);
    region = open_region(conn, "counter", SHMREG_READ);
    ck_assert_uint_eq(shmreg_version(region), 1 + PUBLISHERS * ROUNDS);
    shmreg_close(region);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
}
END_TEST

static void stage_and_wait(int channel, void *data) {
    (void)data;
    conn = connect_to(&daemon_);
    stage_filled(conn, "region", 2);
    stage_filled(conn, "new", 2);
    channel_say(channel);
    pause();
}

static bool has_one_segment(void *data) {
    (void)data;
    return daemon_segments(&daemon_) == 1;
}

START_TEST(test_a_stager_that_is_killed_leaves_nothing) {
    shmreg_region *region = stage_filled(conn, "region", 1);
    struct child child;

    publish(region, 0);
    child = child_start(USER(20001), stage_and_wait, NULL);
    channel_hear(child.channel);
    ck_assert_int_eq(daemon_segments(&daemon_), 3);
    child_kill(&child);
    wait_until(has_one_segment, NULL);
    ck_assert(!exists(conn, "new"));
    ck_assert(is_whole(region, 1) && shmreg_is_current(region));
    /* And while the daemon is away. */
    child = child_start(USER(20001), stage_and_wait, NULL);
    channel_hear(child.channel);
    daemon_kill(&daemon_);
    child_kill(&child);
    daemon_launch(&daemon_);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    ck_assert(is_whole(region, 1) && shmreg_is_current(region));
    shmreg_close(region);
}
END_TEST

START_TEST(test_a_stage_outlives_the_daemon) {
    static const uint32_t backings[] = {SHMREG_SHM, SHMREG_FILE};

    for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
        shmreg_region *first, *second, *reader;

        expect_ok(
            shmreg_stage(conn, "region", SIZE, SHMREG_OPTIONS(.backing = backings[i]), &first));
        fill(shmreg_data(first), SIZE / 2, 1);
        daemon_kill(&daemon_);
        daemon_launch(&daemon_);
        fill(shmreg_data(first), SIZE, 1);
        ck_assert_uint_eq(publish(first, 0), 1);
        second = stage_filled(conn, "region", 2);
        daemon_kill(&daemon_);
        daemon_launch(&daemon_);
        ck_assert_uint_eq(publish(second, 1), 2);
        daemon_kill(&daemon_);
        daemon_launch(&daemon_);
        reader = open_region(conn, "region", SHMREG_READ);
        ck_assert(is_whole(reader, 2));
        ck_assert(is_whole(first, 1));
        ck_assert_int_eq(daemon_segments(&daemon_), 1);
        ck_assert_uint_eq(count_writers(conn, "region"), 2);
        shmreg_close(reader);
        shmreg_close(second);
        shmreg_close(first);
        expect_ok(shmreg_destroy(conn, "region"));
        ck_assert_int_eq(daemon_segments(&daemon_), 0);
    }
}
END_TEST

START_TEST(test_a_stage_that_a_memfd_daemon_lost) {
    shmreg_region *staged;

    expect_ok(shmreg_stage(conn, "region", SIZE, SHMREG_OPTIONS(.backing = SHMREG_MEMFD), &staged));
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    fill(shmreg_data(staged), SIZE, 1);
    expect_error(shmreg_publish(staged, 0, NULL), -ENOENT, "stage");
    ck_assert(is_whole(staged, 1));
    shmreg_close(staged);
}
END_TEST

START_TEST(test_a_stage_is_not_inherited) {
    shmreg_region *staged = stage_filled(conn, "region", 1);
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        expect_error(shmreg_publish(staged, 0, NULL), -ENOENT, "not this process's");
        ck_assert(!exists(conn, "region"));
        expect_error(shmreg_publish(staged, 0, NULL), -ENOENT, "not this process's");
        ck_assert(is_whole(staged, 1));
        shmreg_close(staged);
        shmreg_disconnect(conn);
        _exit(0);
    }
    ck_assert_int_eq(wait_for_end(child), 0);
    ck_assert_uint_eq(publish(staged, 0), 1);
    ck_assert(is_whole(staged, 1));
    shmreg_close(staged);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("publish");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_a_stage_is_nobodys_and_then_everybodys);
    tcase_add_test(cases, test_who_has_the_old_version_keeps_it_whole);
    tcase_add_test(cases, test_the_size_is_the_versions_own);
    tcase_add_test(cases, test_a_sync_block_goes_on_with_the_region);
    tcase_add_test(cases, test_a_stage_that_is_closed_leaves_nothing);
    tcase_add_test(cases, test_of_several_publishers_one_wins_each_version);
    tcase_add_test(cases, test_a_stager_that_is_killed_leaves_nothing);
    tcase_add_test(cases, test_a_stage_outlives_the_daemon);
    tcase_add_test(cases, test_a_stage_that_a_memfd_daemon_lost);
    tcase_add_test(cases, test_a_stage_is_not_inherited);
    return sandbox_run("publish", &cases, 1);
}
