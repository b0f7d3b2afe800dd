/*
 * Broken state: what somebody did to a daemon's segments and registries while it was away. It sets
 * aside what it cannot use, says so, goes on with the rest, and deletes nothing that is in doubt.
 *
 * test-leftovers.c has damaged registries; this has registries that are gone, segments that are not
 * what they were, and objects of others that bear the daemon's names.
 */
#include "proto/cleanup.h"
#include "tests/support/fsck.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/shm-name.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LENGTH 320
#define SIZE 5000
#define STRANGER 20009
#define PAGES_IN_USE 14 /* of a registry of a few records, or more */
#define FIRST_PAGE_IN_USE 2

static struct test_daemon daemon_;
static shmreg_conn *conn;
static char instance[17];

static void find_instance(void) {
    struct fsck fsck = fsck_run(&daemon_, false);

    ck_assert_int_eq(fsck.status, 0);
    strcpy(instance, json_string_value(json_object_get(fsck.report, "instance")));
    fsck_deinit(&fsck);
}

/* Ids 1 and 2 are broken, the others have to go on. */
static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "broken/shm", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
    create_region(conn, "broken/file", SIZE,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .flags = SHMREG_DETACHED));
    create_region(conn, "whole/shm", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
    create_region(conn, "whole/file", SIZE,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .flags = SHMREG_DETACHED));
    daemon_kill(&daemon_);
    find_instance();
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static void shm_path(char ret[static PATH_LENGTH], uint64_t id, unsigned version) {
    snprintf(ret, PATH_LENGTH, "/dev/shm/shmreg.%s.%llu.%u", instance, (unsigned long long)id,
             version);
    shm_find_suffix(ret, PATH_LENGTH);
}

static void file_path(char ret[static PATH_LENGTH], uint64_t id, unsigned version) {
    snprintf(ret, PATH_LENGTH, "%s/segments/shmreg.%s.%llu.%u", daemon_.state, instance,
             (unsigned long long)id, version);
}

static void expect_rest(void) {
    ck_assert(exists(conn, "whole/shm"));
    ck_assert(exists(conn, "whole/file"));
    create_region(conn, "new/shm", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
    create_region(conn, "new/file", SIZE,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .flags = SHMREG_DETACHED));
    expect_ok(shmreg_put(conn, "whole/shm", "next", 4, 0));
}

/* What can be in the place of a segment. */
static void make_shorter(const char *path) {
    ck_assert_int_eq(truncate(path, SIZE / 2), 0);
}

static void make_longer(const char *path) {
    ck_assert_int_eq(truncate(path, (off_t)10 * SIZE), 0);
}

static void give_away(const char *path) {
    ck_assert_int_eq(chown(path, STRANGER, STRANGER), 0);
}

static void open_up(const char *path) {
    ck_assert_int_eq(chmod(path, 0666), 0);
}

static void put_directory(const char *path) {
    ck_assert_int_eq(unlink(path) | mkdir(path, 0700), 0);
}

static void put_fifo(const char *path) {
    ck_assert_int_eq(unlink(path) | mkfifo(path, 0600), 0);
}

static void put_link(const char *path) {
    ck_assert_int_eq(unlink(path) | symlink("/etc/hostname", path), 0);
}

static const struct {
    void (*spoil)(const char *path);
    bool lives; /* only its size is wrong: the region goes on */
} damages[] = {
    {make_shorter, true},   {make_longer, true}, {give_away, false}, {open_up, false},
    {put_directory, false}, {put_fifo, false},   {put_link, false},
};

static void expect_in_place(const char *path) {
    struct stat status;

    ck_assert_msg(lstat(path, &status) == 0, "%s is gone", path);
}

/* Found at this start and at the next, and still there after both. */
START_TEST(test_a_segment_that_is_not_what_it_was) {
    bool lives = damages[_i].lives;
    char shm[PATH_LENGTH], file[PATH_LENGTH];

    shm_path(shm, 1, 1);
    file_path(file, 2, 1);
    damages[_i].spoil(shm);
    damages[_i].spoil(file);
    daemon_launch(&daemon_);
    ck_assert(exists(conn, "broken/shm") == lives);
    ck_assert(exists(conn, "broken/file") == lives);
    ck_assert(
        daemon_has_logged(&daemon_, lives ? "a writer resized it" : "region 'broken/shm' is lost"));
    expect_rest();
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    ck_assert(exists(conn, "whole/shm") && exists(conn, "new/file"));
    expect_in_place(shm);
    expect_in_place(file);
}
END_TEST

