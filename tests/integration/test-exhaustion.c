/*
 * Exhaustion: clients that do not read, and a daemon that runs out of descriptors. Whoever is
 * affected gets a clear error; everybody else is served, and so are they when there is room again.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define DESCRIPTORS 64
#define MANY 200

static struct test_daemon daemon_;
static shmreg_conn *conn;

static void start(rlim_t max_descriptors) {
    daemon_prepare(&daemon_, "{\"limits\":{\"user\":{\"connections\":\"none\"}}}");
    daemon_.max_descriptors = max_descriptors;
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    ck_assert(daemon_is_alive(&daemon_));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

/* Until the socket takes no more: the daemon reads nothing from whoever does not read its answers.
 * Returns how many requests went out. */
static unsigned flood(int fd, enum wire_op op, const void *body, const struct wire_string *string) {
    char request[512];
    size_t size = raw_encode(op, 5, body, string, request);
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    unsigned sent = 0;

    while (sent < 100000 && poll(&poller, 1, 300) > 0)
        if (send(fd, request, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
            sent++;
    return sent;
}

static void expect_answers(int fd, unsigned count, size_t n_fds) {
    for (unsigned i = 0; i < count; i++) {
        struct raw_reply reply;

        raw_receive(fd, &reply);
        ck_assert_int_eq(reply.message.header.status, 0);
        ck_assert_uint_eq(reply.fds.count, n_fds);
        raw_reply_deinit(&reply);
    }
}

START_TEST(test_a_client_that_never_reads) {
    static char value[SHMREG_VALUE_MAX];
    _cleanup_close_ int fd = -1;
    unsigned sent;

    start(0);
    expect_ok(shmreg_put(conn, "value", value, sizeof(value), SHMREG_MODE_DEFAULT));
    fd = raw_greet(daemon_.socket);
    sent = flood(fd, WIRE_GET, &(struct wire_get_request){.capacity = WIRE_VALUE_MAX},
                 &(struct wire_string){.data = "value"});
    ck_assert_uint_gt(sent, 3);
    ck_assert_uint_lt(sent, 100000);
    create_region(conn, "others", 1, NULL);
    /* When it does read, nothing is missing. */
    expect_answers(fd, sent, 0);
}
END_TEST

static bool has_given_back(void *data) {
    return settled_descriptors(&daemon_, conn) <= *(unsigned *)data;
}

START_TEST(test_a_client_that_never_takes_its_descriptors) {
    static const char name[] = "region";
    unsigned before, sent;
    int fd;

    start(0);
    create_region(conn, name, 1, NULL);
    before = settled_descriptors(&daemon_, conn);
    fd = raw_greet(daemon_.socket);
    sent = flood(fd, WIRE_OPEN, &(struct wire_open_request){.count = 1, .access = WIRE_READ},
                 &(struct wire_string){name, sizeof(name)});
    ck_assert_uint_lt(sent, 100000);
    ck_assert_uint_gt(count_readers(conn, name), 0);
    /* Descriptors under way are no longer the daemon's. */
    ck_assert_uint_le(settled_descriptors(&daemon_, conn), before + 3);
    close(fd);
    wait_holders(conn, name, 0, 0);
    wait_until(has_given_back, &before);
}
END_TEST

static void open_connections(int fds[static MANY]) {
    for (unsigned i = 0; i < MANY; i++)
        fds[i] = raw_connect(daemon_.socket);
}

static void close_connections(int fds[static MANY]) {
    for (unsigned i = 0; i < MANY; i++)
        close(fds[i]);
}

static bool is_out_of_descriptors(void *data) {
    (void)data;
    return daemon_has_logged(&daemon_, "cannot accept connections: Too many open files");
}

START_TEST(test_more_connections_than_descriptors) {
    shmreg_conn *late;
    int fds[MANY];

    start(DESCRIPTORS);
    create_region(conn, "region", 100, NULL);
    open_connections(fds);
    wait_until(is_out_of_descriptors, NULL);
    /* Who is connected is answered, if only with the reason why not. */
    expect_error(shmreg_create(conn, "one-more", 1, NULL, &(shmreg_region *){0}), -EMFILE,
                 "Too many open files");
    ck_assert(exists(conn, "region"));
    ck_assert(!exists(conn, "one-more"));
    close_connections(fds);
    late = connect_to(&daemon_);
    create_region(late, "one-more", 1, NULL);
    shmreg_disconnect(late);
}
END_TEST

/* A memfd is a descriptor of the daemon as long as its region is. */
START_TEST(test_more_memfds_than_descriptors) {
    char name[16];
    unsigned made = 0;
    int r;

    start(DESCRIPTORS);
    do {
        snprintf(name, sizeof(name), "memfd/%u", made);
        r = shmreg_create(conn, name, 1,
                          SHMREG_OPTIONS(.backing = SHMREG_MEMFD, .flags = SHMREG_DETACHED),
                          &(shmreg_region *){0});
        made += r == 0;
    } while (r == 0 && made < MANY);
    ck_assert_int_eq(r, -EMFILE);
    ck_assert_ptr_nonnull(strstr(shmreg_error_message(), "Too many open files"));
    ck_assert_uint_gt(made, 10);
    while (made-- > 0) {
        snprintf(name, sizeof(name), "memfd/%u", made);
        expect_ok(shmreg_destroy(conn, name));
    }
    create_region(conn, "room", 1, SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
}
END_TEST

static void run_out(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    struct rlimit limit = {0, 0};
    shmreg_region *region;
    int used = count_files("/proc/self/fd", "");

    (void)channel;
    (void)data;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 3;
    ck_assert_int_gt(used, 3);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_error(shmreg_open(own, "region", SHMREG_READ, &region), -EMFILE, "descriptor");
    expect_error(shmreg_create(own, "new", 1, NULL, &region), -EMFILE, "descriptor");
    ck_assert(!exists(own, "new"));
    ck_assert_uint_eq(count_readers(own, "region"), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    shmreg_close(open_region(own, "region", SHMREG_READ));
    shmreg_disconnect(own);
}

START_TEST(test_a_client_without_a_descriptor_to_spare) {
    start(0);
    create_region(conn, "region", 1, SHMREG_OPTIONS(.mode = 0644));
    run_as(USER(20001), run_out, NULL);
}
END_TEST

int main(void) {
    TCase *exhaustion = tcase_create("exhaustion");

    tcase_add_checked_fixture(exhaustion, NULL, teardown);
    tcase_set_timeout(exhaustion, 40);
    tcase_add_test(exhaustion, test_a_client_that_never_reads);
    tcase_add_test(exhaustion, test_a_client_that_never_takes_its_descriptors);
    tcase_add_test(exhaustion, test_more_connections_than_descriptors);
    tcase_add_test(exhaustion, test_more_memfds_than_descriptors);
    tcase_add_test(exhaustion, test_a_client_without_a_descriptor_to_spare);
    return sandbox_run("exhaustion", &exhaustion, 1);
}
