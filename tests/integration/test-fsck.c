/*
 * Fsck: the checker finds what is broken in what a real daemon has left, repairs what the daemon
 * would, and keeps its hands off everything else.
 */
#include "proto/cleanup.h"
#include "tests/support/fsck.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/shm-name.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LENGTH 320
#define SIZE 5000

static struct test_daemon daemon_;
static shmreg_conn *conn;
static struct fsck fsck;

/* Regions of each kind, a holder and a stage; the daemon is killed. */
static void setup(void) {
    shmreg_region *region;

    fsck = (struct fsck){0};
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "shm", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
    create_region(conn, "file", SIZE,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .flags = SHMREG_DETACHED));
    expect_ok(
        shmreg_create(conn, "held", SIZE, SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK), &region));
    expect_ok(shmreg_stage(conn, "held", SIZE, NULL, &region));
    daemon_kill(&daemon_);
}

static void teardown(void) {
    fsck_deinit(&fsck);
    shmreg_disconnect(conn);
}

static void run(bool repair) {
    fsck_deinit(&fsck);
    fsck = fsck_run(&daemon_, repair);
}

static void expect_found(const char *kind, unsigned count) {
    ck_assert_msg(fsck_count(&fsck, kind) == count, "not %u of %s: %s", count, kind, fsck.printed);
}

/* What it ends with when it finds so many things, all of that kind. */
static void expect_only(const char *kind, unsigned count) {
    json_int_t errors = json_integer_value(json_object_get(fsck.report, "errors"));
    json_int_t leftovers = json_integer_value(json_object_get(fsck.report, "leftovers"));

    expect_found(kind, count);
    ck_assert_msg(errors + leftovers == count, "not only %s: %s", kind, fsck.printed);
    ck_assert_int_eq(fsck.status, count == 0 ? 0 : 1);
}

static long number(const char *key) {
    return (long)json_integer_value(json_object_get(fsck.report, key));
}

/* "ID.VERSION", with what an object in /dev/shm has for a suffix */
static void path_of(char ret[static PATH_LENGTH], const char *directory, const char *segment) {
    const char *instance = json_string_value(json_object_get(fsck.report, "instance"));

    ck_assert_int_lt(snprintf(ret, PATH_LENGTH, "%s/shmreg.%s.%s", directory, instance, segment),
                     PATH_LENGTH);
    shm_find_suffix(ret, PATH_LENGTH);
}

static void make_file(const char *path, uid_t owner, mode_t mode) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(fchown(fd, owner, owner), 0);
}

static bool is_there(const char *path) {
    struct stat status;

    return lstat(path, &status) == 0;
}

/* A segment of shm regions that is no sync block and no stage: the first created. */
static void first_segment(char ret[static PATH_LENGTH]) {
    run(false);
    path_of(ret, "/dev/shm", "1.1");
    ck_assert(is_there(ret));
}

START_TEST(test_a_killed_daemon_leaves_nothing_wrong) {
    run(false);
    expect_only("segment-orphan", 0);
    ck_assert_int_eq(number("regions"), 3);
    ck_assert_int_eq(number("holders"), 1);
    ck_assert_int_eq(number("stages"), 1);
    ck_assert_int_eq(number("segments"), 5);
}
END_TEST

START_TEST(test_a_running_daemon_is_left_alone) {
    daemon_launch(&daemon_);
    run(true);
    ck_assert_int_eq(fsck.status, 2);
    ck_assert_ptr_nonnull(strstr(fsck.printed, "a shmregd is running in"));
    daemon_stop(&daemon_);
    expect_sound(&daemon_);
}
END_TEST

START_TEST(test_no_directories_of_a_daemon) {
    struct test_daemon other = daemon_;

    strcpy(other.state, "/dev/shm");
    strcpy(other.runtime, "/dev/shm/none");
    fsck = fsck_run(&other, true);
    ck_assert_int_eq(fsck.status, 2);
    ck_assert_ptr_nonnull(strstr(fsck.printed, "no registry"));
    ck_assert(!is_there("/dev/shm/registry"));
}
END_TEST

START_TEST(test_an_orphan_is_removed) {
    char shm[PATH_LENGTH], file[PATH_LENGTH], segments[PATH_LENGTH];

    run(false);
    snprintf(segments, sizeof(segments), "%s/segments", daemon_.state);
    path_of(shm, "/dev/shm", "1.2");
    path_of(file, segments, "777.1");
    make_file(shm, DAEMON_UID, 0600);
    make_file(file, DAEMON_UID, 0600);
    run(false);
    expect_only("segment-orphan", 2);
    ck_assert(is_there(shm) && is_there(file));
    run(true);
    expect_only("segment-orphan", 2);
    ck_assert_int_eq(number("repaired"), 2);
    ck_assert(!is_there(shm) && !is_there(file));
    expect_sound(&daemon_);
}
END_TEST

