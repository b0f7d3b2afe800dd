/*
 * Lifetimes: each rule ends its regions when it says, and not before.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 15

static struct test_daemon daemon_;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    daemon_stop(&daemon_);
}

/* Creates a region for everyone and holds it until it is killed. */
static void create_and_hold(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    expect_ok(shmreg_create(conn, "region", 4096, data, &region));
    channel_say(channel);
    pause();
}

static void open_and_hold(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    (void)data;
    open_region(conn, "region", SHMREG_READ);
    channel_say(channel);
    pause();
}

static struct child start_holder(uid_t uid, child_function function, void *data) {
    struct child child = child_start(USER(uid), function, data);

    channel_hear(child.channel);
    return child;
}

static uint32_t remaining_seconds(shmreg_conn *conn) {
    struct shmreg_description *description;
    uint32_t seconds;

    expect_ok(shmreg_describe(conn, "region", &description));
    seconds = description->remaining_seconds;
    shmreg_description_free(description);
    return seconds;
}

START_TEST(test_persistent_stays) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct child creator = start_holder(20001, create_and_hold, SHMREG_OPTIONS(.mode = 0600));

    child_kill(&creator);
    wait_holders(conn, "region", 0, 0);
    ck_assert_uint_eq(remaining_seconds(conn), UINT32_MAX);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_attached_ends_with_its_last_holder) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct child creator = start_holder(20001, create_and_hold,
                                        SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED, .mode = 0644));
    struct child reader = start_holder(20002, open_and_hold, NULL);

    wait_holders(conn, "region", 1, 1);
    child_kill(&creator);
    wait_holders(conn, "region", 1, 0);
    child_kill(&reader);
    wait_gone(conn, "region");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_attached_lingers) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;
    uint64_t since;

    expect_ok(shmreg_create(conn, "region", 4096,
                            SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED, .seconds = 1), &region));
    ck_assert_uint_eq(remaining_seconds(conn), UINT32_MAX);
    shmreg_close(region);
    ck_assert_uint_le(remaining_seconds(conn), 1);
    region = open_region(conn, "region", SHMREG_READ);
    ck_assert_uint_eq(remaining_seconds(conn), UINT32_MAX);
    since = monotonic_usec();
    shmreg_close(region);
    wait_gone(conn, "region");
    ck_assert_uint_ge(monotonic_usec() - since, 1000000);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_attached_ends_when_given_back) {
    shmreg_conn *conn = connect_to(&daemon_);

    create_region(conn, "region", 4096, SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED));
    wait_gone(conn, "region");
    shmreg_disconnect(conn);
}
END_TEST

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* From the kill to the moment a call finds the region gone. */
static uint64_t measure_owner(shmreg_conn *conn) {
    struct child owner = start_holder(20001, create_and_hold,
                                      SHMREG_OPTIONS(.lifetime = SHMREG_OWNER, .mode = 0644));
    struct child reader = start_holder(20002, open_and_hold, NULL);
    uint64_t since = monotonic_usec();

    ck_assert_int_eq(kill(owner.pid, SIGKILL), 0);
    while (exists(conn, "region"))
        ck_assert_uint_lt(monotonic_usec() - since, 2000000);
    since = monotonic_usec() - since;
    ck_assert_int_eq(waitpid(owner.pid, NULL, 0), owner.pid);
    close(owner.channel);
    child_kill(&reader);
    return since;
}

START_TEST(test_owner_ends_with_its_process) {
    shmreg_conn *conn = connect_to(&daemon_);
    uint64_t usec[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++)
        usec[i] = measure_owner(conn);
    qsort(usec, ROUNDS, sizeof(usec[0]), compare);
    printf("owner reaped after its SIGKILL: median %lu us, longest %lu us\n",
           (unsigned long)usec[ROUNDS / 2], (unsigned long)usec[ROUNDS - 1]);
    shmreg_disconnect(conn);
}
END_TEST

static void create_and_leave(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    create_region(conn, "region", 4096, data);
    shmreg_disconnect(conn);
    channel_say(channel);
    channel_hear(channel);
}

START_TEST(test_owner_is_the_process_and_not_the_connection) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct child owner =
        start_holder(20001, create_and_leave, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER));

    wait_holders(conn, "region", 0, 0);
    channel_say(owner.channel);
    child_finish(&owner);
    wait_gone(conn, "region");
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_lease_runs_out) {
    shmreg_conn *conn = connect_to(&daemon_);
    uint64_t since = monotonic_usec();
    shmreg_region *region;

    expect_ok(shmreg_create(conn, "region", 4096,
                            SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 1), &region));
    fill(shmreg_data(region), 4096, 5);
    wait_gone(conn, "region");
    ck_assert_uint_ge(monotonic_usec() - since, 1000000);
    ck_assert(is_filled(shmreg_data(region), 4096, 5));
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_lease_is_renewed) {
    shmreg_conn *conn = connect_to(&daemon_);
    uint64_t since = monotonic_usec();

    create_region(conn, "region", 4096, SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 1));
    expect_ok(shmreg_renew(conn, "region", 300));
    ck_assert_uint_ge(remaining_seconds(conn), 290);
    expect_ok(shmreg_renew(conn, "region", 2));
    wait_gone(conn, "region");
    ck_assert_uint_ge(monotonic_usec() - since, 2000000);
    expect_error(shmreg_renew(conn, "region", 0), -ENOENT, "'region'");
    create_region(conn, "stays", 4096, NULL);
    expect_error(shmreg_renew(conn, "stays", 5), -EINVAL, "lease");
    shmreg_disconnect(conn);
}
END_TEST

int main(void) {
    TCase *lifetimes = tcase_create("lifetimes");

    tcase_add_checked_fixture(lifetimes, setup, teardown);
    tcase_set_timeout(lifetimes, 40);
    tcase_add_test(lifetimes, test_persistent_stays);
    tcase_add_test(lifetimes, test_attached_ends_with_its_last_holder);
    tcase_add_test(lifetimes, test_attached_lingers);
    tcase_add_test(lifetimes, test_attached_ends_when_given_back);
    tcase_add_test(lifetimes, test_owner_ends_with_its_process);
    tcase_add_test(lifetimes, test_owner_is_the_process_and_not_the_connection);
    tcase_add_test(lifetimes, test_lease_runs_out);
    tcase_add_test(lifetimes, test_lease_is_renewed);
    return sandbox_run("lifetimes", &lifetimes, 1);
}
