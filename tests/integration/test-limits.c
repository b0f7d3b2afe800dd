/*
 * Limits: each kind, of a user, of a namespace and of all together, refuses what is over it with a
 * sentence that names it, and the accounts are exact: whatever is refused or given back makes room
 * again.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>

#define USER_ID 20001
#define MOST 4

static struct test_daemon daemon_;

/* Every test gives back all it took. */
static void teardown(void) {
    daemon_stop(&daemon_);
}

static void name_region(char ret[static 16], unsigned number) {
    snprintf(ret, 16, "region/%u", number);
}

static void create_detached(shmreg_conn *conn, unsigned number, uint64_t size) {
    char name[16];

    name_region(name, number);
    expect_ok(shmreg_create(conn, name, size, SHMREG_OPTIONS(.flags = SHMREG_DETACHED),
                            &(shmreg_region *){0}));
}

static void expect_refusal(shmreg_conn *conn, uint64_t size, int code, const char *sentence) {
    expect_error(shmreg_create(conn, "one-more", size, SHMREG_OPTIONS(.flags = SHMREG_DETACHED),
                               &(shmreg_region *){0}),
                 code, sentence);
}

static void destroy(shmreg_conn *conn, unsigned number) {
    char name[16];

    name_region(name, number);
    expect_ok(shmreg_destroy(conn, name));
}

struct expectation {
    int code;
    const char *sentence;
};

static void fill_regions(int channel, void *data) {
    const struct expectation *expected = data;
    shmreg_conn *conn = connect_to(&daemon_);

    (void)channel;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MOST; i++)
            create_detached(conn, i, 100);
        for (unsigned i = 0; i < 3; i++)
            expect_refusal(conn, 100, expected->code, expected->sentence);
        expect_error(shmreg_put(conn, "one-more", "x", 1, SHMREG_MODE_DEFAULT), expected->code,
                     expected->sentence);
        for (unsigned i = 0; i < MOST; i++)
            destroy(conn, i);
    }
    shmreg_disconnect(conn);
}

START_TEST(test_regions_of_a_user) {
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"regions\":4}}}");
    run_as(USER(USER_ID), fill_regions,
           &(struct expectation){-EDQUOT, "limit on regions of user 20001: 4 of 4"});
}
END_TEST

START_TEST(test_regions_of_all) {
    shmreg_conn *conn;

    daemon_start_with(&daemon_, "{\"limits\":{\"total\":{\"regions\":5}}}");
    conn = connect_to(&daemon_);
    create_detached(conn, 99, 1);
    run_as(USER(USER_ID), fill_regions,
           &(struct expectation){-ENOSPC, "limit on regions of all users together: 5 of 5"});
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_a_user_has_limits_of_his_own) {
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"regions\":1},"
                                "\"users\":{\"20001\":{\"regions\":4}}}}");
    run_as(USER(USER_ID), fill_regions,
           &(struct expectation){-EDQUOT, "limit on regions of user 20001: 4 of 4"});
}
END_TEST

static void fill_bytes(int channel, void *data) {
    const struct expectation *expected = data;
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *held;

    (void)channel;
    for (unsigned round = 0; round < 3; round++) {
        create_detached(conn, 0, 60000);
        expect_refusal(conn, 40001, expected->code, expected->sentence);
        create_detached(conn, 1, 40000);
        expect_refusal(conn, 1, expected->code, expected->sentence);
        /* Replacing needs room for both versions. */
        expect_error(shmreg_put(conn, "region/1", "x", 1, 0600), expected->code,
                     expected->sentence);
        destroy(conn, 0);
        destroy(conn, 1);
    }
    /* A segment counts until the last holder of it has let go. */
    create_detached(conn, 2, 100000);
    held = open_region(conn, "region/2", SHMREG_READ);
    destroy(conn, 2);
    expect_refusal(conn, 1, expected->code, expected->sentence);
    shmreg_close(held);
    create_detached(conn, 3, 100000);
    destroy(conn, 3);
    shmreg_disconnect(conn);
}

