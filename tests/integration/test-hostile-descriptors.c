/*
 * Hostile descriptors: whatever comes along with a message, with however many of them and however slow
 * to close, is let go of, and nobody else waits.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/fsck.h"
#include "tests/support/fuse.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"
#include "tests/unit/wire-shapes.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTILE 20001
#define OTHER 20002
#define SENDABLE_MAX 253 /* SCM_MAX_FD of the kernel */
#define SIZE 10000L

static struct test_daemon daemon_;
static shmreg_conn *witness;
static unsigned descriptors;

static void setup(void) {
    daemon_start(&daemon_);
    witness = connect_to(&daemon_);
    create_region(witness, "witness", SIZE, SHMREG_OPTIONS(.mode = 0644));
    descriptors = settled_descriptors(&daemon_, witness);
}

static bool is_settled(void *data) {
    (void)data;
    return settled_descriptors(&daemon_, witness) == descriptors;
}

static void expect_others_served(void) {
    shmreg_close(open_region(witness, "witness", SHMREG_READ));
}

static void teardown(void) {
    expect_others_served();
    wait_until(is_settled, NULL);
    shmreg_disconnect(witness);
    daemon_stop(&daemon_);
}

/* More than packet_send() would, all of them the same. Returns what sendmsg(2) does. */
static ssize_t send_with(int socket, const void *data, size_t size, int fd, size_t count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * SENDABLE_MAX)] = {0};
    struct msghdr message = {
        .msg_iov = &(struct iovec){(void *)data, size},
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count),
    };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int open_pipe(void) {
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[1]);
    return ends[0];
}

static void send_one_too_many(int channel, void *data) {
    static _Alignas(8) char buffer[WIRE_MESSAGE_MAX];
    _cleanup_close_ int pipe = open_pipe();

    (void)channel;
    (void)data;
    for (size_t i = 0; i < ARRAY_SIZE(wire_shapes); i++) {
        const struct wire_shape *shape = &wire_shapes[i];
        _cleanup_close_ int fd = -1;
        size_t size;

        if (shape->side != WIRE_REQUEST_SIDE)
            continue;
        fd = raw_greet(daemon_.socket);
        size = (size_t)wire_shape_message(shape, buffer);
        ck_assert_int_eq(send_with(fd, buffer, size, pipe, shape->n_fds + 1), (ssize_t)size);
        ck_assert_msg(raw_receive_status(fd) == -EBADMSG, "%s", shape->name);
        raw_wait_closed(fd);
    }
}

START_TEST(test_a_descriptor_too_many_with_every_message) {
    run_as(USER(HOSTILE), send_one_too_many, NULL);
}
END_TEST

static void send_bombs(int channel, void *data) {
    _cleanup_close_ int pipe = open_pipe();

    (void)channel;
    (void)data;
    for (unsigned i = 0; i < 100; i++) {
        _cleanup_close_ int fd = raw_connect(daemon_.socket);

        ck_assert_int_eq(send_with(fd, "bomb", 4, pipe, SENDABLE_MAX), 4);
        raw_wait_closed(fd);
    }
}

START_TEST(test_bombs) {
    run_as(USER(HOSTILE), send_bombs, NULL);
}
END_TEST

/* What is under way is charged by the kernel to who has sent it, and to nobody else. */
static void fill_the_air(int channel, void *data) {
    const struct rlimit few = {100, 100};
    _cleanup_close_ int fd = raw_connect(daemon_.socket), pipe = open_pipe();
    unsigned sent = 0;
    ssize_t n;

    (void)data;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    channel_hear(channel);
    while ((n = send_with(fd, "x", 1, pipe, 50)) == 1)
        sent++;
    ck_assert_int_eq(errno, ETOOMANYREFS);
    ck_assert_uint_ge(sent, 2);
    ck_assert_uint_le(sent, 3);
    channel_say(channel);
}

START_TEST(test_descriptors_in_flight_are_their_senders) {
    struct child hostile = child_start(USER(HOSTILE), fill_the_air, NULL);

    ck_assert_int_eq(kill(daemon_.pid, SIGSTOP), 0);
    channel_say(hostile.channel);
    channel_hear(hostile.channel);
    ck_assert_int_eq(kill(daemon_.pid, SIGCONT), 0);
    child_finish(&hostile);
}
END_TEST

static unsigned count_threads(void) {
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/task", daemon_.pid);
    return (unsigned)count_files(path, "");
}

static int32_t send_adoption(int fd, int handed_over) {
    static const struct wire_string strings[] = {{.data = "lie"}, {.data = ""}, {.data = ""}};
    struct wire_adopt_request body = {.spec = {.mode = WIRE_MODE_DEFAULT}};
    _Alignas(8) char buffer[512];
    size_t size = raw_encode(WIRE_ADOPT, 1, &body, strings, buffer);

    ck_assert_int_eq(packet_send(fd, buffer, size, &handed_over, 1), 0);
    return raw_receive_status(fd);
}

/* Nobody else has the file open: closing it, as exit(2) does, waits for the server as well. */
static void hold_what_never_closes(int channel) {
    channel_say(channel);
    channel_hear(channel);
    _exit(0);
}

/* Until none is taken any more; then everything else goes on. */
static void adopt_what_never_closes(int channel, void *data) {
    int file = fuse_open(data), fd = raw_greet(daemon_.socket);
    shmreg_conn *conn;

    for (unsigned i = 0; i < 65; i++)
        ck_assert_int_eq(send_adoption(fd, file), -EOPNOTSUPP);
    ck_assert_int_eq(send_with(fd, "more", 4, file, SENDABLE_MAX), 4);
    raw_wait_closed(fd);
    conn = connect_to(&daemon_);
    shmreg_close(open_region(conn, "witness", SHMREG_READ));
    shmreg_disconnect(conn);
    hold_what_never_closes(channel);
}

