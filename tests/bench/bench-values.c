/*
 * What else costs how much: a second open of a region that is held, creating and destroying, and
 * small values by put and get, against a process that takes and gives them over a socket.
 */
#include "tests/bench/measure.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32u
#define SIZE 4096u

static struct test_daemon daemon_;
static shmreg_conn *conn;
static char value[SHMREG_VALUE_MAX], copy[SHMREG_VALUE_MAX];

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    pin(0, 0);
    pin(daemon_.pid, 0);
    fill(value, sizeof(value), 1);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

START_TEST(second_open) {
    static struct series first = {.name = "first"}, second = {.name = "second"};
    shmreg_region *held, *again[BATCH];

    setup();
    create_region(conn, "held", SIZE, NULL);
    for (unsigned i = measure_rounds(); i > 0; i--) {
        uint64_t start = now_nsec();

        must(shmreg_open(conn, "held", SHMREG_READ, &held) == 0);
        series_add(&first, now_nsec() - start, 1);
        start = now_nsec();
        for (unsigned k = 0; k < BATCH; k++)
            must(shmreg_open(conn, "held", SHMREG_READ, &again[k]) == 0);
        series_add(&second, now_nsec() - start, BATCH);
        for (unsigned k = 0; k < BATCH; k++)
            shmreg_close(again[k]);
        shmreg_close(held);
        ck_assert_uint_eq(count_readers(conn, "held"), 0);
    }
    print_ratio("open of a held region", &first, &second);
    teardown();
}
END_TEST

static void measure_create(const char *what, uint32_t backing) {
    const struct shmreg_options *options =
        SHMREG_OPTIONS(.backing = backing, .flags = SHMREG_DETACHED);
    static struct series create, destroy;

    create = (struct series){.name = "create"};
    destroy = (struct series){.name = "destroy"};

    for (unsigned i = measure_rounds(); i > 0; i--) {
        char name[BATCH][16];
        uint64_t start = now_nsec();

        for (unsigned k = 0; k < BATCH; k++) {
            snprintf(name[k], sizeof(name[k]), "new/%u", k);
            must(shmreg_create(conn, name[k], SIZE, options, NULL) == 0);
        }
        series_add(&create, now_nsec() - start, BATCH);
        start = now_nsec();
        for (unsigned k = 0; k < BATCH; k++)
            must(shmreg_destroy(conn, name[k]) == 0);
        series_add(&destroy, now_nsec() - start, BATCH);
    }
    print_ratio(what, &create, &destroy);
}

START_TEST(create_and_destroy) {
    setup();
    measure_create("create and destroy, shm", SHMREG_SHM);
    measure_create("create and destroy, memfd", SHMREG_MEMFD);
    teardown();
}
END_TEST

/* Takes a value over a socket, keeps a copy, and sends it back. */
static void echo(int channel, void *data) {
    size_t size = *(size_t *)data;

    while (recv(channel, copy, size, MSG_WAITALL) == (ssize_t)size) {
        memcpy(value, copy, size);
        must(send(channel, value, size, MSG_NOSIGNAL) == (ssize_t)size);
    }
}

static void measure_value(size_t size) {
    static struct series piped, put_and_get;
    struct child other = child_start(USER(DAEMON_UID), echo, &size);
    char what[32];

    piped = (struct series){.name = "socket"};
    put_and_get = (struct series){.name = "put+get"};
    pin(other.pid, 0);
    for (unsigned i = measure_rounds(); i > 0; i--) {
        uint64_t start = now_nsec();
        size_t got;

        for (unsigned k = 0; k < BATCH; k++) {
            must(send(other.channel, value, size, MSG_NOSIGNAL) == (ssize_t)size);
            must(recv(other.channel, copy, size, MSG_WAITALL) == (ssize_t)size);
        }
        series_add(&piped, now_nsec() - start, BATCH);
        start = now_nsec();
        for (unsigned k = 0; k < BATCH; k++) {
            must(shmreg_put(conn, "value", value, size, SHMREG_MODE_DEFAULT) == 0);
            must(shmreg_get(conn, "value", copy, sizeof(copy), &got) == 0);
        }
        series_add(&put_and_get, now_nsec() - start, BATCH);
        ck_assert_uint_eq(got, size);
        ck_assert_mem_eq(copy, value, size);
    }
    snprintf(what, sizeof(what), "a value of %zu bytes", size);
    print_ratio(what, &piped, &put_and_get);
    shutdown(other.channel, SHUT_WR);
    child_finish(&other);
}

START_TEST(values) {
    setup();
    measure_value(64);
    measure_value(4096);
    measure_value(SHMREG_VALUE_MAX);
    teardown();
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("values");

    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, second_open);
    tcase_add_test(tcase, create_and_destroy);
    tcase_add_test(tcase, values);
    return sandbox_run("bench-values", &tcase, 1);
}
