/*
 * Seal: while anybody writes to a version it cannot be sealed, and once it is, nobody writes to it,
 * neither through the library nor around it; the next version is as any other.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 10000u
#define WRITER 20001
#define READER 20002

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

static void create_filled(uint32_t backing) {
    shmreg_region *region;

    expect_ok(shmreg_create(
        conn, "region", SIZE,
        SHMREG_OPTIONS(.backing = backing, .mode = 0604, .acl = "user:20001:rw"), &region));
    fill(shmreg_data(region), SIZE, 1);
    shmreg_close(region);
}

static bool is_sealed(void) {
    struct shmreg_description *description;
    bool sealed;

    expect_ok(shmreg_describe(conn, "region", &description));
    sealed = description->sealed;
    shmreg_description_free(description);
    return sealed;
}

static void hold_and_let_go(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_WRITE);

    (void)data;
    channel_say(channel);
    channel_hear(channel);
    fill(shmreg_data(region), SIZE, 2);
    shmreg_close(region);
    channel_say(channel);
    channel_hear(channel);
    expect_error(shmreg_open(own, "region", SHMREG_WRITE, &region), -EPERM,
                 "version 1 of region 'region' is sealed");
    expect_error(
        shmreg_create(own, "region", SIZE, SHMREG_OPTIONS(.flags = SHMREG_EXISTING_OK), &region),
        -EPERM, "sealed");
    region = open_region(own, "region", SHMREG_READ);
    ck_assert(is_filled(shmreg_data(region), SIZE, 2));
    shmreg_disconnect(own);
}

START_TEST(test_a_writer_prevents_it_as_long_as_he_is_there) {
    struct child writer;
    char process[64];

    create_filled(backings[_i]);
    writer = child_start(USER(WRITER), hold_and_let_go, NULL);
    channel_hear(writer.channel);
    snprintf(process, sizeof(process), "1 writer, process %d of user %d", writer.pid, WRITER);
    expect_error(shmreg_seal(conn, "region"), -EBUSY, process);
    ck_assert(!is_sealed());
    channel_say(writer.channel);
    channel_hear(writer.channel);
    wait_holders(conn, "region", 0, 0);
    expect_ok(shmreg_seal(conn, "region"));
    ck_assert(is_sealed());
    expect_ok(shmreg_seal(conn, "region"));
    channel_say(writer.channel);
    child_finish(&writer);
    expect_error(shmreg_resize(conn, "region", SIZE), -EPERM, "sealed");
}
END_TEST

static void try_to_write(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_READ), *private;
    int fd = shmreg_fd(region);
    char path[32];

    (void)channel;
    (void)data;
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    ck_assert_int_eq(mprotect(shmreg_data(region), SIZE, PROT_READ | PROT_WRITE), -1);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_int_eq(open(path, O_RDWR | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
    expect_error(shmreg_seal(own, "region"), -EACCES, "the right 'm'");
    /* What only he sees is his. */
    private = open_region(own, "region", SHMREG_READ | SHMREG_PRIVATE);
    fill(shmreg_data(private), SIZE, 3);
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    shmreg_disconnect(own);
}

START_TEST(test_readers_read_and_no_more) {
    create_filled(backings[_i]);
    run_as(USER(READER), try_to_write, NULL);
    expect_ok(shmreg_seal(conn, "region"));
    run_as(USER(READER), try_to_write, NULL);
    run_as(USER(READER), try_to_write, NULL);
}
END_TEST

