/*
 * What others notice of a peer that behaves badly: the attach of a good client, alone and while one
 * offender is at work, in turn within one run.
 */
#include "tests/bench/measure.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OPENS 32u
#define CHUNKS 6u

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

static void call_without_end(int channel, void *data) {
    static const char call[] = "{\"method\":\"io.shmreg.Admin.ListRegions\"}";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static char reply[65536];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)data;
    strcpy(address.sun_path, daemon_.admin_socket);
    must(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    channel_say(channel);
    for (;;) {
        must(send(fd, call, sizeof(call), MSG_NOSIGNAL) > 0);
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

/* By chunks: what an offender has sent would still be there while he is merely stopped. */
static void measure(const char *what, child_function offend) {
    alone.count = beside.count = 0;
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct child offender;

        for (unsigned k = measure_rounds() / CHUNKS; k > 0; k--)
            attach_round(&alone);
        offender = child_start(USER(20001), offend, NULL);
        channel_hear(offender.channel);
        for (unsigned k = measure_rounds() / CHUNKS; k > 0; k--)
            attach_round(&beside);
        child_kill(&offender);
    }
    print_ratio(what, &alone, &beside);
}

START_TEST(peers) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "region", 65536, SHMREG_OPTIONS(.mode = 0644));
    measure("requests sent ahead", send_ahead);
    measure("replies never read", never_read);
    measure("connects without end", connect_again_and_again);
    measure("admin calls without end", call_without_end);
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
