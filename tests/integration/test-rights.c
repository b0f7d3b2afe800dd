/*
 * Rights: who may map, change and end a region, by owner, mode, rules and groups, and the sentences
 * that refuse.
 */
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#define OWNER 20001
#define OTHER 20002

static struct test_daemon daemon_;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    daemon_stop(&daemon_);
}

struct creation {
    uint32_t mode;
    const char *acl;
};

static void create(int channel, void *data) {
    const struct creation *creation = data;
    shmreg_conn *conn = connect_to(&daemon_);

    (void)channel;
    create_region(conn, "region", 4096,
                  SHMREG_OPTIONS(.mode = creation->mode, .acl = creation->acl));
    shmreg_disconnect(conn);
}

static void try_open(shmreg_conn *conn, uint32_t access, bool expected, const char *sentence) {
    shmreg_region *region = NULL;

    if (!expected) {
        expect_error(shmreg_open(conn, "region", access, &region), -EACCES, sentence);
        return;
    }
    expect_ok(shmreg_open(conn, "region", access, &region));
    shmreg_close(region);
}

/* The rights that the daemon reports, and that it acts by, are these: 1 read, 2 write, 4 manage. */
static void have_rights(int channel, void *data) {
    uint32_t rights = *(const uint32_t *)data;
    shmreg_conn *conn = connect_to(&daemon_);
    struct shmreg_description *description;

    (void)channel;
    try_open(conn, SHMREG_READ, rights & 1, "lacks the right 'r' to region 'region'");
    try_open(conn, SHMREG_WRITE, (rights & 3) == 3, "' to region 'region' (has ");
    if (rights == 0) {
        expect_error(shmreg_describe(conn, "region", &description), -EACCES,
                     "lacks the right 'r' to region 'region'");
    } else {
        expect_ok(shmreg_describe(conn, "region", &description));
        ck_assert_uint_eq(description->rights, rights);
        shmreg_description_free(description);
    }
    if (!(rights & 4)) {
        expect_error(shmreg_destroy(conn, "region"), -EACCES, "lacks the right 'm'");
        expect_error(shmreg_set_access(conn, "region", 0666, NULL), -EACCES, "the right 'm'");
        expect_error(shmreg_set_attributes(conn, "region", "{}"), -EACCES, "the right 'm'");
        expect_error(shmreg_renew(conn, "region", 1), -EACCES, "the right 'm'");
        expect_error(shmreg_resize(conn, "region", 1), -EACCES, "the right 'm'");
        expect_error(shmreg_seal(conn, "region"), -EACCES, "the right 'm'");
    } else {
        expect_ok(shmreg_set_attributes(conn, "region", "{\"seen\":true}"));
    }
    shmreg_disconnect(conn);
}

static void expect_rights(const struct user *user, uint32_t rights) {
    run_as(user, have_rights, &rights);
}

START_TEST(test_owner_and_root_have_all_rights) {
    run_as(USER(OWNER), create, &(struct creation){.mode = 0});
    expect_rights(USER(OWNER), 7);
    expect_rights(USER(0), 7);
    expect_rights(USER(DAEMON_UID), 7);
    expect_rights(USER(OTHER), 0);
}
END_TEST

START_TEST(test_mode_gives_rights_to_group_and_others) {
    run_as(USER(OWNER), create, &(struct creation){.mode = 0664});
    expect_rights(USER(OTHER), 1);
    expect_rights(USER(OTHER, .n_groups = 1, .groups = {OWNER}), 3);
    expect_rights(USER(OWNER), 7);
}
END_TEST

START_TEST(test_group_rights_need_membership) {
    run_as(USER(OWNER), create, &(struct creation){.mode = 0640});
    expect_rights(USER(OTHER), 0);
    expect_rights(USER(OTHER, .n_groups = 3, .groups = {30001, OWNER, 30002}), 1);
    expect_rights(USER(OTHER, .n_groups = 2, .groups = {30001, 30002}), 0);
}
END_TEST

START_TEST(test_rules_give_rights_to_users_and_groups) {
    run_as(USER(OWNER), create,
           &(struct creation){.mode = 0600, .acl = "user:20002:r,group:30001:w,group:20005:rwm"});
    expect_rights(USER(20002), 1);
    expect_rights(USER(20003), 0);
    expect_rights(USER(20003, .n_groups = 1, .groups = {30001}), 2);
    expect_rights(USER(20002, .n_groups = 1, .groups = {30001}), 3);
    expect_rights(USER(20005), 7);
}
END_TEST

