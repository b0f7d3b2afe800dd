/*
 * Values: put replaces the whole content in one step, get copies it, and who has an old version
 * mapped keeps it whole.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

static struct test_daemon daemon_;
static shmreg_conn *conn;
static char value[SHMREG_VALUE_MAX + 1], got[SHMREG_VALUE_MAX + 1];

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static void expect_value(const char *name, size_t size, unsigned seed) {
    size_t got_size = 0;

    expect_ok(shmreg_get(conn, name, got, sizeof(got), &got_size));
    ck_assert_uint_eq(got_size, size);
    ck_assert(is_filled(got, size, seed));
}

static void put(const char *name, size_t size, unsigned seed) {
    fill(value, size, seed);
    expect_ok(shmreg_put(conn, name, value, size, SHMREG_MODE_DEFAULT));
}

START_TEST(test_put_creates_and_replaces) {
    static const size_t sizes[] = {1, 4096, 5, SHMREG_VALUE_MAX, 4097};
    struct shmreg_description *description;

    for (unsigned i = 0; i < 5; i++) {
        put("value", sizes[i], i);
        expect_value("value", sizes[i], i);
        ck_assert_int_eq(daemon_segments(&daemon_), 1);
    }
    expect_ok(shmreg_describe(conn, "value", &description));
    ck_assert_uint_eq(description->version, 5);
    ck_assert_uint_eq(description->size, 4097);
    ck_assert_uint_eq(description->mode, 0600);
    ck_assert_int_gt(description->changed_usec, description->created_usec);
    shmreg_description_free(description);
}
END_TEST

START_TEST(test_put_into_every_backing) {
    shmreg_region *region;

    create_region(conn, "value", 100, SHMREG_OPTIONS(.backing = (uint32_t)_i));
    put("value", 60000, 4);
    expect_value("value", 60000, 4);
    region = open_region(conn, "value", SHMREG_READ);
    ck_assert_uint_eq(shmreg_size(region), 60000);
    ck_assert_uint_eq(shmreg_version(region), 2);
    ck_assert(is_filled(shmreg_data(region), 60000, 4));
    shmreg_close(region);
}
END_TEST

START_TEST(test_an_old_mapping_stays_whole) {
    shmreg_region *old, *new;

    put("value", 5000, 1);
    old = open_region(conn, "value", SHMREG_READ);
    put("value", 9000, 2);
    ck_assert_uint_eq(shmreg_size(old), 5000);
    ck_assert_uint_eq(shmreg_version(old), 1);
    ck_assert(is_filled(shmreg_data(old), 5000, 1));
    /* What is opened now is the new version, although the connection has the old one mapped. */
    new = open_region(conn, "value", SHMREG_READ);
    ck_assert_uint_eq(shmreg_size(new), 9000);
    ck_assert_uint_eq(shmreg_version(new), 2);
    ck_assert(is_filled(shmreg_data(new), 9000, 2));
    ck_assert(is_filled(shmreg_data(old), 5000, 1));
    shmreg_close(old);
    ck_assert(is_filled(shmreg_data(new), 9000, 2));
    shmreg_close(new);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
}
END_TEST

START_TEST(test_get_says_how_large) {
    size_t size = 0;
    char small[10];

    put("value", 5000, 1);
    expect_error(shmreg_get(conn, "value", small, sizeof(small), &size), -EMSGSIZE, "'value'");
    ck_assert_uint_eq(size, 5000);
    create_region(conn, "large", SHMREG_VALUE_MAX + 1, NULL);
    expect_error(shmreg_get(conn, "large", got, sizeof(got), &size), -EMSGSIZE, "'large'");
    ck_assert_uint_eq(size, SHMREG_VALUE_MAX + 1);
    expect_error(shmreg_get(conn, "none", got, sizeof(got), &size), -ENOENT, "'none'");
}
END_TEST

START_TEST(test_put_checks_its_size) {
    expect_error(shmreg_put(conn, "value", value, SHMREG_VALUE_MAX + 1, 0600), -EMSGSIZE, "61440");
    expect_error(shmreg_put(conn, "value", value, 0, 0600), -EINVAL, "");
    expect_error(shmreg_put(conn, "value", value, 1, 0777), -EINVAL, "mode");
    expect_error(shmreg_put(conn, "no name", value, 1, 0600), -EINVAL, "");
    ck_assert(!exists(conn, "value"));
    put("value", 10, 1);
    expect_error(shmreg_put(conn, "value", value, 0, 0600), -EINVAL, "");
    expect_value("value", 10, 1);
}
END_TEST

static void write_but_not_read(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    size_t size;

    (void)channel;
    (void)data;
    fill(value, 20, 8);
    expect_ok(shmreg_put(own, "inbox", value, 20, 0));
    expect_error(shmreg_get(own, "inbox", got, sizeof(got), &size), -EACCES, "the right 'r'");
    expect_error(shmreg_put(own, "readable", value, 20, 0), -EACCES, "the right 'w'");
    expect_ok(shmreg_get(own, "readable", got, sizeof(got), &size));
    ck_assert_uint_eq(size, 10);
    shmreg_disconnect(own);
}

START_TEST(test_put_needs_write_and_get_needs_read) {
    put("inbox", 10, 1);
    put("readable", 10, 1);
    expect_ok(shmreg_set_access(conn, "inbox", 0602, NULL));
    expect_ok(shmreg_set_access(conn, "readable", 0604, NULL));
    run_as(USER(20001), write_but_not_read, NULL);
    expect_value("inbox", 20, 8);
}
END_TEST

/* No reader ever sees half of one value and half of another. */
static void put_again_and_again(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)data;
    for (unsigned i = 0; i < 500; i++) {
        memset(value, (int)i, 20000);
        expect_ok(shmreg_put(own, "value", value, 20000, SHMREG_MODE_DEFAULT));
        if (i == 0)
            channel_say(channel);
    }
    shmreg_disconnect(own);
}

START_TEST(test_no_reader_sees_half) {
    struct child writer = child_start(USER(0), put_again_and_again, NULL);
    uint32_t version = 0;

    channel_hear(writer.channel);
    while (version < 500) {
        shmreg_region *region = open_region(conn, "value", SHMREG_READ);
        const char *bytes = shmreg_data(region);

        ck_assert_uint_ge(shmreg_version(region), version);
        version = shmreg_version(region);
        ck_assert_uint_eq((unsigned char)bytes[0], (version - 1) & 0xff);
        ck_assert_int_eq(memcmp(bytes, bytes + 1, 19999), 0);
        shmreg_close(region);
    }
    child_finish(&writer);
}
END_TEST

int main(void) {
    TCase *values = tcase_create("values");

    tcase_add_checked_fixture(values, setup, teardown);
    tcase_set_timeout(values, 30);
    tcase_add_test(values, test_put_creates_and_replaces);
    tcase_add_loop_test(values, test_put_into_every_backing, SHMREG_SHM, SHMREG_FILE + 1);
    tcase_add_test(values, test_an_old_mapping_stays_whole);
    tcase_add_test(values, test_get_says_how_large);
    tcase_add_test(values, test_put_checks_its_size);
    tcase_add_test(values, test_put_needs_write_and_get_needs_read);
    tcase_add_test(values, test_no_reader_sees_half);
    return sandbox_run("values", &values, 1);
}
