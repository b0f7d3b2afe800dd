/*
 * No space: with not a page left in /dev/shm, whatever would need one is an error, with populate at
 * the open, with a guard at the access, and never a SIGBUS, in no process.
 */
#include "proto/cleanup.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ROOM (4u << 20)
#define SIZE (1u << 20)
#define PAGE 4096u
#define FILLER "/dev/shm/filler"

static struct test_daemon daemon_;
static shmreg_conn *conn;
static shmreg_region *region; /* of SIZE bytes, its first page there */

static void use_up_shm(void) {
    static const char zeroes[PAGE];
    _cleanup_close_ int fd = open(FILLER, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    while (write(fd, zeroes, sizeof(zeroes)) > 0)
        ;
    ck_assert_int_eq(errno, ENOSPC);
}

static void setup(void) {
    daemon_prepare(&daemon_, "{}");
    sandbox_mount("/dev/shm", ROOM);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    expect_ok(shmreg_create(conn, "region", SIZE, SHMREG_OPTIONS(.backing = SHMREG_SHM), &region));
    *(char *)shmreg_data(region) = 'x';
    expect_ok(shmreg_put(conn, "value", "value", 5, 0600));
    use_up_shm();
}

/* Everything goes on once there is room. */
static void teardown(void) {
    shmreg_region *populated;

    ck_assert(daemon_is_alive(&daemon_));
    ck_assert_int_eq(unlink(FILLER), 0);
    populated = open_region(conn, "region", SHMREG_WRITE | SHMREG_POPULATE);
    fill(shmreg_data(populated), SIZE, 1);
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static const uint32_t populating[] = {
    SHMREG_WRITE | SHMREG_POPULATE,
    SHMREG_READ | SHMREG_POPULATE,
    SHMREG_READ | SHMREG_PRIVATE | SHMREG_POPULATE,
    SHMREG_WRITE | SHMREG_LOCK,
};

START_TEST(test_populate_says_so) {
    unsigned readers = count_readers(conn, "region"), writers = count_writers(conn, "region");
    shmreg_region *none;

    expect_error(shmreg_open(conn, "region", populating[_i], &none), -ENOSPC,
                 "region 'region': no space for its 1048576 bytes");
    ck_assert_uint_eq(count_readers(conn, "region"), readers);
    ck_assert_uint_eq(count_writers(conn, "region"), writers);
    ck_assert_int_eq(*(char *)shmreg_data(region), 'x');
}
END_TEST

START_TEST(test_create_leaves_nothing) {
    unsigned descriptors = settled_descriptors(&daemon_, conn);
    shmreg_region *none;

    expect_error(shmreg_create(conn, "new", SIZE,
                               SHMREG_OPTIONS(.backing = SHMREG_SHM, .map_flags = SHMREG_POPULATE),
                               &none),
                 -ENOSPC, "'new'");
    ck_assert(!exists(conn, "new"));
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), 2);
    ck_assert_uint_eq(settled_descriptors(&daemon_, conn), descriptors);
    /* Without populate it is made: no page is needed yet. */
    create_region(conn, "new", SIZE, SHMREG_OPTIONS(.backing = SHMREG_SHM));
    expect_ok(shmreg_destroy(conn, "new"));
}
END_TEST

static void write_all(void *data) {
    memset(data, 7, SIZE);
}

static void read_all(void *data) {
    for (size_t i = 0; i < SIZE; i += PAGE)
        (void)((const volatile char *)data)[i];
}

static void expect_guarded(shmreg_region *guarded, void (*access_)(void *)) {
    uint64_t offset = 0;

    expect_error(shmreg_guard(guarded, access_, shmreg_data(guarded), &offset), -EFAULT,
                 "region 'region': there is no memory at offset");
    ck_assert_uint_ge(offset, PAGE);
    ck_assert_uint_lt(offset, SIZE);
}

START_TEST(test_a_guard_says_so) {
    shmreg_region *other;

    expect_guarded(region, write_all);
    ck_assert_int_eq(*(char *)shmreg_data(region), 7);
    other = open_region(conn, "region", SHMREG_READ);
    expect_guarded(other, read_all);
    /* A page that was never there cannot be copied either. */
    other = open_region(conn, "region", SHMREG_READ | SHMREG_PRIVATE);
    expect_guarded(other, write_all);
    *(char *)shmreg_data(region) = 'x';
}
END_TEST

