/*
 * What others notice of peers that behave badly: the attach of a good client, alone and while offenders
 * are at work, in turn within one run. The daemon has a processor to itself, and the good client goes
 * before the offenders on the other one: what is measured is the daemon's fairness, not the scheduler's.
 */
#include "tests/bench/measure.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OPENS 32u
#define CHUNKS 6u
#define OFFENDERS_MAX 8u

static struct test_daemon daemon_;
static shmreg_conn *conn;
static struct series alone = {.name = "alone"}, beside = {.name = "beside it"};

static size_t describe(char *buffer) {
    return raw_encode(WIRE_DESCRIBE, 1, &(struct wire_describe_request){0},
                      &(struct wire_string){.data = "region"}, buffer);
}

/* Keeps its socket full of requests, and reads what comes. */
static void send_ahead(int channel, void *data) {
    static char request[256], reply[WIRE_MESSAGE_MAX];
    size_t size = describe(request);
    int fd = raw_greet(daemon_.socket);

    (void)data;
    channel_say(channel);
    while (send(fd, request, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 ||
           recv(fd, reply, sizeof(reply), 0) > 0)
        ;
}

static void never_read(int channel, void *data) {
    static char request[256];
    size_t size = describe(request);
    int fd = raw_greet(daemon_.socket);

    (void)data;
    channel_say(channel);
    while (send(fd, request, size, MSG_NOSIGNAL) > 0)
        ;
    pause();
}

static void connect_again_and_again(int channel, void *data) {
    (void)data;
    channel_say(channel);
    for (;;)
        close(raw_connect(daemon_.socket));
}

static int connect_admin(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, daemon_.admin_socket);
    must(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void call_without_end(int channel, void *data) {
    static const char call[] = "{\"method\":\"io.shmreg.Admin.ListRegions\"}";
    static char calls[64 * sizeof(call)], reply[65536];
    int fd = connect_admin();

    (void)data;
    for (size_t i = 0; i < sizeof(calls); i++)
        calls[i] = call[i % sizeof(call)];
    channel_say(channel);
    for (;;) {
        if (send(fd, calls, sizeof(calls), MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
            must(recv(fd, reply, sizeof(reply), 0) > 0);
        while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0)
            ;
    }
}

static void call_byte_by_byte(int channel, void *data) {
    static const char call[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
    static char reply[65536];
    int fd = connect_admin();

    (void)data;
    channel_say(channel);
    for (size_t i = 0;; i++) {
        must(send(fd, &call[i % sizeof(call)], 1, MSG_NOSIGNAL) == 1);
        while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0)
            ;
    }
}

static void attach_round(struct series *series) {
    uint64_t total = 0;

    for (unsigned i = 0; i < OPENS; i++) {
        uint64_t start = now_nsec();
        shmreg_region *region;

        must(shmreg_open(conn, "region", SHMREG_READ, &region) == 0);
        total += now_nsec() - start;
        shmreg_close(region);
    }
    series_add(series, total, OPENS);
}

/* Whatever the good client's class is, the offender is behind it. */
static void step_back(pid_t pid) {
    struct sched_param param;

    ck_assert_int_eq(sched_getparam(0, &param), 0);
    if (param.sched_priority > 1) {
        param.sched_priority--;
        ck_assert_int_eq(sched_setparam(pid, &param), 0);
    } else {
        ck_assert_int_eq(setpriority(PRIO_PROCESS, (id_t)pid, 10), 0);
    }
}

static void measure_rounds_of(struct series *series) {
    for (unsigned i = measure_rounds() / CHUNKS; i > 0; i--)
        attach_round(series);
}

/* By chunks: what an offender has sent would still be there while he is merely stopped. */
static void measure(const char *what, unsigned count, child_function offend) {
    struct child offenders[OFFENDERS_MAX];

    alone.count = beside.count = 0;
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) {
        measure_rounds_of(&alone);
        for (unsigned i = 0; i < count; i++) {
            offenders[i] = child_start(USER(20001), offend, NULL);
            step_back(offenders[i].pid);
            channel_hear(offenders[i].channel);
        }
        measure_rounds_of(&beside);
        for (unsigned i = 0; i < count; i++)
            child_kill(&offenders[i]);
    }
    print_ratio(what, &alone, &beside);
}

START_TEST(peers) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "region", 65536, SHMREG_OPTIONS(.mode = 0644));
    pin(0, 0);
    pin(daemon_.pid, count_processors() - 1);
    measure("replies never read", 1, never_read);
    measure("one byte at a time", 1, call_byte_by_byte);
    measure("requests sent ahead", 1, send_ahead);
    measure("8 send requests ahead", OFFENDERS_MAX, send_ahead);
    measure("connects without end", 1, connect_again_and_again);
    measure("admin calls sent ahead", 1, call_without_end);
    measure("8 send admin calls ahead", OFFENDERS_MAX, call_without_end);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("peers");

    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, peers);
    return sandbox_run("bench-peers", &tcase, 1);
}
