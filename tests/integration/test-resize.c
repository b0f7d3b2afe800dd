/*
 * Resize: a region grows in place under its readers, who are other processes and other users: their
 * address stays, they see the new size when they ask, and no access is a SIGBUS.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>
#include <unistd.h>

#define READERS 8
#define STEP UINT64_C(6000) /* no multiple of a page */
#define STEPS 60u
#define MAX_SIZE (STEP * STEPS)

static const uint32_t backings[] = {SHMREG_SHM, SHMREG_MEMFD, SHMREG_FILE};
#define N_BACKINGS (int)(sizeof(backings) / sizeof(backings[0]))

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

static shmreg_region *create_growing(const char *name, uint32_t backing) {
    shmreg_region *region;

    expect_ok(shmreg_create(conn, name, STEP,
                            SHMREG_OPTIONS(.backing = backing, .mode = 0644, .max_size = MAX_SIZE),
                            &region));
    return region;
}

static char *step_of(const shmreg_region *region, unsigned step) {
    return (char *)shmreg_data(region) + step * STEP;
}

/* Each step is filled before the next makes it known that it is. */
static void follow(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "growing", SHMREG_READ);
    const void *address = shmreg_data(region);
    uint64_t size = shmreg_size(region);

    (void)data;
    channel_say(channel);
    while (size < MAX_SIZE) {
        uint64_t larger;

        expect_ok(shmreg_wait(region, 20000));
        expect_ok(shmreg_refresh(region));
        larger = shmreg_size(region);
        ck_assert_uint_ge(larger, size);
        ck_assert_ptr_eq(shmreg_data(region), address);
        for (unsigned i = 0; i < larger / STEP - 1; i++)
            ck_assert(is_filled(step_of(region, i), STEP, i));
        /* The last is being filled, but is there. */
        ck_assert_int_ge(*(volatile unsigned char *)(step_of(region, 0) + larger - 1), 0);
        size = larger;
    }
    ck_assert_uint_eq(shmreg_version(region), 1);
    shmreg_drop_old(region);
    ck_assert_ptr_eq(shmreg_data(region), address);
    shmreg_disconnect(own);
}

START_TEST(test_it_grows_under_its_readers) {
    shmreg_region *region = create_growing("growing", backings[_i]);
    void *address = shmreg_data(region);
    struct child readers[READERS];

    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = child_start(USER(20001 + i), follow, NULL);
        channel_hear(readers[i].channel);
    }
    for (unsigned i = 0; i < STEPS - 1; i++) {
        fill(step_of(region, i), STEP, i);
        expect_ok(shmreg_resize(conn, "growing", (i + 2) * STEP));
        ck_assert(!shmreg_is_current(region));
        expect_ok(shmreg_refresh(region));
        ck_assert_uint_eq(shmreg_size(region), (i + 2) * STEP);
        ck_assert_ptr_eq(shmreg_data(region), address);
    }
    for (unsigned i = 0; i < READERS; i++)
        child_finish(&readers[i]);
    wait_holders(conn, "growing", 0, 1);
    ck_assert_int_eq(daemon_segments(&daemon_), backings[_i] == SHMREG_MEMFD ? 0 : 1);
}
END_TEST

START_TEST(test_own_handles_learn_of_it_by_a_refresh) {
    shmreg_region *writer = create_growing("region", backings[_i]);
    shmreg_region *reader = open_region(conn, "region", SHMREG_READ), *newer;

    expect_ok(shmreg_resize(conn, "region", 2 * STEP));
    ck_assert_uint_eq(shmreg_size(writer), STEP);
    ck_assert_uint_eq(shmreg_size(reader), STEP);
    newer = open_region(conn, "region", SHMREG_READ);
    ck_assert_ptr_eq(shmreg_data(newer), shmreg_data(reader));
    ck_assert_uint_eq(shmreg_size(newer), 2 * STEP);
    expect_ok(shmreg_refresh(writer));
    ck_assert_uint_eq(shmreg_size(writer), 2 * STEP);
    expect_ok(shmreg_refresh(reader));
    ck_assert(shmreg_is_current(reader));
    step_of(writer, 2)[-1] = 77;
    ck_assert_int_eq(step_of(reader, 2)[-1], 77);
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
    ck_assert_uint_eq(count_writers(conn, "region"), 1);
}
END_TEST

