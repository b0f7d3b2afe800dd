/*
 * Leftovers: what a daemon finds at its start. A registry that cannot be used is set aside, segments
 * without a record are reaped, and what is not the daemon's is not touched.
 */
#include "proto/cleanup.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LENGTH 320
#define REGIONS 24
#define ALL_REGIONS (2L * REGIONS)

static struct test_daemon daemon_;
static shmreg_conn *conn;

/* Regions of both kinds, recorded in either registry. */
static void setup(void) {
    char name[16];

    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    for (unsigned i = 0; i < REGIONS; i++) {
        snprintf(name, sizeof(name), "shm/%u", i);
        create_region(conn, name, 100, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
        snprintf(name, sizeof(name), "file/%u", i);
        create_region(conn, name, 100,
                      SHMREG_OPTIONS(.backing = SHMREG_FILE, .flags = SHMREG_DETACHED));
    }
    daemon_kill(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static void registry_path(char ret[static PATH_LENGTH], const char *directory) {
    snprintf(ret, PATH_LENGTH, "%s/registry/records.mdb", directory);
}

static int count_quarantined(const char *directory) {
    char path[PATH_LENGTH];

    snprintf(path, sizeof(path), "%s/quarantine", directory);
    return count_files(path, "registry.");
}

static int open_registry(const char *directory, off_t *ret_size) {
    char path[PATH_LENGTH];
    struct stat status;
    int fd;

    registry_path(path, directory);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    *ret_size = status.st_size;
    return fd;
}

/* Bytes that mean nothing, from @start to the end. */
static void spoil(const char *directory, off_t start) {
    off_t size;
    _cleanup_close_ int fd = open_registry(directory, &size);
    _cleanup_free_ char *bytes = malloc((size_t)size);

    ck_assert_ptr_nonnull(bytes);
    fill(bytes, (size_t)size, 90);
    ck_assert_int_eq(pwrite(fd, bytes, (size_t)(size - start), start), size - start);
}

static unsigned count_regions(const char *kind) {
    unsigned count = 0;
    char name[16];

    for (unsigned i = 0; i < REGIONS; i++) {
        snprintf(name, sizeof(name), "%s/%u", kind, i);
        count += exists(conn, name);
    }
    return count;
}

static void expect_working(void) {
    int segments = daemon_segments(&daemon_);

    create_region(conn, "new/shm", 1, NULL);
    create_region(conn, "new/file", 1, SHMREG_OPTIONS(.backing = SHMREG_FILE));
    ck_assert_int_eq(daemon_segments(&daemon_), segments + 2);
}

static void empty_quarantine(const char *directory) {
    char command[PATH_LENGTH];

    snprintf(command, sizeof(command), "rm -rf %s/quarantine", directory);
    ck_assert_int_eq(system(command), 0);
}

/* Nothing is removed while a registry is in quarantine that may have known it. Once somebody has
 * dealt with that, there are as many segments as regions, and the daemon works. */
static void expect_consistent(void) {
    if (count_quarantined(daemon_.runtime) > 0 || count_quarantined(daemon_.state) > 0) {
        ck_assert_int_eq(daemon_segments(&daemon_), ALL_REGIONS);
        daemon_kill(&daemon_);
        empty_quarantine(daemon_.runtime);
        empty_quarantine(daemon_.state);
        daemon_launch(&daemon_);
    }
    ck_assert_int_eq(daemon_segments(&daemon_),
                     (int)(count_regions("shm") + count_regions("file")));
    expect_working();
}

START_TEST(test_all_is_well_when_nothing_is_broken) {
    daemon_launch(&daemon_);
    ck_assert_uint_eq(count_regions("shm"), REGIONS);
    ck_assert_uint_eq(count_regions("file"), REGIONS);
    expect_consistent();
    ck_assert_int_le(count_quarantined(daemon_.runtime), 0);
    ck_assert_int_le(count_quarantined(daemon_.state), 0);
}
END_TEST

START_TEST(test_a_broken_volatile_registry) {
    spoil(daemon_.runtime, (off_t)_i * 8192);
    daemon_launch(&daemon_);
    ck_assert_int_eq(count_quarantined(daemon_.runtime), 1);
    ck_assert_uint_eq(count_regions("file"), REGIONS);
    expect_consistent();
}
END_TEST

START_TEST(test_a_broken_durable_registry) {
    spoil(daemon_.state, (off_t)_i * 8192);
    daemon_launch(&daemon_);
    ck_assert_int_eq(count_quarantined(daemon_.state), 1);
    ck_assert_uint_eq(count_regions("shm"), REGIONS);
    expect_consistent();
}
END_TEST

/* Nothing is left that says which segments are the daemon's: they are nobody's, and stay. */
START_TEST(test_both_broken) {
    spoil(daemon_.state, 0);
    spoil(daemon_.runtime, 0);
    daemon_launch(&daemon_);
    ck_assert_int_eq(daemon_segments(&daemon_), ALL_REGIONS);
    expect_working();
}
END_TEST

static void cut(const char *directory, off_t parts) {
    off_t size;
    _cleanup_close_ int fd = open_registry(directory, &size);

    ck_assert_int_eq(ftruncate(fd, size * parts / 8 + 1), 0);
}

START_TEST(test_a_registry_cut_short) {
    cut(_i % 2 ? daemon_.runtime : daemon_.state, _i / 2);
    daemon_launch(&daemon_);
    expect_consistent();
}
END_TEST

/* One page after the other, while the rest is as it was: wherever it strikes, the daemon starts. */
START_TEST(test_a_single_page_spoilt) {
    char page[4096];
    off_t size;
    _cleanup_close_ int fd = open_registry(daemon_.runtime, &size);

    if (_i * (off_t)sizeof(page) < size) {
        memset(page, 0xa5 + _i, sizeof(page));
        ck_assert_int_eq(pwrite(fd, page, sizeof(page), _i * (off_t)sizeof(page)), sizeof(page));
    }
    daemon_launch(&daemon_);
    ck_assert_uint_eq(count_regions("file"), REGIONS);
    expect_consistent();
}
END_TEST

static void find_instance(char ret[static 17]) {
    _cleanup_closedir_ DIR *stream = opendir("/dev/shm");
    const struct dirent *entry;

    while ((entry = readdir(stream)))
        if (sscanf(entry->d_name, "shmreg.%16[0-9a-f].", ret) == 1)
            return;
    ck_abort_msg("no segment in /dev/shm");
}

static void make_file(const char *directory, const char *format, const char *instance) {
    char name[64], path[PATH_LENGTH];
    int fd;

    snprintf(name, sizeof(name), format, instance);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "data", 4), 4);
    ck_assert_int_eq(fchown(fd, DAEMON_UID, DAEMON_UID), 0);
    close(fd);
}

START_TEST(test_segments_without_a_record_are_reaped) {
    char instance[17], segments[PATH_LENGTH];

    find_instance(instance);
    snprintf(segments, sizeof(segments), "%s/segments", daemon_.state);
    make_file("/dev/shm", "shmreg.%s.999999.1", instance);
    make_file("/dev/shm", "shmreg.%s.1.77", instance);
    make_file(segments, "shmreg.%s.999999.1", instance);
    daemon_launch(&daemon_);
    ck_assert_int_eq(daemon_segments(&daemon_), ALL_REGIONS);
    ck_assert(daemon_has_logged(&daemon_, ".999999.1, left over"));
    expect_consistent();
}
END_TEST

START_TEST(test_what_is_not_ours_is_not_touched) {
    char instance[17];

    find_instance(instance);
    make_file("/dev/shm", "foreign%.0s", instance);
    make_file("/dev/shm", "shmreg.0123456789abcdef.1.1%.0s", instance);
    make_file("/dev/shm", "shmreg.%s.999999", instance);
    make_file("/dev/shm", "shmreg.%s.0999999.1", instance);
    make_file("/dev/shm", "shmreg.%s.999999.1.old", instance);
    daemon_launch(&daemon_);
    ck_assert_int_eq(daemon_segments(&daemon_), ALL_REGIONS + 5);
}
END_TEST

/* The name is there, the memory is not: the record is set aside, for someone to look at. */
START_TEST(test_a_record_without_its_segment) {
    char segments[PATH_LENGTH], command[PATH_LENGTH + 16];

    snprintf(segments, sizeof(segments), "%s/segments", daemon_.state);
    snprintf(command, sizeof(command), "rm %s/*", segments);
    ck_assert_int_eq(system(command), 0);
    daemon_launch(&daemon_);
    ck_assert_uint_eq(count_regions("file"), 0);
    ck_assert_uint_eq(count_regions("shm"), REGIONS);
    expect_consistent();
}
END_TEST

int main(void) {
    TCase *leftovers = tcase_create("leftovers");

    tcase_add_checked_fixture(leftovers, setup, teardown);
    tcase_set_timeout(leftovers, 30);
    tcase_add_test(leftovers, test_all_is_well_when_nothing_is_broken);
    tcase_add_loop_test(leftovers, test_a_broken_volatile_registry, 0, 2);
    tcase_add_loop_test(leftovers, test_a_broken_durable_registry, 0, 2);
    tcase_add_test(leftovers, test_both_broken);
    tcase_add_loop_test(leftovers, test_a_registry_cut_short, 0, 16);
    tcase_add_loop_test(leftovers, test_a_single_page_spoilt, 0, 16);
    tcase_add_test(leftovers, test_segments_without_a_record_are_reaped);
    tcase_add_test(leftovers, test_what_is_not_ours_is_not_touched);
    tcase_add_test(leftovers, test_a_record_without_its_segment);
    return sandbox_run("leftovers", &leftovers, 1);
}