START_TEST(test_values) {
    static char value[SHMREG_VALUE_MAX];
    size_t size;

    expect_error(shmreg_put(conn, "value", value, sizeof(value), 0600), -ENOSPC, "No space left");
    expect_error(shmreg_put(conn, "new", value, sizeof(value), 0600), -ENOSPC, "No space left");
    ck_assert(!exists(conn, "new"));
    expect_ok(shmreg_get(conn, "value", value, sizeof(value), &size));
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(value, "value", 5);
    /* To read what was never written needs no page in the daemon. */
    create_region(conn, "zeroes", sizeof(value), SHMREG_OPTIONS(.backing = SHMREG_SHM));
    expect_ok(shmreg_get(conn, "zeroes", value, sizeof(value), &size));
    ck_assert_uint_eq(size, sizeof(value));
}
END_TEST

START_TEST(test_a_stage) {
    unsigned descriptors = settled_descriptors(&daemon_, conn);
    shmreg_region *stage;
    uint32_t version;

    expect_error(
        shmreg_stage(conn, "region", SIZE, SHMREG_OPTIONS(.map_flags = SHMREG_POPULATE), &stage),
        -ENOSPC, "no space for its");
    ck_assert_uint_eq(settled_descriptors(&daemon_, conn), descriptors);
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), 2);

    expect_ok(shmreg_stage(conn, "value", SIZE, NULL, &stage));
    expect_error(shmreg_guard(stage, write_all, shmreg_data(stage), NULL), -EFAULT, "'value'");
    shmreg_close(stage);
    /* What was never written is zeroes, which need no page to be published. */
    expect_ok(shmreg_stage(conn, "value", SIZE, NULL, &stage));
    expect_ok(shmreg_publish(stage, 1, &version));
    ck_assert_uint_eq(version, 2);
    shmreg_close(stage);
}
END_TEST

START_TEST(test_a_sync_block_needs_its_page) {
    shmreg_region *none;

    expect_error(
        shmreg_create(conn, "new", SIZE, SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK), &none),
        -ENOSPC, "No space left");
    ck_assert(!exists(conn, "new"));
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), 2);
}
END_TEST

START_TEST(test_growing) {
    shmreg_region *grown, *none;

    expect_ok(shmreg_create(conn, "growing", PAGE,
                            SHMREG_OPTIONS(.backing = SHMREG_SHM, .max_size = SIZE), &grown));
    /* No page is needed before it is used. */
    expect_ok(shmreg_resize(conn, "growing", SIZE));
    expect_ok(shmreg_refresh(grown));
    ck_assert_uint_eq(shmreg_size(grown), SIZE);
    expect_error(shmreg_guard(grown, write_all, shmreg_data(grown), NULL), -EFAULT, "'growing'");
    expect_error(shmreg_open(conn, "growing", SHMREG_WRITE | SHMREG_POPULATE, &none), -ENOSPC,
                 "no space for its");
}
END_TEST

START_TEST(test_a_snapshot) {
    expect_error(shmreg_snapshot(conn, "region", "copy", NULL, NULL, NULL), -ENOSPC,
                 "No space left");
    ck_assert(!exists(conn, "copy"));
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), 2);
}
END_TEST

START_TEST(test_a_restart) {
    shmreg_region *reader;

    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    reader = open_region(conn, "region", SHMREG_READ);
    ck_assert_int_eq(*(char *)shmreg_data(reader), 'x');
    ck_assert(shmreg_is_current(reader));
    expect_guarded(reader, read_all);
}
END_TEST

int main(void) {
    TCase *full = tcase_create("no space");

    tcase_add_checked_fixture(full, setup, teardown);
    tcase_set_timeout(full, 30);
    tcase_add_loop_test(full, test_populate_says_so, 0, (int)ARRAY_SIZE(populating));
    tcase_add_test(full, test_create_leaves_nothing);
    tcase_add_test(full, test_a_guard_says_so);
    tcase_add_test(full, test_values);
    tcase_add_test(full, test_a_stage);
    tcase_add_test(full, test_a_sync_block_needs_its_page);
    tcase_add_test(full, test_growing);
    tcase_add_test(full, test_a_snapshot);
    tcase_add_test(full, test_a_restart);
    return sandbox_run("no-space", &full, 1);
}