START_TEST(test_foreign_objects_are_never_removed) {
    char owner[PATH_LENGTH], mode[PATH_LENGTH], fifo[PATH_LENGTH], other[PATH_LENGTH];

    run(false);
    path_of(owner, "/dev/shm", "900.1");
    path_of(mode, "/dev/shm", "901.1");
    path_of(fifo, "/dev/shm", "902.1");
    path_of(other, "/dev/shm", "0903.1");
    make_file(owner, 20005, 0600);
    make_file(mode, DAEMON_UID, 0644);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    make_file(other, DAEMON_UID, 0600);
    run(true);
    expect_only("object-foreign", 3);
    ck_assert_int_eq(number("repaired"), 0);
    ck_assert(is_there(owner) && is_there(mode) && is_there(fifo) && is_there(other));
}
END_TEST

/* The record goes to quarantine, and from then on that is what waits. */
START_TEST(test_a_missing_segment) {
    char path[PATH_LENGTH];

    first_segment(path);
    ck_assert_int_eq(unlink(path), 0);
    run(false);
    expect_found("segment-missing", 1);
    ck_assert_int_eq(count_files(daemon_.runtime, "quarantine"), 0);
    run(true);
    expect_found("segment-missing", 1);
    ck_assert_int_eq(number("repaired"), 1);
    run(false);
    expect_found("segment-missing", 0);
    expect_found("quarantined", 1);
    ck_assert_int_eq(fsck.status, 1);
}
END_TEST

/* Only its size is wrong: the daemon goes on with it, and nothing is repaired. */
START_TEST(test_a_resized_segment) {
    char path[PATH_LENGTH];

    first_segment(path);
    ck_assert_int_eq(truncate(path, _i == 0 ? SIZE - 1 : 100 * SIZE), 0);
    run(true);
    expect_only("segment-resized", 1);
    ck_assert_int_eq(number("repaired"), 0);
}
END_TEST

START_TEST(test_a_segment_that_is_not_the_daemons) {
    char path[PATH_LENGTH];

    first_segment(path);
    ck_assert_int_eq(_i == 0 ? chmod(path, 0644) : chown(path, 20005, 20005), 0);
    run(true);
    expect_found("segment-foreign", 1);
    expect_found("object-foreign", 1);
    ck_assert(is_there(path));
}
END_TEST

/* Nothing is known of the segments of a registry that cannot be read, so none is removed. */
START_TEST(test_a_damaged_registry) {
    char path[PATH_LENGTH];
    int segments = daemon_segments(&daemon_);

    snprintf(path, sizeof(path), "%s/registry/records.mdb", daemon_.runtime);
    ck_assert_int_eq(truncate(path, 5000), 0);
    run(false);
    expect_found("registry-damaged", 1);
    expect_found("segment-orphan", 0);
    expect_found("segment-doubtful", 4);
    run(true);
    ck_assert_int_eq(number("repaired"), 1);
    run(true);
    expect_found("registry-damaged", 0);
    expect_found("quarantined", 1);
    expect_found("segment-doubtful", 4);
    ck_assert_int_eq(daemon_segments(&daemon_), segments);
}
END_TEST

START_TEST(test_a_reboot) {
    char command[PATH_LENGTH];

    snprintf(command, sizeof(command), "rm -r %s/* /dev/shm/*", daemon_.runtime);
    ck_assert_int_eq(system(command), 0);
    run(false);
    expect_only("segment-orphan", 0);
    ck_assert_int_eq(number("regions"), 1);
}
END_TEST

START_TEST(test_a_lost_status_page) {
    char path[PATH_LENGTH];

    snprintf(path, sizeof(path), "%s/status", daemon_.runtime);
    if (_i == 0)
        ck_assert_int_eq(unlink(path), 0);
    else
        ck_assert_int_eq(truncate(path, 100), 0);
    run(false);
    expect_only("page-lost", 1);
}
END_TEST

/* As the daemon does it: what it repairs is nothing that the daemon would see otherwise. */
START_TEST(test_a_repaired_state_is_one_a_daemon_starts_with) {
    char path[PATH_LENGTH];

    first_segment(path);
    ck_assert_int_eq(unlink(path), 0);
    run(true);
    daemon_launch(&daemon_);
    ck_assert(!exists(conn, "shm"));
    ck_assert(exists(conn, "file") && exists(conn, "held"));
    daemon_stop(&daemon_);
    run(false);
    expect_only("quarantined", 1);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("fsck");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_a_killed_daemon_leaves_nothing_wrong);
    tcase_add_test(tcase, test_a_running_daemon_is_left_alone);
    tcase_add_test(tcase, test_no_directories_of_a_daemon);
    tcase_add_test(tcase, test_an_orphan_is_removed);
    tcase_add_test(tcase, test_foreign_objects_are_never_removed);
    tcase_add_test(tcase, test_a_missing_segment);
    tcase_add_loop_test(tcase, test_a_resized_segment, 0, 2);
    tcase_add_loop_test(tcase, test_a_segment_that_is_not_the_daemons, 0, 2);
    tcase_add_test(tcase, test_a_damaged_registry);
    tcase_add_test(tcase, test_a_reboot);
    tcase_add_loop_test(tcase, test_a_lost_status_page, 0, 2);
    tcase_add_test(tcase, test_a_repaired_state_is_one_a_daemon_starts_with);
    return sandbox_run("fsck", &tcase, 1);
}