START_TEST(test_bytes_of_a_user) {
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"bytes\":100000}}}");
    run_as(USER(USER_ID), fill_bytes,
           &(struct expectation){-EDQUOT, "limit on bytes of user 20001"});
}
END_TEST

START_TEST(test_bytes_of_all) {
    daemon_start_with(&daemon_, "{\"limits\":{\"total\":{\"bytes\":100000}}}");
    run_as(USER(USER_ID), fill_bytes,
           &(struct expectation){-ENOSPC, "limit on bytes of all users together"});
}
END_TEST

static void reserve_bytes(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = NULL;

    (void)channel;
    (void)data;
    expect_error(shmreg_create(conn, "roomy", 1, SHMREG_OPTIONS(.max_size = 100001), &region),
                 -EDQUOT,
                 "limit on bytes of user 20001: 0 of 100000 in use, 100001 more asked for");
    expect_ok(shmreg_create(conn, "roomy", 1, SHMREG_OPTIONS(.max_size = 100000), &region));
    expect_refusal(conn, 1, -EDQUOT, "limit on bytes of user 20001: 100000 of 100000");
    shmreg_disconnect(conn);
}

START_TEST(test_bytes_are_those_of_max_size) {
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"bytes\":100000}}}");
    run_as(USER(USER_ID), reserve_bytes, NULL);
}
END_TEST

static void fill_attachments(int channel, void *data) {
    const struct expectation *expected = data;
    shmreg_conn *conn = connect_to(&daemon_);
    const char *names[MOST + 1] = {"region/0", "region/1", "region/2", "region/3", "region/4"};
    shmreg_region *regions[MOST + 1];

    (void)channel;
    for (unsigned i = 0; i <= MOST; i++)
        create_detached(conn, i, 100);
    for (unsigned round = 0; round < 3; round++) {
        expect_error(shmreg_open_many(conn, names, MOST + 1, SHMREG_READ, regions), expected->code,
                     expected->sentence);
        expect_ok(shmreg_open_many(conn, names, MOST, SHMREG_READ, regions));
        expect_error(shmreg_open(conn, "region/4", SHMREG_READ, &regions[MOST]), expected->code,
                     expected->sentence);
        /* A region whose creator cannot attach is not made. */
        expect_error(shmreg_create(conn, "one-more", 1, NULL, &regions[MOST]), expected->code,
                     expected->sentence);
        ck_assert(!exists(conn, "one-more"));
        for (unsigned i = 0; i < MOST; i++)
            shmreg_close(regions[i]);
    }
    shmreg_disconnect(conn);
}

START_TEST(test_attachments_of_a_user) {
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"attachments\":4}}}");
    run_as(USER(USER_ID), fill_attachments,
           &(struct expectation){-EDQUOT, "limit on attachments of user 20001"});
}
END_TEST

START_TEST(test_attachments_of_all) {
    daemon_start_with(&daemon_, "{\"limits\":{\"total\":{\"attachments\":4}}}");
    run_as(USER(USER_ID), fill_attachments,
           &(struct expectation){-ENOSPC, "limit on attachments of all users together"});
}
END_TEST

static void fill_connections(int channel, void *data) {
    const struct expectation *expected = data;
    shmreg_conn *conns[MOST], *other;

    (void)channel;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MOST; i++)
            conns[i] = connect_to(&daemon_);
        for (unsigned i = 0; i < 20; i++)
            expect_error(shmreg_connect(daemon_.socket, &other), expected->code,
                         expected->sentence);
        create_detached(conns[0], round, 1);
        for (unsigned i = 0; i < MOST; i++)
            shmreg_disconnect(conns[i]);
    }
}

START_TEST(test_connections_of_a_user) {
    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"connections\":4}}}");
    run_as(USER(USER_ID), fill_connections,
           &(struct expectation){-EDQUOT, "limit on connections of user 20001: 4 of 4"});
}
END_TEST

