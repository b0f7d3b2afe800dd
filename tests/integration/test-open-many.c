/*
 * Opening many: up to 64 regions in one round trip, all of them or none.
 */
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>

#define COUNT SHMREG_OPEN_MAX

static struct test_daemon daemon_;
static shmreg_conn *conn;
static char text[COUNT + 1][16];
static const char *names[COUNT + 1];

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    for (unsigned i = 0; i <= COUNT; i++) {
        snprintf(text[i], sizeof(text[i]), "many/%u", i);
        names[i] = text[i];
        create_region(conn, names[i], 100 + i, NULL);
    }
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static void expect_no_holders(void) {
    for (unsigned i = 0; i <= COUNT; i++)
        ck_assert_uint_eq(count_readers(conn, names[i]), 0);
}

START_TEST(test_sixty_four) {
    shmreg_region *regions[COUNT];

    expect_ok(shmreg_open_many(conn, names, COUNT, SHMREG_READ, regions));
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(shmreg_size(regions[i]), 100 + i);
        ck_assert_uint_eq(count_readers(conn, names[i]), 1);
    }
    for (unsigned i = 0; i < COUNT; i++)
        shmreg_close(regions[i]);
    expect_no_holders();
}
END_TEST

START_TEST(test_sixty_five) {
    shmreg_region *regions[COUNT + 1];

    expect_error(shmreg_open_many(conn, names, COUNT + 1, SHMREG_READ, regions), -EINVAL, "64");
    expect_ok(shmreg_open_many(conn, names, 0, SHMREG_READ, regions));
    expect_no_holders();
}
END_TEST

START_TEST(test_one_is_missing) {
    shmreg_region *regions[COUNT];
    unsigned descriptors = settled_descriptors(&daemon_, conn);

    names[COUNT / 2] = "many/missing";
    expect_error(shmreg_open_many(conn, names, COUNT, SHMREG_READ, regions), -ENOENT,
                 "'many/missing'");
    names[COUNT / 2] = text[COUNT / 2];
    expect_no_holders();
    ck_assert_uint_eq(settled_descriptors(&daemon_, conn), descriptors);
    expect_ok(shmreg_open_many(conn, names, COUNT, SHMREG_READ, regions));
}
END_TEST

START_TEST(test_those_that_are_open_are_shared) {
    shmreg_region *one = open_region(conn, names[1], SHMREG_READ), *regions[3];
    const char *wanted[] = {names[0], names[1], names[1]};

    expect_ok(shmreg_open_many(conn, wanted, 3, SHMREG_READ, regions));
    ck_assert_ptr_eq(shmreg_data(regions[1]), shmreg_data(one));
    ck_assert_ptr_eq(shmreg_data(regions[2]), shmreg_data(one));
    ck_assert_uint_eq(count_readers(conn, names[1]), 1);
    shmreg_close(one);
    for (unsigned i = 0; i < 3; i++)
        shmreg_close(regions[i]);
    expect_no_holders();
}
END_TEST

START_TEST(test_names_of_the_greatest_length) {
    static char lengthy[COUNT][201];
    const char *wanted[COUNT];
    shmreg_region *regions[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        memset(lengthy[i], 'n', 200);
        lengthy[i][0] = (char)('a' + i / 8);
        lengthy[i][1] = (char)('a' + i % 8);
        wanted[i] = lengthy[i];
        create_region(conn, wanted[i], 1, NULL);
    }
    expect_ok(shmreg_open_many(conn, wanted, COUNT, SHMREG_WRITE, regions));
}
END_TEST

int main(void) {
    TCase *open_many = tcase_create("open-many");

    tcase_add_checked_fixture(open_many, setup, teardown);
    tcase_set_timeout(open_many, 30);
    tcase_add_test(open_many, test_sixty_four);
    tcase_add_test(open_many, test_sixty_five);
    tcase_add_test(open_many, test_one_is_missing);
    tcase_add_test(open_many, test_those_that_are_open_are_shared);
    tcase_add_test(open_many, test_names_of_the_greatest_length);
    return sandbox_run("open-many", &open_many, 1);
}
