/*
 * What an attach costs: a program opens regions by name through libshmreg, and the same objects
 * through a bare server (bare.h): request, reply, descriptor, mapping. Each round opens a number of
 * different regions in either way, in turn; they are closed between the timed parts.
 */
#include "tests/bench/bare.h"
#include "tests/bench/measure.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGIONS 64u
#define SIZE 65536u
#define PATH_BYTES 300u

static struct test_daemon daemon_;
static shmreg_conn *conn;
static struct series bare = {.name = "bare"}, shmreg = {.name = "shmreg"};
static char names[REGIONS][16], objects[REGIONS][PATH_BYTES];
static int bare_socket;
static struct child bare_server;

/* The server needs one end only, or it would never see the other one close. */
static void serve_one_end(int channel, void *data) {
    const int *ends = data;
    int socket = ends[1];

    close(ends[0]);
    bare_serve(channel, &socket);
}

static void start_bare_server(void) {
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    bare_server = child_start(USER(DAEMON_UID), serve_one_end, ends);
    close(ends[1]);
    bare_socket = ends[0];
}

/* Objects of the regions, whatever region each belongs to: they are all alike. */
static void list_objects(void) {
    DIR *directory = opendir("/dev/shm");
    const struct dirent *entry;
    unsigned count = 0;

    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)) && count < REGIONS)
        if (strncmp(entry->d_name, "shmreg.", 7) == 0)
            snprintf(objects[count++], PATH_BYTES, "/%s", entry->d_name);
    closedir(directory);
    ck_assert_uint_eq(count, REGIONS);
}

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    for (unsigned i = 0; i < REGIONS; i++) {
        snprintf(names[i], sizeof(names[i]), "bench/%u", i);
        create_region(conn, names[i], SIZE, NULL);
    }
    list_objects();
    start_bare_server();
}

static void bare_round(void) {
    size_t sizes[REGIONS];
    void *data[REGIONS];
    int fds[REGIONS];
    uint64_t start = now_nsec();

    for (unsigned i = 0; i < REGIONS; i++)
        data[i] = bare_open(bare_socket, objects[i], &sizes[i], &fds[i]);
    series_add(&bare, now_nsec() - start, REGIONS);
    for (unsigned i = 0; i < REGIONS; i++)
        bare_close(data[i], sizes[i], fds[i]);
}

static void shmreg_round(void) {
    shmreg_region *regions[REGIONS];
    uint64_t start = now_nsec();

    for (unsigned i = 0; i < REGIONS; i++)
        must(shmreg_open(conn, names[i], SHMREG_READ, &regions[i]) == 0);
    series_add(&shmreg, now_nsec() - start, REGIONS);
    for (unsigned i = 0; i < REGIONS; i++) {
        ck_assert_ptr_nonnull(shmreg_data(regions[i]));
        shmreg_close(regions[i]);
    }
    /* A question that waits for its answer: the daemon is through with the detaches. */
    ck_assert_uint_eq(count_readers(conn, names[0]), 0);
}

static void measure(const char *what, unsigned client, unsigned servers) {
    bare.count = shmreg.count = 0;
    pin(0, client);
    pin(daemon_.pid, servers);
    pin(bare_server.pid, servers);
    bare_round();
    shmreg_round();
    bare.count = shmreg.count = 0;
    for (unsigned i = measure_rounds(); i > 0; i--) {
        bare_round();
        shmreg_round();
    }
    print_ratio(what, &bare, &shmreg);
}

/* All of them in one round trip, against as many requests to the bare server. */
static void measure_many(void) {
    const char *pointers[REGIONS];
    shmreg_region *regions[REGIONS];

    for (unsigned i = 0; i < REGIONS; i++)
        pointers[i] = names[i];
    bare.count = shmreg.count = 0;
    for (unsigned i = measure_rounds(); i > 0; i--) {
        uint64_t start;

        bare_round();
        start = now_nsec();
        must(shmreg_open_many(conn, pointers, REGIONS, SHMREG_READ, regions) == 0);
        series_add(&shmreg, now_nsec() - start, REGIONS);
        for (unsigned k = 0; k < REGIONS; k++)
            shmreg_close(regions[k]);
        ck_assert_uint_eq(count_readers(conn, names[0]), 0);
    }
    print_ratio("64 opens in one call, each", &bare, &shmreg);
}

START_TEST(attach) {
    setup();
    measure("open, one processor", 0, 0);
    if (count_processors() > 1)
        measure("open, two processors", 0, 1);
    pin(daemon_.pid, 0);
    pin(bare_server.pid, 0);
    measure_many();
    close(bare_socket);
    child_finish(&bare_server);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("attach");

    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, attach);
    return sandbox_run("bench-attach", &tcase, 1);
}
