/*
 * Regions: create, open, close, destroy, describe, and the code that each mistake gives.
 */
#include "proto/cleanup.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

static struct test_daemon daemon_;
static shmreg_conn *conn;

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

START_TEST(test_a_region_begins_with_zeroes) {
    static const unsigned char zeroes[8192];
    shmreg_region *region;

    expect_ok(shmreg_create(conn, "a/b.c/d@e:f+g-h", sizeof(zeroes), NULL, &region));
    ck_assert_mem_eq(shmreg_data(region), zeroes, sizeof(zeroes));
    ck_assert_uint_eq((uintptr_t)shmreg_data(region) % (uintptr_t)getpagesize(), 0);
    ck_assert_int_eq(fcntl(shmreg_fd(region), F_GETFL) & O_ACCMODE, O_RDWR);
    shmreg_close(region);
}
END_TEST

START_TEST(test_a_name_is_taken_once) {
    shmreg_region *first, *second;

    expect_ok(shmreg_create(conn, "taken", 100, NULL, &first));
    fill(shmreg_data(first), 100, 3);
    expect_error(shmreg_create(conn, "taken", 100, NULL, &second), -EEXIST,
                 "region 'taken' exists already");
    expect_ok(
        shmreg_create(conn, "taken", 999, SHMREG_OPTIONS(.flags = SHMREG_EXISTING_OK), &second));
    ck_assert_uint_eq(shmreg_size(second), 100);
    ck_assert(is_filled(shmreg_data(second), 100, 3));
    shmreg_close(first);
    shmreg_close(second);
}
END_TEST

START_TEST(test_detached_maps_nothing) {
    shmreg_region *region = (shmreg_region *)&daemon_;

    expect_ok(
        shmreg_create(conn, "detached", 100, SHMREG_OPTIONS(.flags = SHMREG_DETACHED), &region));
    ck_assert_ptr_null(region);
    ck_assert_uint_eq(count_writers(conn, "detached"), 0);
}
END_TEST

START_TEST(test_a_second_open_shares_the_mapping) {
    shmreg_region *first, *second, *writer;

    create_region(conn, "twice", 4096, NULL);
    first = open_region(conn, "twice", SHMREG_READ);
    second = open_region(conn, "twice", SHMREG_READ);
    writer = open_region(conn, "twice", SHMREG_WRITE);
    ck_assert_ptr_eq(shmreg_data(first), shmreg_data(second));
    ck_assert_ptr_ne(shmreg_data(first), shmreg_data(writer));
    ck_assert_uint_eq(count_readers(conn, "twice"), 1);
    ck_assert_uint_eq(count_writers(conn, "twice"), 1);
    shmreg_close(first);
    ck_assert_uint_eq(count_readers(conn, "twice"), 1);
    *(char *)shmreg_data(writer) = 'x';
    ck_assert_int_eq(*(const char *)shmreg_data(second), 'x');
    shmreg_close(second);
    ck_assert_uint_eq(count_readers(conn, "twice"), 0);
    ck_assert_uint_eq(count_writers(conn, "twice"), 1);
    shmreg_close(writer);
    ck_assert_uint_eq(count_writers(conn, "twice"), 0);
}
END_TEST

START_TEST(test_destroyed_stays_readable) {
    shmreg_region *old, *new;

    expect_ok(shmreg_create(conn, "gone", 5000, NULL, &old));
    fill(shmreg_data(old), 5000, 1);
    expect_ok(shmreg_destroy(conn, "gone"));
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
    expect_error(shmreg_destroy(conn, "gone"), -ENOENT, "there is no region 'gone'");
    expect_error(shmreg_open(conn, "gone", SHMREG_READ, &new), -ENOENT, "'gone'");
    expect_ok(shmreg_create(conn, "gone", 5000, NULL, &new));
    ck_assert_ptr_ne(shmreg_data(old), shmreg_data(new));
    ck_assert(is_filled(shmreg_data(old), 5000, 1));
    ck_assert_uint_eq(*(unsigned char *)shmreg_data(new), 0);
    shmreg_close(new);
    shmreg_close(old);
    /* Opened anew, not taken from what the connection had under that name. */
    new = open_region(conn, "gone", SHMREG_WRITE);
    ck_assert_uint_eq(*(unsigned char *)shmreg_data(new), 0);
    shmreg_close(new);
}
END_TEST

START_TEST(test_disconnect_gives_everything_back) {
    shmreg_conn *other = connect_to(&daemon_);
    unsigned descriptors = settled_descriptors(&daemon_, conn);

    create_region(conn, "held", 4096, NULL);
    open_region(other, "held", SHMREG_READ);
    open_region(other, "held", SHMREG_WRITE);
    ck_assert_uint_eq(count_readers(conn, "held"), 1);
    shmreg_disconnect(other);
    wait_holders(conn, "held", 0, 0);
    ck_assert_uint_lt(settled_descriptors(&daemon_, conn), descriptors);
    shmreg_close(NULL);
    shmreg_disconnect(NULL);
}
END_TEST

