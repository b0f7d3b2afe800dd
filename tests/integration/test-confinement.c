/*
 * Confinement: the daemon as it runs opens no file for writing but in its directories and /dev/shm. A
 * client can see that: it hands over files that anybody may write to.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER 20001
#define SIZE 4096

static struct test_daemon daemon_;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    ck_assert(daemon_is_alive(&daemon_));
    daemon_stop(&daemon_);
}

/* What kind of access the daemon offers to a file in that directory. */
static int offered(const char *directory) {
    shmreg_conn *conn = connect_to(&daemon_);
    _cleanup_close_ int fd = -1;
    shmreg_region *region;
    char path[64];
    int access;

    snprintf(path, sizeof(path), "%s/shmreg-test-XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(path) | fchmod(fd, 0666) | ftruncate(fd, SIZE), 0);
    expect_ok(shmreg_adopt(conn, "region", fd, NULL, NULL));
    access = shmreg_open(conn, "region", SHMREG_WRITE, &region) == 0 ? O_RDWR : O_RDONLY;
    expect_ok(shmreg_open(conn, "region", SHMREG_READ, &region));
    expect_ok(shmreg_destroy(conn, "region"));
    shmreg_disconnect(conn);
    return access;
}

static void hand_files_over(int channel, void *data) {
    bool confined = !daemon_has_logged(&daemon_, "not confined by Landlock");

    (void)channel;
    (void)data;
    ck_assert_int_eq(offered("/dev/shm"), O_RDWR);
    ck_assert_int_eq(offered("/tmp"), confined ? O_RDONLY : O_RDWR);
}

START_TEST(test_files_elsewhere_are_offered_for_reading) {
    run_as(USER(OWNER), hand_files_over, NULL);
}
END_TEST

int main(void) {
    TCase *confinement = tcase_create("confinement");

    tcase_add_checked_fixture(confinement, setup, teardown);
    tcase_set_timeout(confinement, 60);
    tcase_add_test(confinement, test_files_elsewhere_are_offered_for_reading);
    return sandbox_run("confinement", (TCase *[]){confinement}, 1);
}
