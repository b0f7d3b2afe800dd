/*
 * Sharing: one user writes, another reads, a third is refused, and the kernel holds the line: a
 * reader cannot make his read-only descriptor writable in any way, and a memfd keeps its size.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/smaps.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITER 20001
#define READER 20002
#define STRANGER 20003
#define SIZE 100000L
#define CYCLES 1000

static const uint32_t backings[] = {SHMREG_SHM, SHMREG_MEMFD, SHMREG_FILE};
#define N_BACKINGS (sizeof(backings) / sizeof(backings[0]))

static struct test_daemon daemon_;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    daemon_stop(&daemon_);
}

static void write_region(int channel, void *data) {
    const uint32_t *backing = data;
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    expect_ok(shmreg_create(conn, "shared", SIZE,
                            SHMREG_OPTIONS(.backing = *backing, .acl = "user:20002:r,user:20004:w"),
                            &region));
    ck_assert_uint_eq(shmreg_size(region), SIZE);
    ck_assert_uint_eq(shmreg_version(region), 1);
    fill(shmreg_data(region), SIZE, 1);
    shmreg_disconnect(conn);
}

static void check_read_only(const shmreg_region *region) {
    int fd = shmreg_fd(region);
    char path[32];

    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(mprotect(shmreg_data(region), SIZE, PROT_READ | PROT_WRITE), -1);
    ck_assert_int_eq(errno, EACCES);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_int_eq(open(path, O_RDWR | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(fchmod(fd, 0666), -1);
    ck_assert_int_eq(errno, EPERM);
}

static void read_region(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "shared", SHMREG_READ);

    (void)channel;
    (void)data;
    ck_assert_uint_eq(shmreg_size(region), SIZE);
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    check_read_only(region);
    expect_error(shmreg_open(conn, "shared", SHMREG_WRITE, &region), -EACCES,
                 "user 20002 lacks the right 'w' to region 'shared'");
    shmreg_disconnect(conn);
}

static void be_refused(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    expect_error(shmreg_open(conn, "shared", SHMREG_READ, &region), -EACCES,
                 "user 20003 lacks the right 'r' to region 'shared'");
    shmreg_disconnect(conn);
}

START_TEST(test_two_users_share_and_a_third_is_refused) {
    run_as(USER(WRITER), write_region, (void *)&backings[_i]);
    run_as(USER(READER), read_region, NULL);
    run_as(USER(STRANGER), be_refused, NULL);
}
END_TEST

static void see_a_write(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    const unsigned char *bytes = shmreg_data(open_region(conn, "shared", SHMREG_READ));

    (void)data;
    channel_say(channel);
    channel_hear(channel);
    ck_assert_uint_eq(bytes[SIZE - 1], 77);
    shmreg_disconnect(conn);
}

START_TEST(test_what_one_writes_the_other_sees) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct child reader;
    unsigned char *bytes;

    run_as(USER(WRITER), write_region, (void *)&backings[_i]);
    bytes = shmreg_data(open_region(conn, "shared", SHMREG_WRITE));
    reader = child_start(USER(READER), see_a_write, NULL);
    channel_hear(reader.channel);
    bytes[SIZE - 1] = 77;
    channel_say(reader.channel);
    child_finish(&reader);
    shmreg_disconnect(conn);
}
END_TEST

static void try_to_resize(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;
    struct stat status;
    int fd;

    (void)channel;
    (void)data;
    expect_ok(shmreg_create(conn, "sealed", SIZE,
                            SHMREG_OPTIONS(.backing = SHMREG_MEMFD, .max_size = SIZE * 2),
                            &region));
    fd = shmreg_fd(region);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    ck_assert_int_eq(ftruncate(fd, 1), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(fd, SIZE * 8), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_uint_eq(status.st_uid, DAEMON_UID);
    shmreg_disconnect(conn);
}

START_TEST(test_memfd_keeps_its_size) {
    run_as(USER(WRITER), try_to_resize, NULL);
}
END_TEST

START_TEST(test_every_attachment_has_its_own_description) {
    shmreg_conn *one = connect_to(&daemon_), *two = connect_to(&daemon_);
    int first, second;

    create_region(one, "own", SIZE, SHMREG_OPTIONS(.backing = backings[_i]));
    first = shmreg_fd(open_region(one, "own", SHMREG_READ));
    second = shmreg_fd(open_region(two, "own", SHMREG_READ));
    ck_assert_int_eq(lseek(first, 123, SEEK_SET), 123);
    ck_assert_int_eq(lseek(second, 0, SEEK_CUR), 0);
    shmreg_disconnect(one);
    shmreg_disconnect(two);
}
END_TEST

/* In turn with and without a connection of its own. */
START_TEST(test_cycles_of_open_and_close_leave_nothing) {
    shmreg_conn *conn = connect_to(&daemon_);
    unsigned mappings, served;
    int descriptors;

    create_region(conn, "cycle", SIZE, SHMREG_OPTIONS(.backing = backings[_i]));
    mappings = smaps_count("shmreg");
    descriptors = count_files("/proc/self/fd", "");
    served = settled_descriptors(&daemon_, conn);
    for (unsigned i = 0; i < CYCLES; i++) {
        shmreg_conn *one = i % 10 ? conn : connect_to(&daemon_);
        shmreg_region *region = open_region(one, "cycle", i % 2 ? SHMREG_READ : SHMREG_WRITE);

        ck_assert_int_eq(*(char *)shmreg_data(region), 0);
        shmreg_close(region);
        if (one != conn)
            shmreg_disconnect(one);
    }
    ck_assert_int_eq(count_files("/proc/self/fd", ""), descriptors);
    ck_assert_uint_eq(smaps_count("shmreg"), mappings);
    wait_holders(conn, "cycle", 0, 0);
    ck_assert_uint_eq(settled_descriptors(&daemon_, conn), served);
    shmreg_disconnect(conn);
}
END_TEST

int main(void) {
    TCase *sharing = tcase_create("sharing");

    tcase_add_checked_fixture(sharing, setup, teardown);
    tcase_set_timeout(sharing, 30);
    tcase_add_loop_test(sharing, test_two_users_share_and_a_third_is_refused, 0, N_BACKINGS);
    tcase_add_loop_test(sharing, test_what_one_writes_the_other_sees, 0, N_BACKINGS);
    tcase_add_loop_test(sharing, test_every_attachment_has_its_own_description, 0, N_BACKINGS);
    tcase_add_loop_test(sharing, test_cycles_of_open_and_close_leave_nothing, 0, N_BACKINGS);
    tcase_add_test(sharing, test_memfd_keeps_its_size);
    return sandbox_run("sharing", &sharing, 1);
}
