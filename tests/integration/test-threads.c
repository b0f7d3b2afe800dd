/*
 * Threads and processes: one connection used by many threads, by the child of a fork(2), and not at
 * all by a program that was executed.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 300

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

/* An assertion in a thread would end only half of the test: a count of failures is returned. */
static void *use_the_connection(void *data) {
    const uintptr_t number = (uintptr_t)data;
    char name[32], text[32], back[32];
    uintptr_t failures = 0;
    size_t size;

    snprintf(name, sizeof(name), "thread/%u", (unsigned)number);
    for (unsigned i = 0; i < ROUNDS; i++) {
        shmreg_region *shared, *own;

        snprintf(text, sizeof(text), "%u.%u", (unsigned)number, i);
        failures += shmreg_put(conn, name, text, sizeof(text), 0600) != 0;
        failures +=
            shmreg_get(conn, name, back, sizeof(back), &size) != 0 || strcmp(text, back) != 0;
        if (shmreg_open(conn, "shared", SHMREG_READ, &shared) != 0 ||
            shmreg_open(conn, name, SHMREG_READ, &own) != 0)
            return (void *)(failures + 1);
        failures += *(char *)shmreg_data(shared) != 's' || strcmp(shmreg_data(own), text) != 0;
        failures += shmreg_open(conn, "nothing", SHMREG_READ, &own) != -ENOENT ||
                    !strstr(shmreg_error_message(), "'nothing'");
        shmreg_close(shared);
        if (i % 2)
            shmreg_close(own);
    }
    return (void *)failures;
}

START_TEST(test_threads_share_a_connection) {
    pthread_t threads[THREADS];
    shmreg_region *shared;

    expect_ok(shmreg_create(conn, "shared", 1, NULL, &shared));
    *(char *)shmreg_data(shared) = 's';
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_the_connection, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failures;

        pthread_join(threads[i], &failures);
        ck_assert_uint_eq((uintptr_t)failures, 0);
    }
    ck_assert_uint_eq(count_readers(conn, "shared"), 0);
    ck_assert_uint_eq(count_writers(conn, "shared"), 1);
}
END_TEST

static void use_what_was_inherited(int channel, void *data) {
    shmreg_region *region = data;

    ck_assert_int_eq(*(char *)shmreg_data(region), 'p');
    *(char *)shmreg_data(region) = 'c';
    create_region(conn, "from-the-child", 10, NULL);
    channel_say(channel);
    channel_hear(channel);
    ck_assert(exists(conn, "from-the-child"));
    shmreg_close(region);
    wait_holders(conn, "region", 0, 1);
    shmreg_disconnect(conn);
}

START_TEST(test_a_child_uses_what_it_inherited) {
    struct child child;
    shmreg_region *region;

    expect_ok(shmreg_create(conn, "region", 10, NULL, &region));
    *(char *)shmreg_data(region) = 'p';
    child = child_start(USER(0), use_what_was_inherited, region);
    channel_hear(child.channel);
    /* Each counts for itself. */
    wait_holders(conn, "region", 0, 2);
    ck_assert_int_eq(*(char *)shmreg_data(region), 'c');
    expect_ok(shmreg_destroy(conn, "from-the-child"));
    create_region(conn, "from-the-child", 10, NULL);
    channel_say(child.channel);
    child_finish(&child);
    ck_assert_uint_eq(count_writers(conn, "region"), 1);
    shmreg_close(region);
    ck_assert_uint_eq(count_writers(conn, "region"), 0);
}
END_TEST

static void leave_at_once(int channel, void *data) {
    (void)channel;
    (void)data;
    shmreg_disconnect(conn);
}

START_TEST(test_a_child_that_leaves_takes_nothing_along) {
    shmreg_region *region;

    expect_ok(
        shmreg_create(conn, "region", 10, SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED), &region));
    run_as(USER(0), leave_at_once, NULL);
    ck_assert_uint_eq(count_writers(conn, "region"), 1);
    *(char *)shmreg_data(region) = 'x';
    shmreg_close(region);
}
END_TEST

/* The daemon asks for credentials when a connection is made: a child that changed its user gets a
 * connection, and with it rights, of its own. */
static void be_another_user(int channel, void *data) {
    shmreg_region *region;

    (void)channel;
    (void)data;
    expect_error(shmreg_open(conn, "of-root", SHMREG_READ, &region), -EACCES, "user 20001");
    create_region(conn, "of-the-child", 1, NULL);
}

START_TEST(test_a_child_has_its_own_rights) {
    struct shmreg_description *description;

    create_region(conn, "of-root", 1, NULL);
    run_as(USER(20001), be_another_user, NULL);
    expect_ok(shmreg_describe(conn, "of-the-child", &description));
    ck_assert_uint_eq(description->owner_uid, 20001);
    shmreg_description_free(description);
}
END_TEST

/* Every descriptor of the library's would be there, and shmreg_fd() among them. */
START_TEST(test_nothing_is_left_to_a_new_program) {
    char command[] = "! ls -l /proc/$$/fd | grep -e shmreg -e ' [3-9] -> socket:' >&2";
    char *arguments[] = {"sh", "-c", command, NULL};
    int status;
    pid_t pid;

    create_region(conn, "region", 1, NULL);
    open_region(conn, "region", SHMREG_READ);
    pid = fork();
    if (pid == 0) {
        execv("/bin/sh", arguments);
        _exit(127);
    }
    status = wait_for_end(pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned)status);
}
END_TEST

int main(void) {
    TCase *threads = tcase_create("threads");

    tcase_add_checked_fixture(threads, setup, teardown);
    tcase_set_timeout(threads, 30);
    tcase_add_test(threads, test_threads_share_a_connection);
    tcase_add_test(threads, test_a_child_uses_what_it_inherited);
    tcase_add_test(threads, test_a_child_that_leaves_takes_nothing_along);
    tcase_add_test(threads, test_a_child_has_its_own_rights);
    tcase_add_test(threads, test_nothing_is_left_to_a_new_program);
    return sandbox_run("threads", &threads, 1);
}