static void remove_registry(const char *directory) {
    char path[PATH_LENGTH];

    snprintf(path, sizeof(path), "%s/registry/records.mdb", directory);
    ck_assert_int_eq(unlink(path), 0);
}

static void empty_quarantine(const char *directory) {
    char path[PATH_LENGTH];

    snprintf(path, sizeof(path), "%s/quarantine/registry.1", directory);
    ck_assert_int_eq(unlink(path), 0);
}

/* The other one goes on, with ids that were never used. The segments of this one are nobody's, but stay
 * until somebody has seen it, whatever happens meanwhile. */
START_TEST(test_a_registry_that_is_gone) {
    bool durable = _i == 1;
    const char *directory = durable ? daemon_.state : daemon_.runtime;
    int segments = daemon_segments(&daemon_);
    struct fsck fsck;

    remove_registry(directory);
    fsck = fsck_run(&daemon_, false);
    ck_assert_uint_eq(fsck_count(&fsck, "registry-damaged"), 1);
    ck_assert_uint_eq(fsck_count(&fsck, "segment-doubtful"), 2);
    fsck_deinit(&fsck);
    for (int start = 0; start < 2; start++) {
        daemon_launch(&daemon_);
        ck_assert(exists(conn, "whole/shm") == durable);
        ck_assert(exists(conn, "whole/file") == !durable);
        if (start == 0)
            create_region(conn, "new", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
        ck_assert_int_eq(daemon_segments(&daemon_), segments + 1);
        daemon_kill(&daemon_);
    }
    empty_quarantine(directory);
    daemon_launch(&daemon_);
    ck_assert(exists(conn, "new"));
    ck_assert_int_eq(daemon_segments(&daemon_), segments - 2 + 1);
    daemon_kill(&daemon_);
    expect_sound(&daemon_);
    daemon_launch(&daemon_);
}
END_TEST

/* Nobody but a reboot, or the end of a user's session, takes all of it: nothing is set aside. */
START_TEST(test_a_runtime_directory_that_is_gone) {
    char command[PATH_LENGTH];

    snprintf(command, sizeof(command), "rm -r %s/*", daemon_.runtime);
    ck_assert_int_eq(system(command), 0);
    daemon_launch(&daemon_);
    ck_assert(!exists(conn, "whole/shm") && exists(conn, "whole/file"));
    daemon_kill(&daemon_);
    expect_sound(&daemon_);
    daemon_launch(&daemon_);
}
END_TEST

/* Cut at a page in use, it is set aside and its segments stay; behind them, it has lost nothing. */
START_TEST(test_a_registry_cut_at_a_page) {
    bool durable = _i % 2;
    const char *directory = durable ? daemon_.state : daemon_.runtime;
    int segments = daemon_segments(&daemon_);
    char path[PATH_LENGTH];
    bool lost;

    snprintf(path, sizeof(path), "%s/registry/records.mdb", directory);
    ck_assert_int_eq(truncate(path, _i / 2 * (off_t)sysconf(_SC_PAGESIZE)), 0);
    daemon_launch(&daemon_);
    snprintf(path, sizeof(path), "%s/quarantine", directory);
    lost = count_files(path, "registry.") == 1;
    ck_assert(lost || _i / 2 > FIRST_PAGE_IN_USE);
    ck_assert(exists(conn, durable ? "whole/shm" : "whole/file"));
    ck_assert(exists(conn, durable ? "whole/file" : "whole/shm") != lost);
    ck_assert_int_eq(daemon_segments(&daemon_), segments);
    create_region(conn, "new", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
}
END_TEST

START_TEST(test_both_registries_gone) {
    int segments = daemon_segments(&daemon_);

    remove_registry(daemon_.runtime);
    remove_registry(daemon_.state);
    daemon_launch(&daemon_);
    ck_assert(!exists(conn, "whole/shm") && !exists(conn, "whole/file"));
    ck_assert_int_eq(daemon_segments(&daemon_), segments);
    create_region(conn, "new", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
}
END_TEST

static void make_foreign(const char *path) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(write(fd, "theirs", 6), 6);
    ck_assert_int_eq(fchown(fd, STRANGER, STRANGER), 0);
}

static void expect_untouched(const char *path) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char content[16];
    struct stat status;

    ck_assert_msg(fd >= 0, "%s is gone", path);
    ck_assert_int_eq(read(fd, content, sizeof(content)), 6);
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_uint_eq(status.st_uid, STRANGER);
}

/* Also a name that no segment of this daemon has had. */
START_TEST(test_foreign_objects_with_our_names_at_the_start) {
    char shm[PATH_LENGTH], file[PATH_LENGTH], far[PATH_LENGTH];

    shm_path(shm, 3, 9);
    shm_path(far, 888888, 1);
    file_path(file, 4, 9);
    make_foreign(shm);
    make_foreign(far);
    make_foreign(file);
    daemon_launch(&daemon_);
    ck_assert(daemon_has_logged(&daemon_, "888888.1 is left alone"));
    expect_rest();
    expect_untouched(shm);
    expect_untouched(far);
    expect_untouched(file);
}
END_TEST

static uint64_t id_of(const char *name) {
    struct shmreg_description *description;
    uint64_t id;

    expect_ok(shmreg_describe(conn, name, &description));
    id = description->id;
    shmreg_description_free(description);
    return id;
}

/* What older daemons would have made next, and files that only root can put there. */
START_TEST(test_foreign_objects_in_the_way_of_a_creation) {
    char paths[6][PATH_LENGTH];
    shmreg_region *stage;
    uint64_t id;

    daemon_launch(&daemon_);
    create_region(conn, "probe", SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED));
    id = id_of("probe");
    for (size_t i = 0; i < ARRAY_SIZE(paths) / 2; i++) {
        shm_path(paths[2 * i], id + 1 + i, i == 0 ? 0 : 1);
        file_path(paths[2 * i + 1], id + 2 + i, 1);
        make_foreign(paths[2 * i]);
        make_foreign(paths[2 * i + 1]);
    }
    create_region(conn, "new/block", SIZE,
                  SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK | SHMREG_DETACHED));
    expect_ok(shmreg_stage(conn, "whole/shm", SIZE, NULL, &stage));
    expect_ok(shmreg_publish(stage, 0, NULL));
    expect_rest();
    ck_assert(daemon_has_logged(&daemon_, "nobody can foresee"));
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        expect_untouched(paths[i]);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    ck_assert(exists(conn, "new/block") && exists(conn, "new/file"));
}
END_TEST

