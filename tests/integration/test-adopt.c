/*
 * Adopting: memory of a client's own becomes a region, offered with no more rights than the
 * descriptor carried; whatever else is handed over is refused, and leaves nothing in the daemon.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER 20001
#define OTHER 20002
#define SIZE 10000L

static struct test_daemon daemon_;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    ck_assert(daemon_is_alive(&daemon_));
    daemon_stop(&daemon_);
}

static void fill_file(int fd) {
    unsigned char bytes[SIZE];

    fill(bytes, SIZE, 1);
    ck_assert_int_eq(pwrite(fd, bytes, SIZE, 0), SIZE);
}

static int make_memfd(mode_t mode, int seals) {
    int fd = memfd_create("test-adopt", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    fill_file(fd);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int make_shm(mode_t mode) {
    int fd = shm_open("/test-adopt", O_RDWR | O_CREAT | O_EXCL, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    fill_file(fd);
    return fd;
}

static int reopen(int fd, int flags) {
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC);
    ck_assert_int_ge(again, 0);
    close(fd);
    return again;
}

static void can_read(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "region", SHMREG_READ);

    (void)channel;
    (void)data;
    ck_assert_uint_eq(shmreg_size(region), SIZE);
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    ck_assert_int_eq(fcntl(shmreg_fd(region), F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, shmreg_fd(region), 0),
                     MAP_FAILED);
    shmreg_disconnect(conn);
}

static void cannot_write(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    expect_error(shmreg_open(conn, "region", SHMREG_WRITE, &region), -EACCES, "can only be read");
    shmreg_disconnect(conn);
}

static void can_write(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "region", SHMREG_WRITE);

    (void)channel;
    (void)data;
    ((char *)shmreg_data(region))[SIZE - 1] ^= 1;
    shmreg_disconnect(conn);
}

static void only_read(void) {
    run_as(USER(OWNER), can_read, NULL);
    run_as(USER(OTHER), can_read, NULL);
    run_as(USER(OWNER), cannot_write, NULL);
    run_as(USER(OTHER), cannot_write, NULL);
    run_as(USER(0), cannot_write, NULL);
}

/* Calls @test as the owner, whose region stays until it has heard from the test once more. */
static struct child start_owner(child_function test) {
    struct child owner = child_start(USER(OWNER), test, NULL);

    channel_hear(owner.channel);
    return owner;
}

static void finish_owner(struct child *owner) {
    channel_say(owner->channel);
    child_finish(owner);
}

static void adopt(shmreg_conn *conn, int fd, shmreg_region **ret) {
    expect_ok(shmreg_adopt(conn, "region", fd, SHMREG_OPTIONS(.mode = 0666), ret));
}

static void adopt_writable_memfd(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = make_memfd(0777, 0);
    struct shmreg_description *description;
    shmreg_region *region;
    char byte, before;

    (void)data;
    ck_assert_int_eq(pread(fd, &before, 1, SIZE - 1), 1);
    adopt(conn, fd, &region);
    ck_assert_uint_eq(shmreg_size(region), SIZE);
    ck_assert_int_eq(fcntl(shmreg_fd(region), F_GETFL) & O_ACCMODE, O_RDWR);
    expect_ok(shmreg_describe(conn, "region", &description));
    ck_assert_uint_eq(description->backing, SHMREG_ADOPTED);
    ck_assert_uint_eq(description->owner_uid, OWNER);
    ck_assert_uint_eq(description->max_size, SIZE);
    shmreg_description_free(description);
    channel_say(channel);
    channel_hear(channel);
    ck_assert_int_eq(pread(fd, &byte, 1, SIZE - 1), 1);
    ck_assert_int_eq(byte, before ^ 1);
    ck_assert_int_eq(((const char *)shmreg_data(region))[SIZE - 1], byte);
    shmreg_disconnect(conn);
}

START_TEST(test_a_memfd_is_shared_with_whoever_may) {
    struct child owner = start_owner(adopt_writable_memfd);

    run_as(USER(OTHER), can_read, NULL);
    run_as(USER(OTHER), can_write, NULL);
    finish_owner(&owner);
}
END_TEST

static int readable_memfd(void) {
    return reopen(make_memfd(0644, 0), O_RDONLY);
}

static int sealed_memfd(void) {
    return make_memfd(0777, F_SEAL_WRITE);
}

static int future_sealed_memfd(void) {
    return make_memfd(0777, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK);
}

static int readable_file(void) {
    char path[] = "/tmp/shmreg-test-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    fill_file(fd);
    unlink(path);
    return reopen(fd, O_RDONLY);
}

static int (*const readable[])(void) = {readable_memfd, sealed_memfd, future_sealed_memfd,
                                        readable_file};
static int which;