static void adopt_as_other(int channel, void *data) {
    _cleanup_close_ int fd = raw_greet(daemon_.socket), pipe = open_pipe();

    (void)channel;
    (void)data;
    ck_assert_int_eq(send_adoption(fd, pipe), -EOPNOTSUPP);
}

static bool has_one_thread(void *data) {
    (void)data;
    return count_threads() == 1;
}

START_TEST(test_files_that_never_close) {
    struct fuse_server server;
    struct child hostile;
    int r = fuse_start(&server);

    if (r < 0) {
        fprintf(stderr, "skipped: no FUSE here: %s\n", strerror(-r));
        return;
    }
    ck_assert_uint_eq(count_threads(), 1);
    hostile = child_start(USER(HOSTILE), adopt_what_never_closes, &server);
    channel_hear(hostile.channel);
    ck_assert_uint_eq(count_threads(), 2);
    ck_assert_uint_le(settled_descriptors(&daemon_, witness), descriptors + 66);
    ck_assert(daemon_has_logged(&daemon_, "no more descriptors are taken from it"));
    run_as(USER(OTHER), adopt_as_other, NULL);
    expect_others_served();
    fuse_stop(&server);
    channel_say(hostile.channel);
    child_finish(&hostile);
    wait_until(has_one_thread, NULL);
}
END_TEST

static void adopt_one(int channel, void *data) {
    int file = fuse_open(data), fd = raw_greet(daemon_.socket);

    ck_assert_int_eq(send_adoption(fd, file), -EOPNOTSUPP);
    hold_what_never_closes(channel);
}

/* Its sockets are closed, and so is its registry. */
static bool has_let_go(void *data) {
    struct fsck fsck = fsck_run(&daemon_, false);
    bool free_to_use = fsck.status != 2;

    (void)data;
    fsck_deinit(&fsck);
    return free_to_use;
}

/* The kernel lets no process end that closes such a file. One that was asked to end has let go of all
 * else, so that the next daemon need not wait. */
START_TEST(test_a_daemon_that_cannot_end_is_replaced) {
    struct fuse_server server;
    struct child hostile;
    int r = fuse_start(&server);
    pid_t stuck = daemon_.pid;

    if (r < 0)
        return;
    hostile = child_start(USER(HOSTILE), adopt_one, &server);
    channel_hear(hostile.channel);
    ck_assert_int_eq(kill(stuck, SIGTERM), 0);
    wait_until(has_let_go, NULL);
    daemon_launch(&daemon_);
    expect_others_served();
    ck_assert_int_eq(waitpid(stuck, NULL, WNOHANG), 0);
    fuse_stop(&server);
    ck_assert_int_eq(waitpid(stuck, NULL, 0), stuck);
    channel_say(hostile.channel);
    child_finish(&hostile);
}
END_TEST

/* After SIGKILL it has not: nothing but the end of the server helps. */
START_TEST(test_a_daemon_that_is_killed_and_cannot_end) {
    struct fuse_server server;
    struct child hostile;
    int r = fuse_start(&server);

    if (r < 0)
        return;
    hostile = child_start(USER(HOSTILE), adopt_one, &server);
    channel_hear(hostile.channel);
    ck_assert_int_eq(kill(daemon_.pid, SIGKILL), 0);
    ck_assert(!has_let_go(NULL));
    ck_assert_int_eq(waitpid(daemon_.pid, NULL, WNOHANG), 0);
    fuse_stop(&server);
    ck_assert_int_eq(waitpid(daemon_.pid, NULL, 0), daemon_.pid);
    daemon_launch(&daemon_);
    channel_say(hostile.channel);
    child_finish(&hostile);
}
END_TEST

/* Cut, sealed, or emptied behind everyone's back: each is an error or zeroes to whoever looks. */
START_TEST(test_adopted_memory_that_changes_later) {
    int fd = memfd_create("changes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    shmreg_region *region, *other;

    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
    ck_assert_int_eq(fchmod(fd, 0666), 0);
    expect_ok(shmreg_adopt(witness, "changes", fd, NULL, NULL));
    region = open_region(witness, "changes", SHMREG_READ);
    ck_assert_int_eq(*(const char *)shmreg_data(region), 'x');
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE), 0);
    ck_assert_int_eq(*(const char *)shmreg_data(region), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
    expect_error(shmreg_open(witness, "changes", SHMREG_WRITE, &other), -EACCES, "is sealed");
    ck_assert_int_eq(ftruncate(fd, 1), 0);
    shmreg_close(region);
    expect_error(shmreg_open(witness, "changes", SHMREG_READ, &other), -EIO, "cut its memory");
    expect_ok(shmreg_destroy(witness, "changes"));
    close(fd);
}
END_TEST

int main(void) {
    TCase *hostile = tcase_create("hostile-descriptors");

    tcase_add_checked_fixture(hostile, setup, teardown);
    tcase_set_timeout(hostile, 30);
    tcase_add_test(hostile, test_a_descriptor_too_many_with_every_message);
    tcase_add_test(hostile, test_bombs);
    tcase_add_test(hostile, test_descriptors_in_flight_are_their_senders);
    tcase_add_test(hostile, test_files_that_never_close);
    tcase_add_test(hostile, test_a_daemon_that_cannot_end_is_replaced);
    tcase_add_test(hostile, test_a_daemon_that_is_killed_and_cannot_end);
    tcase_add_test(hostile, test_adopted_memory_that_changes_later);
    return sandbox_run("hostile-descriptors", &hostile, 1);
}