START_TEST(test_rules_name_users_by_name) {
    run_as(USER(OWNER), create, &(struct creation){.mode = 0600, .acl = "user:nobody:r"});
    expect_rights(USER(65534), 1);
}
END_TEST

static void try_each_right_to_manage(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);

    (void)channel;
    (void)data;
    expect_ok(shmreg_set_attributes(conn, "leased", "{\"dtype\":\"<f8\"}"));
    expect_ok(shmreg_renew(conn, "leased", 500));
    expect_ok(shmreg_set_access(conn, "leased", 0604, ""));
    /* The rule that let the caller do so is gone with the others. */
    expect_error(shmreg_destroy(conn, "leased"), -EACCES,
                 "user 20002 lacks the right 'm' to region 'leased' (has r)");
    shmreg_disconnect(conn);
}

START_TEST(test_manage_is_a_right_of_its_own) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct shmreg_description *description;

    create_region(conn, "leased", 4096,
                  SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 100, .acl = "user:20002:m"));
    run_as(USER(OTHER), try_each_right_to_manage, NULL);
    expect_ok(shmreg_describe(conn, "leased", &description));
    ck_assert_str_eq(description->attributes, "{\"dtype\":\"<f8\"}");
    ck_assert_str_eq(description->acl, "");
    ck_assert_uint_eq(description->mode, 0604);
    ck_assert_uint_eq(description->seconds, 500);
    shmreg_description_free(description);
    shmreg_disconnect(conn);
}
END_TEST

static void keep_what_was_opened(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "region", SHMREG_READ);

    (void)data;
    channel_say(channel);
    channel_hear(channel);
    ck_assert_uint_eq(*(unsigned char *)shmreg_data(region), 0);
    shmreg_close(region);
    expect_error(shmreg_open(conn, "region", SHMREG_READ, &region), -EACCES, "the right 'r'");
    shmreg_disconnect(conn);
}

START_TEST(test_a_change_holds_from_now_on) {
    shmreg_conn *conn = connect_to(&daemon_);
    struct child reader;

    run_as(USER(OWNER), create, &(struct creation){.mode = 0604});
    reader = child_start(USER(OTHER), keep_what_was_opened, NULL);
    channel_hear(reader.channel);
    expect_ok(shmreg_set_access(conn, "region", 0600, NULL));
    channel_say(reader.channel);
    child_finish(&reader);
    expect_ok(shmreg_set_access(conn, "region", SHMREG_MODE_DEFAULT, "user:20002:r"));
    expect_rights(USER(OTHER), 1);
    shmreg_disconnect(conn);
}
END_TEST

START_TEST(test_what_is_no_rule_is_refused) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region;

    expect_error(shmreg_create(conn, "bad", 1, SHMREG_OPTIONS(.acl = "user:20001:x"), &region),
                 -EINVAL, "user:20001:x");
    expect_error(shmreg_create(conn, "bad", 1, SHMREG_OPTIONS(.mode = 0700), &region), -EINVAL,
                 "mode");
    expect_error(
        shmreg_create(conn, "bad", 1, SHMREG_OPTIONS(.acl = "user:no-such-user:r"), &region),
        -EINVAL, "there is no user 'no-such-user'");
    ck_assert(!exists(conn, "bad"));
    create_region(conn, "good", 1, NULL);
    expect_error(shmreg_set_access(conn, "good", 01000, NULL), -EINVAL, "mode");
    expect_error(shmreg_set_access(conn, "good", 0600, "group:no-such-group:r"), -EINVAL,
                 "there is no group 'no-such-group'");
    shmreg_disconnect(conn);
}
END_TEST

int main(void) {
    TCase *rights = tcase_create("rights");

    tcase_add_checked_fixture(rights, setup, teardown);
    tcase_set_timeout(rights, 30);
    tcase_add_test(rights, test_owner_and_root_have_all_rights);
    tcase_add_test(rights, test_mode_gives_rights_to_group_and_others);
    tcase_add_test(rights, test_group_rights_need_membership);
    tcase_add_test(rights, test_rules_give_rights_to_users_and_groups);
    tcase_add_test(rights, test_rules_name_users_by_name);
    tcase_add_test(rights, test_manage_is_a_right_of_its_own);
    tcase_add_test(rights, test_a_change_holds_from_now_on);
    tcase_add_test(rights, test_what_is_no_rule_is_refused);
    return sandbox_run("rights", &rights, 1);
}
