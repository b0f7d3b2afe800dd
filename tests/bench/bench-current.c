/*
 * What a program pays that looks whether its regions are still current, and that opens and closes
 * what it holds already: neither asks anybody.
 */
#include "tests/bench/measure.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>

#define REGIONS 64u
#define OPERATIONS 10000u

static struct test_daemon daemon_;
static shmreg_conn *conn;
static shmreg_region *regions[REGIONS];
static char names[REGIONS][16];
static struct series looks = {.name = "is_current"}, opens = {.name = "open and close"};

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    for (unsigned i = 0; i < REGIONS; i++) {
        snprintf(names[i], sizeof(names[i]), "bench/%u", i);
        create_region(conn, names[i], 1, NULL);
        regions[i] = open_region(conn, names[i], SHMREG_READ);
    }
}

static void look_round(void) {
    unsigned current = 0;
    uint64_t start = now_nsec();

    for (unsigned i = 0; i < OPERATIONS; i++)
        current += shmreg_is_current(regions[i % REGIONS]);
    series_add(&looks, now_nsec() - start, OPERATIONS);
    ck_assert_uint_eq(current, OPERATIONS);
}

static void open_round(void) {
    uint64_t start = now_nsec();

    for (unsigned i = 0; i < OPERATIONS; i++) {
        shmreg_region *region;

        must(shmreg_open(conn, names[i % REGIONS], SHMREG_READ, &region) == 0);
        shmreg_close(region);
    }
    series_add(&opens, now_nsec() - start, OPERATIONS);
}

static void print_nsec(const struct series *series) {
    printf("%-28s median %8.2f ns\n", series->name, series_median(series));
}

START_TEST(current) {
    setup();
    pin(0, 0);
    for (unsigned i = measure_rounds(); i > 0; i--) {
        look_round();
        open_round();
    }
    print_nsec(&looks);
    print_nsec(&opens);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("current");

    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, current);
    return sandbox_run("bench-current", &tcase, 1);
}
