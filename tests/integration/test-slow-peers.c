/*
 * Slow peers: whoever is in the middle of something and does not go on is cut off, with a line in the
 * log that says who and why, and nobody else notices.
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
#include <sys/un.h>
#include <unistd.h>

#define HALF_OPEN 1000u
#define PACE_MSEC 50

static struct test_daemon daemon_;
static shmreg_conn *witness;
static char bytes[65536];

static void setup(void) {
    daemon_start_with(&daemon_, "{\"timeouts\": {\"hello\": 1, \"request\": 1, \"reply\": 1}}");
    witness = connect_to(&daemon_);
    create_region(witness, "region", 100, NULL);
}

static void expect_others_served(void) {
    shmreg_close(open_region(witness, "region", SHMREG_READ));
}

/* So that answers are large. */
static void describe_at_length(void) {
    char attributes[4000];

    memset(attributes, 'x', sizeof(attributes));
    memcpy(attributes, "{\"", 2);
    strcpy(attributes + sizeof(attributes) - 6, "\":1}");
    expect_ok(shmreg_set_attributes(witness, "region", attributes));
}

static bool is_logged(void *data) {
    return daemon_has_logged(&daemon_, data);
}

/* Cut off, with the reason in the log; the witness has been connected all the time. */
static void teardown(const char *reason) {
    wait_until(is_logged, (void *)reason);
    expect_others_served();
    ck_assert(daemon_is_alive(&daemon_));
    shmreg_disconnect(witness);
    daemon_stop(&daemon_);
}

static int connect_admin(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, daemon_.admin_socket);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Without reading: what has come stays there. */
static bool is_closed_within(int fd, int msec) {
    struct pollfd poll_fd = {.fd = fd, .events = 0};

    return poll(&poll_fd, 1, msec) > 0 && poll_fd.revents & (POLLHUP | POLLERR);
}

static void wait_cut_off(int fd) {
    ck_assert(is_closed_within(fd, DEADLINE_MSEC));
}

