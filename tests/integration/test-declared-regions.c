/*
 * Declared regions: they are there before the first client is served, for those they are declared for;
 * a reload applies what a file changes, and nobody ever sees half of a content.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER 20001
#define READER 20002
#define OTHER 20003
#define CONTENT_SIZE (8u << 20)
#define VERSIONS 6
#define PATH_MAX_LENGTH (DAEMON_PATH_MAX + 32)

static struct test_daemon daemon_;

static void set_path(char ret[static PATH_MAX_LENGTH], const char *name) {
    snprintf(ret, PATH_MAX_LENGTH, "%s/%s", daemon_.root, name);
}

/* Puts a file there in one step, readable for the daemon. */
static void put_file(const char *name, const void *data, size_t size) {
    char path[PATH_MAX_LENGTH], next[PATH_MAX_LENGTH];
    int fd;

    set_path(path, name);
    set_path(next, "next");
    fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    close(fd);
    ck_assert_int_eq(rename(next, path), 0);
}

static void declare(const char *name, const char *text) {
    put_file(name, text, strlen(text));
}

/* A region for all readers, with the content of the file "content". */
static void declare_content(const char *more) {
    char text[256];

    snprintf(text, sizeof(text),
             "{\"name\": \"loaded\", \"mode\": \"0644\", \"content\": \"%s/content\"%s}",
             daemon_.root, more);
    declare("regions.d/loaded.json", text);
}

static void put_content(size_t size, unsigned seed) {
    char *content = malloc(size);

    ck_assert_ptr_nonnull(content);
    fill(content, size, seed);
    put_file("content", content, size);
    free(content);
}

static void prepare(void) {
    char path[PATH_MAX_LENGTH];

    daemon_prepare(&daemon_, "{}");
    set_path(path, "regions.d");
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void teardown(void) {
    daemon_stop(&daemon_);
}

static bool has_logged(void *text) {
    return daemon_has_logged(&daemon_, text);
}

/* A reload of which the log tells something that it did not tell before. */
static void reload_until_logged(const char *text) {
    ck_assert(!has_logged((void *)text));
    ck_assert_int_eq(kill(daemon_.pid, SIGHUP), 0);
    wait_until(has_logged, (void *)text);
}

static void write_as_owner(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "declared", SHMREG_WRITE);

    (void)channel;
    (void)data;
    strcpy(shmreg_data(region), "owner");
    shmreg_close(region);
    shmreg_disconnect(conn);
}

static void read_as_group(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "declared", SHMREG_READ);

    (void)channel;
    (void)data;
    ck_assert_str_eq(shmreg_data(region), "owner");
    shmreg_close(region);
    expect_error(shmreg_open(conn, "declared", SHMREG_WRITE, &region), -EACCES, "right 'w'");
    shmreg_disconnect(conn);
}

static void be_refused(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    expect_error(shmreg_open(conn, "declared", SHMREG_READ, &region), -EACCES, "right 'r'");
    expect_error(shmreg_destroy(conn, "declared"), -EACCES, "right 'm'");
    shmreg_disconnect(conn);
}

static void destroy_as_owner(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    (void)channel;
    (void)data;
    expect_ok(shmreg_destroy(conn, "declared"));
    shmreg_disconnect(conn);
}

START_TEST(test_for_those_it_is_declared_for) {
    static const char text[] = "{\"name\": \"declared\", \"size\": 4096, \"owner\": \"20001\", "
                               "\"group\": \"20002\", \"mode\": \"0640\"}";
    static const char given[] = "{\"name\": \"declared\", \"size\": 4096, \"owner\": \"20003\", "
                                "\"group\": \"20002\", \"mode\": \"0640\"}";

    prepare();
    declare("regions.d/declared.json", text);
    daemon_launch(&daemon_);
    run_as(USER(OWNER), write_as_owner, NULL);
    run_as(USER(READER), read_as_group, NULL);
    run_as(USER(OTHER), be_refused, NULL);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    run_as(USER(READER), read_as_group, NULL);
    declare("regions.d/declared.json", given);
    reload_until_logged("changed by user 20000: owner");
    run_as(USER(OWNER), be_refused, NULL);
    run_as(USER(OTHER), destroy_as_owner, NULL);
    reload_until_logged("region 'declared' created by user 20003");
    run_as(USER(OTHER), write_as_owner, NULL);
}
END_TEST

/* Opens the region again and again, until it has the last version: each is whole. */
static void read_whole_versions(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "loaded", SHMREG_READ);

    (void)data;
    channel_say(channel);
    for (uint32_t version = 0; version < VERSIONS;) {
        expect_ok(shmreg_refresh(region));
        version = shmreg_version(region);
        ck_assert_uint_eq(shmreg_size(region), CONTENT_SIZE + version);
        ck_assert(is_filled(shmreg_data(region), shmreg_size(region), version));
        if (version < VERSIONS && shmreg_is_current(region))
            expect_ok(shmreg_wait(region, 20000));
    }
    shmreg_close(region);
    shmreg_disconnect(conn);
}