static void adopt_readable(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = readable[which]();
    shmreg_region *region;

    (void)data;
    adopt(conn, fd, &region);
    ck_assert_int_eq(fcntl(shmreg_fd(region), F_GETFL) & O_ACCMODE, O_RDONLY);
    channel_say(channel);
    channel_hear(channel);
    expect_ok(shmreg_destroy(conn, "region"));
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    shmreg_disconnect(conn);
}

START_TEST(test_what_can_only_be_read_is_offered_so_to_all) {
    struct child owner;

    which = _i;
    owner = start_owner(adopt_readable);
    only_read();
    finish_owner(&owner);
}
END_TEST

static void adopt_shm(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = make_shm(0600);
    shmreg_region *region;

    (void)data;
    expect_error(shmreg_adopt(conn, "region", fd, NULL, NULL), -EACCES,
                 "make it accessible to it (chmod), or use a memfd");
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    /* The handle would be for writing, as the descriptor is. */
    expect_error(shmreg_adopt(conn, "region", fd, NULL, &region), -EACCES, "can only be read");
    ck_assert(!exists(conn, "region"));
    adopt(conn, fd, NULL);
    channel_say(channel);
    channel_hear(channel);
    shmreg_disconnect(conn);
}

START_TEST(test_a_shm_object_is_offered_as_far_as_the_daemon_may) {
    struct child owner = start_owner(adopt_shm);

    only_read();
    finish_owner(&owner);
    ck_assert_int_eq(count_files("/dev/shm", "test-adopt"), 1);
}
END_TEST

static int open_fifo(void) {
    ck_assert_int_eq(mkfifo("/dev/shm/fifo", 0666), 0);
    return open("/dev/shm/fifo", O_RDWR | O_CLOEXEC);
}

static int open_socket(void) {
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_pipe(void) {
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[1]);
    return ends[0];
}

static int open_device(void) {
    return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int open_proc(void) {
    return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
}

static int open_directory(void) {
    return open("/dev/shm", O_RDONLY | O_CLOEXEC);
}

static int open_path(void) {
    return reopen(make_memfd(0777, 0), O_PATH);
}

static int open_for_writing(void) {
    return reopen(make_memfd(0777, 0), O_WRONLY);
}

static int open_empty(void) {
    return memfd_create("empty", MFD_CLOEXEC);
}

static const struct {
    int (*open)(void);
    int code;
    const char *sentence;
} hostile[] = {
    {open_fifo, -EINVAL, "no memory"},
    {open_socket, -EOPNOTSUPP, "neither a memfd nor a file"},
    {open_pipe, -EOPNOTSUPP, "neither a memfd nor a file"},
    {open_device, -EOPNOTSUPP, "a file system of type devtmpfs"},
    {open_proc, -EOPNOTSUPP, "a file system of type proc"},
    {open_directory, -EINVAL, "no memory"},
    {open_path, -EACCES, "O_PATH"},
    {open_for_writing, -EACCES, "for writing only"},
    {open_empty, -EINVAL, "its size is 0"},
};

struct settling {
    shmreg_conn *conn;
    unsigned descriptors;
};

/* What is no memory is closed aside. */
static bool is_settled(void *data) {
    const struct settling *settling = data;

    return settled_descriptors(&daemon_, settling->conn) == settling->descriptors;
}

static void be_hostile(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct settling settling = {conn, settled_descriptors(&daemon_, conn)};
    shmreg_region *region;

    (void)channel;
    (void)data;
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        _cleanup_close_ int fd = hostile[i].open();

        ck_assert_int_ge(fd, 0);
        expect_error(shmreg_adopt(conn, "region", fd, NULL, &region), hostile[i].code,
                     hostile[i].sentence);
        wait_until(is_settled, &settling);
    }
    expect_error(shmreg_adopt(conn, "region", 1000, NULL, &region), -EBADF, "its descriptor");
    expect_error(shmreg_create(conn, "region", 1, SHMREG_OPTIONS(.backing = SHMREG_ADOPTED), NULL),
                 -EINVAL, "choose of shm, memfd, file");
    ck_assert(!exists(conn, "region"));
    shmreg_disconnect(conn);
}

START_TEST(test_whatever_else_is_refused) {
    run_as(USER(0), be_hostile, NULL);
}
END_TEST

struct read {
    const char *memory;
    char copy[SIZE];
};

static void copy_memory(void *data) {
    struct read *read = data;

    memcpy(read->copy, read->memory, SIZE);
}

START_TEST(test_what_is_cut_later_hurts_nobody_else) {
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = make_memfd(0777, 0);
    shmreg_region *region, *other;
    struct read read;
    uint64_t offset;
    size_t size;

    adopt(conn, fd, NULL);
    region = open_region(conn, "region", SHMREG_READ);
    ck_assert_int_eq(ftruncate(fd, 1), 0);
    read.memory = shmreg_data(region);
    expect_error(shmreg_guard(region, copy_memory, &read, &offset), -EFAULT, "no memory");
    expect_error(shmreg_open(conn, "region", SHMREG_WRITE, &other), -EIO, "cut its memory");
    expect_error(shmreg_get(conn, "region", read.copy, SIZE, &size), -EUCLEAN, "truncated");
    expect_error(shmreg_put(conn, "region", "x", 1, 0600), -EOPNOTSUPP, "adopted");
    shmreg_close(region);
    expect_ok(shmreg_destroy(conn, "region"));
    shmreg_disconnect(conn);
    close(fd);
}
END_TEST