/* A version is not published over what somebody else has put there, and can be once that is gone: in
 * the state directory, which is closed to others; in /dev/shm nobody can foresee the name. */
START_TEST(test_a_foreign_object_in_the_way_of_a_publish) {
    char path[PATH_LENGTH];

    daemon_launch(&daemon_);
    file_path(path, id_of("whole/file"), 2);
    make_foreign(path);
    expect_error(shmreg_put(conn, "whole/file", "next", 4, 0), -EBUSY,
                 "has the name of the next version");
    expect_untouched(path);
    ck_assert_int_eq(unlink(path), 0);
    expect_ok(shmreg_put(conn, "whole/file", "next", 4, 0));
    daemon_kill(&daemon_);
    expect_sound(&daemon_);
    daemon_launch(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("broken-state");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_a_segment_that_is_not_what_it_was, 0, (int)ARRAY_SIZE(damages));
    tcase_add_loop_test(tcase, test_a_registry_that_is_gone, 0, 2);
    tcase_add_loop_test(tcase, test_a_registry_cut_at_a_page, 0, 2 * PAGES_IN_USE);
    tcase_add_test(tcase, test_a_runtime_directory_that_is_gone);
    tcase_add_test(tcase, test_both_registries_gone);
    tcase_add_test(tcase, test_foreign_objects_with_our_names_at_the_start);
    tcase_add_test(tcase, test_foreign_objects_in_the_way_of_a_creation);
    tcase_add_test(tcase, test_a_foreign_object_in_the_way_of_a_publish);
    return sandbox_run("broken-state", &tcase, 1);
}