static bool send_once(int fd, const void *data, size_t size) {
    return send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* Sends the same again and again, until nothing more is taken or the connection is over. */
static void flood(int fd, const void *data, size_t size) {
    bool goes_on = true;

    for (unsigned i = 1; goes_on; i++) {
        goes_on = send_once(fd, data, size) ||
                  (!is_closed_within(fd, PACE_MSEC) && send_once(fd, data, size));
        if (i % 64 == 0)
            expect_others_served();
    }
}

START_TEST(test_no_hello) {
    _cleanup_close_ int fd = -1;

    setup();
    fd = raw_connect(daemon_.socket);
    wait_cut_off(fd);
    teardown("has not said hello");
}
END_TEST

START_TEST(test_requests_but_no_hello) {
    _cleanup_close_ int fd = -1;
    size_t size;

    setup();
    fd = raw_connect(daemon_.socket);
    size = raw_encode(WIRE_DESCRIBE, 1, &(struct wire_describe_request){0},
                      &(struct wire_string){.data = "region"}, bytes);
    flood(fd, bytes, size);
    wait_cut_off(fd);
    teardown("has not said hello");
}
END_TEST

START_TEST(test_replies_that_nobody_reads) {
    _cleanup_close_ int fd = -1;
    size_t size;

    setup();
    fd = raw_greet(daemon_.socket);
    size = raw_encode(WIRE_DESCRIBE, 1, &(struct wire_describe_request){0},
                      &(struct wire_string){.data = "region"}, bytes);
    flood(fd, bytes, size);
    wait_cut_off(fd);
    teardown("has not read its replies");
}
END_TEST

START_TEST(test_no_call) {
    _cleanup_close_ int fd = -1;

    setup();
    fd = connect_admin();
    wait_cut_off(fd);
    teardown("no call came in time");
}
END_TEST

/* After a whole one: from now on it is not the first that is waited for. */
START_TEST(test_a_call_byte_by_byte) {
    static const char call[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
    _cleanup_close_ int fd = -1;

    setup();
    fd = connect_admin();
    ck_assert_int_eq(send(fd, call, sizeof(call), 0), sizeof(call));
    wait_readable(fd);
    do
        expect_others_served();
    while (send(fd, " ", 1, MSG_NOSIGNAL) == 1 && !is_closed_within(fd, PACE_MSEC));
    wait_cut_off(fd);
    teardown("not sent whole in time");
}
END_TEST

START_TEST(test_answers_that_nobody_reads) {
    static const char call[] = "{\"method\":\"io.shmreg.Admin.ListRegions\"}";
    _cleanup_close_ int fd = -1;

    setup();
    describe_at_length();
    fd = connect_admin();
    flood(fd, call, sizeof(call));
    wait_cut_off(fd);
    teardown("has not read its replies");
}
END_TEST

static void expect_refused(char filling, const char *reason) {
    _cleanup_close_ int fd = -1;

    setup();
    fd = connect_admin();
    memset(bytes, filling, sizeof(bytes));
    bytes[sizeof(bytes) - 1] = filling == '[' ? '\0' : filling;
    flood(fd, bytes, sizeof(bytes));
    wait_cut_off(fd);
    teardown(reason);
}

START_TEST(test_an_object_without_end) {
    expect_refused(' ', "more than 256 KiB");
}
END_TEST

START_TEST(test_brackets_without_end) {
    expect_refused('[', "more parts than a call has");
}
END_TEST

static unsigned count_lines(const char *text) {
    _cleanup_fclose_ FILE *log = fopen(daemon_.log, "re");
    char line[512];
    unsigned count = 0;

    ck_assert_ptr_nonnull(log);
    while (fgets(line, sizeof(line), log))
        count += strstr(line, text) != NULL;
    return count;
}

/* They are one user: the log has a few lines about him and no more. */
static void connect_and_wait(int channel, void *data) {
    int fds[HALF_OPEN];

    (void)data;
    for (unsigned i = 0; i < HALF_OPEN; i++)
        fds[i] = raw_connect(daemon_.socket);
    channel_say(channel);
    for (unsigned i = 0; i < HALF_OPEN; i++) {
        wait_cut_off(fds[i]);
        close(fds[i]);
    }
}

START_TEST(test_a_thousand_that_say_nothing) {
    struct child child;

    setup();
    child = child_start(USER(20001), connect_and_wait, NULL);
    channel_hear(child.channel);
    expect_others_served();
    child_finish(&child);
    ck_assert_uint_ge(count_lines("is cut off"), 1);
    ck_assert_uint_le(count_lines("is cut off"), 20);
    teardown("of user 20001 is cut off");
}
END_TEST

/* Timers run only while something is half done: cut off or not, nobody wakes the daemon later. */
START_TEST(test_who_waits_for_nothing_stays) {
    shmreg_region *region;

    setup();
    region = open_region(witness, "region", SHMREG_READ);
    ck_assert(!is_closed_within(shmreg_conn_fd(witness), 2000));
    shmreg_close(region);
    teardown("started");
    ck_assert_uint_eq(count_lines("is cut off"), 0);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("slow-peers");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_no_hello);
    tcase_add_test(tcase, test_requests_but_no_hello);
    tcase_add_test(tcase, test_replies_that_nobody_reads);
    tcase_add_test(tcase, test_no_call);
    tcase_add_test(tcase, test_a_call_byte_by_byte);
    tcase_add_test(tcase, test_answers_that_nobody_reads);
    tcase_add_test(tcase, test_an_object_without_end);
    tcase_add_test(tcase, test_brackets_without_end);
    tcase_add_test(tcase, test_a_thousand_that_say_nothing);
    tcase_add_test(tcase, test_who_waits_for_nothing_stays);
    return sandbox_run("slow-peers", &tcase, 1);
}
