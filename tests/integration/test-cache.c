/*
 * Cache: programs of several users fill what room there is; what one of them needs for something new
 * is taken from what nobody has attached, oldest first, and whoever has something attached keeps it.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/thrash.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST 20001
#define SECOND 20002
#define SIZE (64u << 10)

static struct test_daemon daemon_;

static void teardown(void) {
    ck_assert(daemon_is_alive(&daemon_));
    daemon_stop(&daemon_);
}

/* A region full of bytes that depend on its number, and that anybody may read. */
static void cache_one(shmreg_conn *conn, const char *prefix, unsigned number) {
    shmreg_region *region;
    char name[32];

    snprintf(name, sizeof(name), "%s/%u", prefix, number);
    expect_ok(shmreg_create(
        conn, name, SIZE,
        SHMREG_OPTIONS(.lifetime = SHMREG_CACHE, .mode = 0644, .map_flags = SHMREG_POPULATE),
        &region));
    fill(shmreg_data(region), SIZE, number);
    shmreg_close(region);
}

static void cache(shmreg_conn *conn, const char *prefix, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        cache_one(conn, prefix, i);
    /* A detach is no round trip: this one is. */
    exists(conn, "nothing");
}

/* Fails unless these are the numbers, as digits, of the regions there are. */
static void expect_cached(shmreg_conn *conn, const char *prefix, const char *numbers) {
    char name[32], found[16] = "";

    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "%s/%u", prefix, i);
        if (exists(conn, name))
            snprintf(found + strlen(found), 2, "%u", i);
    }
    ck_assert_str_eq(found, numbers);
}

static void create(shmreg_conn *conn, const char *name, uint64_t size) {
    create_region(conn, name, size, SHMREG_OPTIONS(.lifetime = SHMREG_PERSISTENT));
}

static void fill_up(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    (void)data;
    cache(conn, "first", 6);
    channel_say(channel);
    /* The other has 0 attached, and has looked at 1 last. */
    channel_hear(channel);
    create(conn, "own/a", 2 * SIZE);
    expect_cached(conn, "first", "0145");
    expect_error(shmreg_create(conn, "own/b", 4 * SIZE, NULL, &(shmreg_region *){0}), -EDQUOT,
                 "limit on bytes of user 20001");
    expect_cached(conn, "first", "0145");
    /* What is being replaced stays, too. */
    expect_ok(shmreg_put(conn, "first/5", "x", 1, SHMREG_MODE_DEFAULT));
    expect_cached(conn, "first", "015");
    shmreg_disconnect(conn);
}

START_TEST(test_limits_of_users_and_of_all) {
    shmreg_conn *conn;
    shmreg_region *held, *looked_at;
    struct child child;

    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"bytes\":\"384K\"},"
                                "\"total\":{\"bytes\":\"576K\"}}}");
    conn = connect_to(&daemon_);
    child = child_start(USER(FIRST), fill_up, NULL);
    channel_hear(child.channel);
    held = open_region(conn, "first/0", SHMREG_READ);
    looked_at = open_region(conn, "first/1", SHMREG_READ);
    shmreg_close(looked_at);
    exists(conn, "nothing");
    channel_say(child.channel);
    child_finish(&child);
    ck_assert(is_filled(shmreg_data(held), SIZE, 0));
    /* Now of all together: root's own are older than none of the user's. */
    cache(conn, "root", 2);
    create(conn, "large", 4 * SIZE);
    expect_cached(conn, "first", "0");
    expect_cached(conn, "root", "01");
    ck_assert(daemon_has_logged(&daemon_, "region 'first/1' reaped: its space was wanted: limit on "
                                          "bytes of all users together"));
    ck_assert(is_filled(shmreg_data(held), SIZE, 0));
    shmreg_disconnect(conn);
}
END_TEST