START_TEST(test_connections_of_all) {
    daemon_start_with(&daemon_, "{\"limits\":{\"total\":{\"connections\":4}}}");
    run_as(USER(USER_ID), fill_connections,
           &(struct expectation){-ENOSPC, "limit on connections of all users together: 4 of 4"});
}
END_TEST

static void fill_namespace(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    const char *sentence = "limit on regions of namespace 'region': 4 of 4 in use";
    const struct shmreg_options *options = SHMREG_OPTIONS(.flags = SHMREG_DETACHED);

    (void)channel;
    (void)data;
    for (unsigned i = 0; i + 1 < MOST; i++)
        create_detached(conn, i, 1);
    expect_error(shmreg_create(conn, "region/one-more", 1, options, &(shmreg_region *){0}), -EDQUOT,
                 sentence);
    expect_ok(shmreg_create(conn, "elsewhere", 1, options, &(shmreg_region *){0}));
    shmreg_disconnect(conn);
}

START_TEST(test_a_namespace_is_full_whoever_filled_it) {
    shmreg_conn *conn;

    daemon_start_with(&daemon_, "{\"namespaces\":{\"region\":{\"create\":[\"anyone\"],"
                                "\"limits\":{\"regions\":4}}}}");
    conn = connect_to(&daemon_);
    create_detached(conn, 99, 1);
    run_as(USER(USER_ID), fill_namespace, NULL);
    destroy(conn, 99);
    create_detached(conn, 98, 1);
    shmreg_disconnect(conn);
}
END_TEST

static void ask_without_end(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    int r = 0;

    (void)data;
    for (unsigned i = 0; i < 1000 && r == 0; i++)
        r = shmreg_put(conn, "one-more", "x", 1, SHMREG_MODE_DEFAULT);
    expect_error(r, -EDQUOT, "limit on requests of user 20001: 1 a second, 20 at once");
    channel_say(channel);
    channel_hear(channel);
}

START_TEST(test_requests_of_a_user) {
    shmreg_conn *conn;
    struct child child;

    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"requests_per_second\":1,"
                                "\"requests_at_once\":20}}}");
    child = child_start(USER(USER_ID), ask_without_end, NULL);
    channel_hear(child.channel);
    conn = connect_to(&daemon_);
    create_detached(conn, 0, 1);
    shmreg_disconnect(conn);
    child_kill(&child);
}
END_TEST

static void use_up_connections(int channel, void *data) {
    (void)data;
    connect_to(&daemon_);
    channel_say(channel);
    channel_hear(channel);
}

START_TEST(test_one_user_takes_nothing_from_another) {
    shmreg_conn *conn;
    struct child child;

    daemon_start_with(&daemon_, "{\"limits\":{\"user\":{\"connections\":1}}}");
    child = child_start(USER(USER_ID), use_up_connections, NULL);
    channel_hear(child.channel);
    conn = connect_to(&daemon_);
    create_detached(conn, 0, 1);
    shmreg_disconnect(conn);
    child_kill(&child);
}
END_TEST

int main(void) {
    TCase *limits = tcase_create("limits");

    tcase_add_checked_fixture(limits, NULL, teardown);
    tcase_set_timeout(limits, 30);
    tcase_add_test(limits, test_regions_of_a_user);
    tcase_add_test(limits, test_regions_of_all);
    tcase_add_test(limits, test_a_user_has_limits_of_his_own);
    tcase_add_test(limits, test_bytes_of_a_user);
    tcase_add_test(limits, test_bytes_of_all);
    tcase_add_test(limits, test_bytes_are_those_of_max_size);
    tcase_add_test(limits, test_attachments_of_a_user);
    tcase_add_test(limits, test_attachments_of_all);
    tcase_add_test(limits, test_connections_of_a_user);
    tcase_add_test(limits, test_connections_of_all);
    tcase_add_test(limits, test_a_namespace_is_full_whoever_filled_it);
    tcase_add_test(limits, test_requests_of_a_user);
    tcase_add_test(limits, test_one_user_takes_nothing_from_another);
    return sandbox_run("limits", &limits, 1);
}