START_TEST(test_describe_says_it_all) {
    struct shmreg_description *description;
    struct timeval now;

    gettimeofday(&now, NULL);
    create_region(conn, "described", 4097,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .lifetime = SHMREG_LEASE, .seconds = 60,
                                 .mode = 0640, .max_size = 8192, .acl = "user:20001:rw,group:7:r",
                                 .attributes = "{\"dtype\":\"<i4\",\"shape\":[2,3]}"));
    expect_ok(shmreg_describe(conn, "described", &description));
    ck_assert_str_eq(description->name, "described");
    ck_assert_str_eq(description->acl, "user:20001:rw,group:7:r");
    ck_assert_str_eq(description->attributes, "{\"dtype\":\"<i4\",\"shape\":[2,3]}");
    ck_assert_uint_eq(description->size, 4097);
    ck_assert_uint_eq(description->max_size, 8192);
    ck_assert_int_ge(description->created_usec, (int64_t)now.tv_sec * 1000000);
    ck_assert_int_eq(description->changed_usec, description->created_usec);
    ck_assert_uint_eq(description->version, 1);
    ck_assert_uint_eq(description->backing, SHMREG_FILE);
    ck_assert_uint_eq(description->lifetime, SHMREG_LEASE);
    ck_assert_uint_eq(description->seconds, 60);
    ck_assert_uint_le(description->remaining_seconds, 60);
    ck_assert_uint_eq(description->mode, 0640);
    ck_assert_uint_eq(description->owner_uid, 0);
    ck_assert_uint_eq(description->owner_gid, 0);
    ck_assert_uint_eq(description->rights, 7);
    shmreg_description_free(description);
    expect_error(shmreg_describe(conn, "other", &description), -ENOENT, "'other'");
}
END_TEST

START_TEST(test_attributes) {
    struct shmreg_description *description;
    char long_json[SHMREG_ATTRIBUTES_MAX + 64];

    create_region(conn, "array", 1, NULL);
    expect_ok(shmreg_describe(conn, "array", &description));
    ck_assert_str_eq(description->attributes, "{}");
    shmreg_description_free(description);
    expect_error(shmreg_set_attributes(conn, "array", "[1]"), -EINVAL, "object");
    expect_error(shmreg_set_attributes(conn, "array", "{\"a\":"), -EINVAL, "JSON");
    memset(long_json, ' ', sizeof(long_json));
    memcpy(long_json + sizeof(long_json) - 3, "{}", 3);
    expect_error(shmreg_set_attributes(conn, "array", long_json), -EINVAL, "4096");
    expect_error(shmreg_set_attributes(conn, "nothing", "{}"), -ENOENT, "'nothing'");
    expect_ok(shmreg_set_attributes(conn, "array", "{\"media_type\":\"text/plain\"}"));
    expect_ok(shmreg_describe(conn, "array", &description));
    ck_assert_str_eq(description->attributes, "{\"media_type\":\"text/plain\"}");
    shmreg_description_free(description);
}
END_TEST

static const struct {
    const char *name;
    uint64_t size;
    struct shmreg_options options;
} invalid[] = {
#define X(name_, size_, ...)                                                                       \
    {                                                                                              \
        .name = (name_), .size = (size_), .options = {                                             \
            .struct_size = sizeof(struct shmreg_options),                                          \
            .mode = 0600,                                                                          \
            ##__VA_ARGS__                                                                          \
        }                                                                                          \
    }
    X("", 1),
    X("/rooted", 1),
    X("a//b", 1),
    X("a/", 1),
    X("../up", 1),
    X(".hidden", 1),
    X("with space", 1),
    X("new\nline", 1),
    X("empty", 0),
    X("huge", UINT64_MAX),
    X("shrunk", 100, .max_size = 99),
    X("backing", 1, .backing = 77),
    X("lifetime", 1, .lifetime = 77),
    X("flags", 1, .flags = 0x80),
    X("endless-lease", 1, .lifetime = SHMREG_LEASE),
    X("attributes", 1, .attributes = "nonsense"),
#undef X
};

START_TEST(test_what_is_not_valid) {
    shmreg_region *region;

    expect_error(
        shmreg_create(conn, invalid[_i].name, invalid[_i].size, &invalid[_i].options, &region),
        -EINVAL, "");
    ck_assert_str_ne(shmreg_error_message(), "");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
    /* And the connection goes on. */
    create_region(conn, "valid", 1, NULL);
}
END_TEST

START_TEST(test_open_checks_what_it_is_given) {
    char name[300];
    shmreg_region *region;

    create_region(conn, "region", 1, NULL);
    expect_error(shmreg_open(conn, "region", 0, &region), -EINVAL, "access");
    expect_error(shmreg_open(conn, "region", 3, &region), -EINVAL, "access");
    expect_error(shmreg_open(conn, "-", SHMREG_READ, &region), -EINVAL, "");
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect_error(shmreg_open(conn, name, SHMREG_READ, &region), -EINVAL, "200");
    name[200] = '\0';
    create_region(conn, name, 1, NULL);
}
END_TEST

START_TEST(test_connect_says_what_is_wrong) {
    char path[200];
    shmreg_conn *other;

    expect_error(shmreg_connect("/run/nothing.sock", &other), -ENOENT, "/run/nothing.sock");
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    expect_error(shmreg_connect(path, &other), -ENAMETOOLONG, "");
}
END_TEST

int main(void) {
    TCase *regions = tcase_create("regions");

    tcase_add_checked_fixture(regions, setup, teardown);
    tcase_set_timeout(regions, 30);
    tcase_add_test(regions, test_a_region_begins_with_zeroes);
    tcase_add_test(regions, test_a_name_is_taken_once);
    tcase_add_test(regions, test_detached_maps_nothing);
    tcase_add_test(regions, test_a_second_open_shares_the_mapping);
    tcase_add_test(regions, test_destroyed_stays_readable);
    tcase_add_test(regions, test_disconnect_gives_everything_back);
    tcase_add_test(regions, test_describe_says_it_all);
    tcase_add_test(regions, test_attributes);
    tcase_add_loop_test(regions, test_what_is_not_valid, 0, (int)ARRAY_SIZE(invalid));
    tcase_add_test(regions, test_open_checks_what_it_is_given);
    tcase_add_test(regions, test_connect_says_what_is_wrong);
    return sandbox_run("regions", &regions, 1);
}