static void expect_miscounted(enum wire_op op, const void *body, size_t n_fds) {
    _Alignas(8) char buffer[WIRE_MESSAGE_MAX];
    struct wire_string strings[] = {{.data = "region"}, {.data = ""}, {.data = ""}};
    _cleanup_close_ int fd = raw_greet(daemon_.socket);
    size_t size = raw_encode(op, 1, body, strings, buffer);
    int memory = make_memfd(0777, 0);

    ck_assert_int_eq(packet_send(fd, buffer, size, (int[]){memory, memory}, n_fds), 0);
    ck_assert_int_eq(raw_receive_status(fd), -EBADMSG);
    raw_wait_closed(fd);
    close(memory);
}

START_TEST(test_descriptors_are_counted) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct wire_adopt_request adoption = {.spec = {.mode = WIRE_MODE_DEFAULT}};
    struct wire_create_request creation = {.spec = {.mode = WIRE_MODE_DEFAULT, .size = 1}};
    unsigned descriptors = settled_descriptors(&daemon_, conn);

    expect_miscounted(WIRE_ADOPT, &adoption, 0);
    expect_miscounted(WIRE_ADOPT, &adoption, 2);
    expect_miscounted(WIRE_CREATE, &creation, 1);
    ck_assert(!exists(conn, "region"));
    ck_assert_uint_eq(settled_descriptors(&daemon_, conn), descriptors);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_a_hundred_leave_nothing) {
    shmreg_conn *conn = connect_to(&daemon_);
    unsigned descriptors = settled_descriptors(&daemon_, conn);
    int fd = make_memfd(0777, 0);
    shmreg_region *region;

    for (unsigned i = 0; i < 100; i++) {
        adopt(conn, fd, i % 2 ? &region : NULL);
        ck_assert_uint_eq(settled_descriptors(&daemon_, conn), descriptors + 1);
        if (i % 2)
            shmreg_close(region);
        expect_ok(shmreg_destroy(conn, "region"));
    }
    ck_assert_uint_eq(settled_descriptors(&daemon_, conn), descriptors);
    shmreg_disconnect(conn);
    close(fd);
}
END_TEST

static void adopt_over_the_limit(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = make_memfd(0777, 0);

    (void)channel;
    (void)data;
    expect_error(shmreg_adopt(conn, "region", fd, NULL, NULL), -EDQUOT, "bytes");
    ck_assert_int_eq(ftruncate(fd, SIZE / 2), 0);
    expect_ok(shmreg_adopt(conn, "region", fd, NULL, NULL));
    shmreg_disconnect(conn);
}

START_TEST(test_it_counts_against_the_limits) {
    daemon_stop(&daemon_);
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"bytes\":9000}}}");
    run_as(USER(OWNER), adopt_over_the_limit, NULL);
}
END_TEST

START_TEST(test_without_a_service_manager_it_ends_with_the_daemon) {
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = make_memfd(0777, 0);
    shmreg_region *region;

    adopt(conn, fd, &region);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    ck_assert(!exists(conn, "region"));
    ck_assert(!shmreg_is_current(region));
    ck_assert(is_filled(shmreg_data(region), SIZE, 1));
    ck_assert(daemon_has_logged(&daemon_, "its adopted memory ended with the last daemon"));
    adopt(conn, fd, NULL);
    shmreg_disconnect(conn);
    close(fd);
}
END_TEST

int main(void) {
    TCase *adopting = tcase_create("adopt");

    tcase_add_checked_fixture(adopting, setup, teardown);
    tcase_set_timeout(adopting, 60);
    tcase_add_test(adopting, test_a_memfd_is_shared_with_whoever_may);
    tcase_add_loop_test(adopting, test_what_can_only_be_read_is_offered_so_to_all, 0,
                        ARRAY_SIZE(readable));
    tcase_add_test(adopting, test_a_shm_object_is_offered_as_far_as_the_daemon_may);
    tcase_add_test(adopting, test_whatever_else_is_refused);
    tcase_add_test(adopting, test_what_is_cut_later_hurts_nobody_else);
    tcase_add_test(adopting, test_descriptors_are_counted);
    tcase_add_test(adopting, test_a_hundred_leave_nothing);
    tcase_add_test(adopting, test_it_counts_against_the_limits);
    tcase_add_test(adopting, test_without_a_service_manager_it_ends_with_the_daemon);
    return sandbox_run("adopt", (TCase *[]){adopting}, 1);
}
