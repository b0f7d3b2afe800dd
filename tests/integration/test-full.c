/*
 * Full: no room in /dev/shm, the state directory or the runtime directory is an error answer, with
 * nothing half done, and when there is room again everything goes on.
 */
#include "proto/cleanup.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM (4u << 20)

static struct test_daemon daemon_;
static shmreg_conn *conn;
static char value[SHMREG_VALUE_MAX];

static void teardown(void) {
    ck_assert(daemon_is_alive(&daemon_));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

/* Leaves the file system of @path without a free page. */
static void use_up(const char *path) {
    static const char zeroes[65536];
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_t size = sizeof(zeroes);

    ck_assert_int_ge(fd, 0);
    while (size > 0)
        if (write(fd, zeroes, size) < 0) {
            ck_assert_int_eq(errno, ENOSPC);
            size /= 2;
        }
}

static void expect_full(const char *name) {
    size_t size;

    expect_error(shmreg_put(conn, name, value, sizeof(value), SHMREG_MODE_DEFAULT), -ENOSPC,
                 "No space left on device");
    memset(value, 0, 10);
    expect_ok(shmreg_get(conn, name, value, sizeof(value), &size));
    ck_assert_uint_eq(size, 10);
    ck_assert(is_filled(value, 10, 1));
}

static void put(const char *name, size_t size, unsigned seed) {
    fill(value, size, seed);
    expect_ok(shmreg_put(conn, name, value, size, SHMREG_MODE_DEFAULT));
}

START_TEST(test_full_shm) {
    daemon_prepare(&daemon_, "{}");
    sandbox_mount("/dev/shm", ROOM);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    put("value", 10, 1);
    use_up("/dev/shm/filler");
    expect_full("value");
    /* Of the new version nothing is left. */
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), 1);
    ck_assert_int_eq(unlink("/dev/shm/filler"), 0);
    put("value", sizeof(value), 2);
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), 1);
}
END_TEST

START_TEST(test_full_state_directory) {
    char filler[DAEMON_PATH_MAX + 16];
    int r;

    daemon_prepare(&daemon_, "{}");
    sandbox_mount(daemon_.state, ROOM);
    ck_assert_int_eq(chown(daemon_.state, DAEMON_UID, DAEMON_UID), 0);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "value", 1, SHMREG_OPTIONS(.backing = SHMREG_FILE));
    put("value", 10, 1);
    snprintf(filler, sizeof(filler), "%s/filler", daemon_.state);
    use_up(filler);
    expect_full("value");
    /* What needs no room there is served. */
    create_region(conn, "elsewhere", 1, NULL);
    /* A record may still fit into pages the registry has, but in the end it is full, too. */
    for (unsigned i = 0; i < 10000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "file/%u", i);
        r = shmreg_create(conn, name, 1,
                          SHMREG_OPTIONS(.backing = SHMREG_FILE, .flags = SHMREG_DETACHED),
                          &(shmreg_region *){0});
        if (r < 0)
            break;
    }
    ck_assert_msg(r == -ENOSPC, "%d: %s", r, shmreg_error_message());
    ck_assert_int_eq(unlink(filler), 0);
    put("value", sizeof(value), 2);
    create_region(conn, "more", 1, SHMREG_OPTIONS(.backing = SHMREG_FILE));
}
END_TEST

START_TEST(test_full_runtime_directory) {
    char filler[DAEMON_PATH_MAX + 16], name[32];
    unsigned made;
    int r = 0;

    daemon_prepare(&daemon_, "{}");
    sandbox_mount(daemon_.runtime, ROOM);
    ck_assert_int_eq(chown(daemon_.runtime, DAEMON_UID, DAEMON_UID), 0);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "before", 1, NULL);
    snprintf(filler, sizeof(filler), "%s/filler", daemon_.runtime);
    use_up(filler);
    for (made = 0; made < 20000 && r == 0; made++) {
        snprintf(name, sizeof(name), "region/%u", made);
        r = shmreg_create(conn, name, 1, SHMREG_OPTIONS(.flags = SHMREG_DETACHED),
                          &(shmreg_region *){0});
    }
    ck_assert_msg(r == -ENOSPC, "%d after %u: %s", r, made, shmreg_error_message());
    ck_assert(!exists(conn, name));
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), (int)made);
    /* To end something needs no room. */
    expect_ok(shmreg_destroy(conn, "before"));
    ck_assert_int_eq(unlink(filler), 0);
    create_region(conn, name, 1, NULL);
    shmreg_disconnect(conn);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    ck_assert(exists(conn, name));
    ck_assert_int_eq(count_files("/dev/shm", "shmreg."), (int)made);
}
END_TEST

int main(void) {
    TCase *full = tcase_create("full");

    tcase_add_checked_fixture(full, NULL, teardown);
    tcase_set_timeout(full, 40);
    tcase_add_test(full, test_full_shm);
    tcase_add_test(full, test_full_state_directory);
    tcase_add_test(full, test_full_runtime_directory);
    return sandbox_run("full", &full, 1);
}