/* Mapped, populated, locked and read before there is a byte. */
START_TEST(test_it_grows_from_nothing) {
    static const uint32_t empty_backings[] = {SHMREG_SHM, SHMREG_FILE};
    struct shmreg_options options = *SHMREG_OPTIONS(.backing = empty_backings[_i], .max_size = STEP,
                                                    .map_flags = SHMREG_POPULATE | SHMREG_LOCK);
    shmreg_region *region, *reader, *stage;
    char buffer[8];
    size_t size;

    expect_ok(shmreg_create(conn, "empty", 0, &options, &region));
    ck_assert_uint_eq(shmreg_size(region), 0);
    reader = open_region(conn, "empty", SHMREG_READ);
    expect_ok(shmreg_get(conn, "empty", buffer, sizeof(buffer), &size));
    ck_assert_uint_eq(size, 0);
    expect_error(shmreg_stage(conn, "empty", 0, NULL, &stage), -EINVAL, "size is 0");
    expect_error(shmreg_stage(conn, "empty", 0, &options, &stage), -EINVAL, "size is 0");
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    expect_ok(shmreg_resize(conn, "empty", STEP));
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_size(region), STEP);
    fill(step_of(region, 0), STEP, 7);
    expect_ok(shmreg_refresh(reader));
    ck_assert(is_filled(step_of(reader, 0), STEP, 7));
}
END_TEST

static void note(void *data, shmreg_region *region, uint32_t what) {
    (void)region;
    *(uint32_t *)data |= what;
}

START_TEST(test_it_is_news) {
    shmreg_region *region = create_growing("region", SHMREG_SHM);
    uint32_t what = 0;

    ck_assert_int_ge(shmreg_conn_fd(conn), 0);
    expect_ok(shmreg_resize(conn, "region", 2 * STEP));
    while (what == 0)
        ck_assert_int_ge(shmreg_process(conn, note, &what), 0);
    ck_assert_uint_eq(what, SHMREG_NEWS_RESIZED);
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_size(region), 2 * STEP);
}
END_TEST

START_TEST(test_what_is_refused) {
    struct shmreg_description *description;

    shmreg_close(create_growing("region", backings[_i]));
    expect_error(shmreg_resize(conn, "region", MAX_SIZE + 1), -EINVAL, "max_size");
    expect_error(shmreg_resize(conn, "region", STEP - 1), -EINVAL, "publish");
    expect_error(shmreg_resize(conn, "nothing", STEP), -ENOENT, "'nothing'");
    expect_error(shmreg_resize(conn, "../region", STEP), -EINVAL, "name");
    expect_ok(shmreg_resize(conn, "region", STEP));
    expect_ok(shmreg_describe(conn, "region", &description));
    ck_assert_uint_eq(description->size, STEP);
    ck_assert_uint_eq(description->max_size, MAX_SIZE);
    shmreg_description_free(description);
}
END_TEST

START_TEST(test_the_size_outlives_the_daemon) {
    shmreg_region *region = create_growing("region", SHMREG_SHM);
    void *address = shmreg_data(region);

    expect_ok(shmreg_resize(conn, "region", 2 * STEP));
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    expect_ok(shmreg_resize(conn, "region", 3 * STEP));
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_size(region), 3 * STEP);
    ck_assert_ptr_eq(shmreg_data(region), address);
}
END_TEST

/* A smaller version, and a larger one, are published. */
START_TEST(test_it_shrinks_by_a_new_version) {
    shmreg_region *region = create_growing("region", SHMREG_SHM), *stage;

    expect_ok(shmreg_resize(conn, "region", 2 * STEP));
    expect_ok(shmreg_stage(conn, "region", STEP / 2, NULL, &stage));
    expect_ok(shmreg_publish(stage, 0, NULL));
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_version(region), 2);
    ck_assert_uint_eq(shmreg_size(region), STEP / 2);
    expect_ok(shmreg_resize(conn, "region", MAX_SIZE));
    expect_ok(shmreg_refresh(region));
    ck_assert_uint_eq(shmreg_size(region), MAX_SIZE);
    memset(shmreg_data(region), 'x', MAX_SIZE);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("resize");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_it_grows_under_its_readers, 0, N_BACKINGS);
    tcase_add_loop_test(cases, test_own_handles_learn_of_it_by_a_refresh, 0, N_BACKINGS);
    tcase_add_loop_test(cases, test_what_is_refused, 0, N_BACKINGS);
    tcase_add_loop_test(cases, test_it_grows_from_nothing, 0, 2);
    tcase_add_test(cases, test_it_is_news);
    tcase_add_test(cases, test_the_size_outlives_the_daemon);
    tcase_add_test(cases, test_it_shrinks_by_a_new_version);
    return sandbox_run("resize", &cases, 1);
}