static void keep_the_memory(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_WRITE);
    int fd = dup(shmreg_fd(region));
    char path[32], *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    (void)data;
    ck_assert_ptr_ne(map, MAP_FAILED);
    shmreg_disconnect(own);
    channel_say(channel);
    channel_hear(channel);
    *map = 'x';
    munmap(map, SIZE);
    channel_say(channel);
    channel_hear(channel);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    /* Nobody but the daemon's user reopens it. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_int_eq(open(path, O_RDWR | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
}

START_TEST(test_the_kernel_keeps_a_memfd_sealed_from_who_kept_a_descriptor) {
    struct child writer;

    create_filled(SHMREG_MEMFD);
    writer = child_start(USER(WRITER), keep_the_memory, NULL);
    channel_hear(writer.channel);
    wait_holders(conn, "region", 0, 0);
    expect_error(shmreg_seal(conn, "region"), -EBUSY, "'region' cannot be sealed: somebody");
    ck_assert(!is_sealed());
    shmreg_close(open_region(conn, "region", SHMREG_WRITE));
    channel_say(writer.channel);
    channel_hear(writer.channel);
    expect_ok(shmreg_seal(conn, "region"));
    channel_say(writer.channel);
    child_finish(&writer);
}
END_TEST

START_TEST(test_the_next_version_is_not_sealed) {
    shmreg_region *reader, *stage;
    char *first;

    create_filled(backings[_i]);
    expect_ok(shmreg_seal(conn, "region"));
    reader = open_region(conn, "region", SHMREG_READ);
    first = shmreg_data(reader);
    expect_ok(shmreg_stage(conn, "region", SIZE, NULL, &stage));
    fill(shmreg_data(stage), SIZE, 2);
    expect_ok(shmreg_publish(stage, 0, NULL));
    ck_assert(!is_sealed());
    fill(shmreg_data(stage), SIZE, 3);
    expect_error(shmreg_seal(conn, "region"), -EBUSY, "1 writer");
    expect_ok(shmreg_refresh(reader));
    ck_assert(is_filled(shmreg_data(reader), SIZE, 3));
    ck_assert(is_filled(first, SIZE, 1));
    shmreg_close(stage);
    expect_ok(shmreg_seal(conn, "region"));
    expect_ok(shmreg_put(conn, "region", "small", 5, SHMREG_MODE_DEFAULT));
    ck_assert(!is_sealed());
}
END_TEST

static void note(void *data, shmreg_region *region, uint32_t what) {
    (void)region;
    *(uint32_t *)data |= what;
}

START_TEST(test_it_is_news) {
    shmreg_region *region;
    uint32_t what = 0;
    void *address;

    create_filled(SHMREG_SHM);
    region = open_region(conn, "region", SHMREG_READ);
    address = shmreg_data(region);
    ck_assert_int_ge(shmreg_conn_fd(conn), 0);
    expect_ok(shmreg_seal(conn, "region"));
    while (what == 0)
        ck_assert_int_ge(shmreg_process(conn, note, &what), 0);
    ck_assert_uint_eq(what, SHMREG_NEWS_SEALED);
    ck_assert(!shmreg_is_current(region));
    expect_ok(shmreg_refresh(region));
    ck_assert(shmreg_is_current(region));
    ck_assert_ptr_eq(shmreg_data(region), address);
}
END_TEST

START_TEST(test_it_outlives_the_daemon) {
    shmreg_region *region, *refused;

    create_filled(SHMREG_FILE);
    region = open_region(conn, "region", SHMREG_READ);
    expect_ok(shmreg_seal(conn, "region"));
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    ck_assert(is_sealed());
    expect_error(shmreg_open(conn, "region", SHMREG_WRITE, &refused), -EPERM, "sealed");
    expect_ok(shmreg_refresh(region));
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    ck_assert_uint_eq(count_readers(conn, "region"), 1);
}
END_TEST

/* Its daemon does not write to it, so it does not seal it either, but gives nobody a way to write. */
START_TEST(test_adopted_memory_is_offered_for_reading_only) {
    _cleanup_close_ int fd = memfd_create("mine", MFD_CLOEXEC);
    shmreg_region *region;

    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    ck_assert_int_eq(fchmod(fd, 0666), 0);
    expect_ok(shmreg_adopt(conn, "region", fd, NULL, NULL));
    expect_error(shmreg_resize(conn, "region", SIZE + 1), -EINVAL, "max_size");
    expect_ok(shmreg_seal(conn, "region"));
    ck_assert(is_sealed());
    expect_error(shmreg_open(conn, "region", SHMREG_WRITE, &region), -EPERM, "sealed");
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("seal");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    tcase_add_loop_test(cases, test_a_writer_prevents_it_as_long_as_he_is_there, 0, N_BACKINGS);
    tcase_add_loop_test(cases, test_readers_read_and_no_more, 0, N_BACKINGS);
    tcase_add_loop_test(cases, test_the_next_version_is_not_sealed, 0, N_BACKINGS);
    tcase_add_test(cases, test_the_kernel_keeps_a_memfd_sealed_from_who_kept_a_descriptor);
    tcase_add_test(cases, test_it_is_news);
    tcase_add_test(cases, test_it_outlives_the_daemon);
    tcase_add_test(cases, test_adopted_memory_is_offered_for_reading_only);
    return sandbox_run("seal", &cases, 1);
}