static void put_until_full(int channel, void *data) {
    static char value[SHMREG_VALUE_MAX];
    shmreg_conn *conn = connect_to(&daemon_);
    char name[32];
    int r = 0;

    (void)channel;
    (void)data;
    for (unsigned i = 0; r == 0; i++) {
        snprintf(name, sizeof(name), "value/%u", i);
        r = shmreg_put(conn, name, value, sizeof(value), SHMREG_MODE_DEFAULT);
        /* One goes for about one that comes. */
        if (i == 0)
            expect_cached(conn, "cached", "02345");
    }
    ck_assert_int_eq(r, -ENOSPC);
    expect_cached(conn, "cached", "0");
    shmreg_disconnect(conn);
}

START_TEST(test_a_full_file_system) {
    shmreg_conn *conn;
    shmreg_region *held;

    daemon_prepare(&daemon_, "{}");
    sandbox_mount("/dev/shm", 6 * SIZE);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    cache(conn, "cached", 6);
    held = open_region(conn, "cached/0", SHMREG_READ);
    run_as(USER(SECOND), put_until_full, NULL);
    ck_assert(is_filled(shmreg_data(held), SIZE, 0));
    ck_assert(daemon_has_logged(&daemon_, "no space is left for a shm segment"));
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_the_order_after_a_kill) {
    shmreg_conn *conn;

    daemon_start_with(&daemon_, "{\"limits\":{\"total\":{\"regions\":5}}}");
    conn = connect_to(&daemon_);
    cache(conn, "cached", 5);
    shmreg_close(open_region(conn, "cached/0", SHMREG_READ));
    exists(conn, "nothing");
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    create(conn, "one", SIZE);
    create(conn, "two", SIZE);
    expect_cached(conn, "cached", "034");
    shmreg_disconnect(conn);
}
END_TEST

/* As the service manager tells of it. */
START_TEST(test_a_word_of_pressure) {
    char path[DAEMON_PATH_MAX + 16];
    shmreg_region *held;
    shmreg_conn *conn;
    int fd;

    daemon_prepare(&daemon_, "{\"memory_pressure\":{\"percent\":40}}");
    snprintf(path, sizeof(path), "%s/pressure", daemon_.root);
    ck_assert_int_eq(mkfifo(path, 0666), 0);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(setenv("MEMORY_PRESSURE_WATCH", path, 1), 0);
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    cache(conn, "cached", 6);
    held = open_region(conn, "cached/0", SHMREG_READ);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "!", 1), 1);
    wait_gone(conn, "cached/2");
    expect_cached(conn, "cached", "0345");
    ck_assert(daemon_has_logged(&daemon_, "'cached/1' reaped: its space was wanted: the host"));
    ck_assert(is_filled(shmreg_data(held), SIZE, 0));
    ck_assert_int_eq(daemon_segments(&daemon_), 4);
    close(fd);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_real_pressure) {
    struct thrash thrash;
    shmreg_region *held;
    shmreg_conn *conn;

    daemon_start_with(&daemon_, "{\"memory_pressure\":{\"stall\":1,\"percent\":100}}");
    conn = connect_to(&daemon_);
    cache(conn, "cached", 3);
    held = open_region(conn, "cached/0", SHMREG_READ);
    if (thrash_start(&thrash)) {
        wait_gone(conn, "cached/1");
        thrash_stop(&thrash);
        expect_cached(conn, "cached", "0");
        ck_assert(is_filled(shmreg_data(held), SIZE, 0));
    } else {
        puts("no real memory pressure: no pressure information, or no control group of memory");
    }
    shmreg_disconnect(conn);
}
END_TEST

int main(void) {
    TCase *cached = tcase_create("cache");

    tcase_add_checked_fixture(cached, NULL, teardown);
    tcase_set_timeout(cached, 40);
    tcase_add_test(cached, test_limits_of_users_and_of_all);
    tcase_add_test(cached, test_a_full_file_system);
    tcase_add_test(cached, test_the_order_after_a_kill);
    tcase_add_test(cached, test_a_word_of_pressure);
    tcase_add_test(cached, test_real_pressure);
    return sandbox_run("cache", &cached, 1);
}