START_TEST(test_nobody_sees_half_of_a_content) {
    struct child readers[2];
    shmreg_conn *conn;
    shmreg_region *watched;

    prepare();
    put_content(CONTENT_SIZE + 1, 1);
    declare_content(", \"backing\": \"memfd\"");
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    watched = open_region(conn, "loaded", SHMREG_READ);
    ck_assert(is_filled(shmreg_data(watched), CONTENT_SIZE + 1, 1));
    for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
        readers[i] = child_start(USER(READER + i), read_whole_versions, NULL);
        channel_hear(readers[i].channel);
    }
    for (unsigned version = 2; version <= VERSIONS; version++) {
        put_content(CONTENT_SIZE + version, version);
        ck_assert_int_eq(kill(daemon_.pid, SIGHUP), 0);
        expect_ok(shmreg_wait(watched, 20000));
        expect_ok(shmreg_refresh(watched));
        ck_assert_uint_eq(shmreg_version(watched), version);
    }
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        child_finish(&readers[i]);
    shmreg_close(watched);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_a_kill_while_it_is_loaded_leaves_a_whole_version) {
    uint32_t version;

    prepare();
    put_content(CONTENT_SIZE + 1, 1);
    declare_content(", \"backing\": \"file\"");
    daemon_launch(&daemon_);
    for (unsigned i = 0; i < 5; i++) {
        shmreg_conn *conn;
        shmreg_region *region;

        put_content(CONTENT_SIZE + i + 2, i + 2);
        ck_assert_int_eq(kill(daemon_.pid, SIGHUP), 0);
        usleep(i * 4000); /* anywhere between the signal and the end */
        daemon_kill(&daemon_);
        daemon_launch(&daemon_);
        conn = connect_to(&daemon_);
        region = open_region(conn, "loaded", SHMREG_READ);
        version = i + 2;
        ck_assert_uint_eq(shmreg_size(region), CONTENT_SIZE + version);
        ck_assert(is_filled(shmreg_data(region), shmreg_size(region), version));
        ck_assert_int_eq(daemon_segments(&daemon_), 1);
        shmreg_close(region);
        shmreg_disconnect(conn);
    }
}
END_TEST

START_TEST(test_no_room_is_a_problem_and_no_failure) {
    shmreg_conn *conn;
    shmreg_region *region;

    prepare();
    sandbox_mount("/dev/shm", CONTENT_SIZE / 2);
    put_content(CONTENT_SIZE, 1);
    declare_content("");
    declare("regions.d/small.json", "{\"name\": \"small\", \"size\": 1, \"mode\": \"0644\"}");
    daemon_launch(&daemon_);
    ck_assert(has_logged((void *)"No space left on device"));
    conn = connect_to(&daemon_);
    ck_assert(!exists(conn, "loaded"));
    shmreg_close(open_region(conn, "small", SHMREG_READ));
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    put_content(CONTENT_SIZE / 4, 2);
    reload_until_logged("region 'loaded' created");
    region = open_region(conn, "loaded", SHMREG_READ);
    ck_assert(is_filled(shmreg_data(region), CONTENT_SIZE / 4, 2));
    shmreg_close(region);
    shmreg_disconnect(conn);
}
END_TEST

/* Where the file is a user's, it cannot be made to be one that only the daemon may read. */
START_TEST(test_a_link_leads_nowhere) {
    char link[PATH_MAX_LENGTH], secret[PATH_MAX_LENGTH];
    shmreg_conn *conn;

    prepare();
    put_content(100, 1);
    declare_content("");
    set_path(link, "content");
    set_path(secret, "secret");
    ck_assert_int_eq(rename(link, secret), 0);
    ck_assert_int_eq(chmod(secret, 0600) | chown(secret, DAEMON_UID, DAEMON_UID), 0);
    ck_assert_int_eq(symlink(secret, link), 0);
    daemon_launch(&daemon_);
    ck_assert(has_logged((void *)"a part of the path is a symbolic link"));
    conn = connect_to(&daemon_);
    ck_assert(!exists(conn, "loaded"));
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_a_mistake_keeps_what_there_is) {
    shmreg_conn *conn;

    prepare();
    declare("regions.d/a.json", "{\"name\": \"declared\", \"size\": 1, \"mode\": \"0644\"}");
    daemon_launch(&daemon_);
    declare("regions.d/b.json", "{\n\"name\": \"b\",\n\"size\": 2, \"max_size\": 1\n}");
    reload_until_logged("regions.d/b.json:2: region 'b': max_size 1 is smaller than size 2");
    conn = connect_to(&daemon_);
    ck_assert(exists(conn, "declared"));
    ck_assert(!exists(conn, "b"));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
    daemon_expect_refusal(&daemon_);
    declare("regions.d/b.json", "");
    daemon_launch(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("declared-regions");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_set_timeout(tcase, 40);
    tcase_add_test(tcase, test_for_those_it_is_declared_for);
    tcase_add_test(tcase, test_nobody_sees_half_of_a_content);
    tcase_add_test(tcase, test_a_kill_while_it_is_loaded_leaves_a_whole_version);
    tcase_add_test(tcase, test_no_room_is_a_problem_and_no_failure);
    tcase_add_test(tcase, test_a_link_leads_nowhere);
    tcase_add_test(tcase, test_a_mistake_keeps_what_there_is);
    return sandbox_run("declared-regions", &tcase, 1);
}
