/*
 * Access: the matrix of rights (every mode against every kind of caller, checked against the rule
 * written out), access rules and their union, names that do not exist.
 */
#include "daemon/core/access.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

#define OWNER 20001u
#define GROUP 20100u
#define OTHER 20002u

static struct access make_access(uint32_t mode, const char *acl) {
    struct access access;
    struct error error = {0};
    int r = access_init(&access, OWNER, GROUP, mode, acl, ACCESS_NEW, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return access;
}

static uint32_t digit_rights(uint32_t digit) {
    return (digit & 4 ? RIGHT_READ : 0) | (digit & 2 ? RIGHT_WRITE : 0);
}

START_TEST(every_mode_against_every_kind_of_caller) {
    gid_t groups[] = {5, GROUP};
    const struct caller owner = {.uid = OWNER, .gid = 7};
    const struct caller root = {.uid = 0, .administrator = true};
    const struct caller member = {.uid = OTHER, .gid = GROUP};
    const struct caller guest = {.uid = OTHER, .gid = 9, .groups = groups, .n_groups = 2};
    const struct caller stranger = {.uid = OTHER, .gid = OWNER, .groups = groups, .n_groups = 1};

    for (uint32_t mode = 0; mode <= 0666; mode++) {
        uint32_t others = digit_rights(mode & 7);
        uint32_t group = digit_rights(mode >> 3 & 7) | others;
        struct access access;

        if (mode_check(mode) < 0)
            continue;
        access = make_access(mode, "");
        ck_assert_uint_eq(access_rights(&access, &owner), RIGHT_ALL);
        ck_assert_uint_eq(access_rights(&access, &root), RIGHT_ALL);
        ck_assert_uint_eq(access_rights(&access, &member), group);
        ck_assert_uint_eq(access_rights(&access, &guest), group);
        ck_assert_uint_eq(access_rights(&access, &stranger), others);
        access_deinit(&access);
    }
}
END_TEST

START_TEST(root_without_administration_has_no_more_than_others) {
    struct access access = make_access(0640, "");

    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = 0}), 0);
    access_deinit(&access);
}
END_TEST

START_TEST(rules_add_up_and_nothing_denies) {
    struct access access =
        make_access(0604, "user:20002:w,group:20200:m,user:20003:r,user:20002:w,user:root:w");
    gid_t groups[] = {20200};

    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = OTHER, .gid = 1}),
                      RIGHT_READ | RIGHT_WRITE);
    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = 20003, .gid = 1}), RIGHT_READ);
    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = 20004, .gid = 20200}),
                      RIGHT_READ | RIGHT_MANAGE);
    ck_assert_uint_eq(
        access_rights(&access,
                      &(struct caller){.uid = OTHER, .gid = 1, .groups = groups, .n_groups = 1}),
        RIGHT_ALL);
    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = 0, .gid = 1}),
                      RIGHT_READ | RIGHT_WRITE);
    /* A user rule is none for a group of the same number. */
    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = 20200, .gid = OTHER}),
                      RIGHT_READ);
    access_deinit(&access);
}
END_TEST

START_TEST(units_are_those_of_their_service_manager) {
    struct access access =
        make_access(0600, "unit:feed.service:rw,unit:worker@*.service:r,unit:20003/sync.service:m");
    struct caller caller = {.uid = OTHER, .gid = 1, .units = {.owner = UNIT_OF_SYSTEM}};

    ck_assert_uint_eq(access_rights(&access, &caller), 0);
    caller.units.system = (char *)"feed.service";
    ck_assert_uint_eq(access_rights(&access, &caller), RIGHT_READ | RIGHT_WRITE);
    caller.units.system = (char *)"worker@12.service";
    ck_assert_uint_eq(access_rights(&access, &caller), RIGHT_READ);
    caller.units.system = (char *)"sync.service";
    ck_assert_uint_eq(access_rights(&access, &caller), 0);

    /* Whoever has a service manager of his own calls his units as he likes. */
    caller.units = (struct units){
        .system = (char *)"user@20003.service", .user = (char *)"feed.service", .owner = 20003};
    caller.uid = 20003;
    ck_assert_uint_eq(access_rights(&access, &caller), 0);
    caller.units.user = (char *)"sync.service";
    ck_assert_uint_eq(access_rights(&access, &caller), RIGHT_MANAGE);
    caller.uid = OTHER;
    ck_assert_uint_eq(access_rights(&access, &caller), 0);
    caller.uid = caller.units.owner = OTHER;
    ck_assert_uint_eq(access_rights(&access, &caller), 0);
    access_deinit(&access);
}
END_TEST

START_TEST(what_is_missing_is_named) {
    struct access access = make_access(0600, "user:20002:r");
    const struct caller caller = {.uid = OTHER, .gid = 1};
    struct error error = {0};

    ck_assert_int_eq(access_check(&access, &caller, RIGHT_READ, "a/b", &error), 0);
    ck_assert_int_eq(access_check(&access, &caller, 0, "a/b", &error), 0);
    ck_assert_int_eq(access_check(&access, &caller, RIGHT_READ | RIGHT_WRITE, "a/b", &error),
                     -EACCES);
    ck_assert_str_eq(error.text, "user 20002 lacks the right 'w' to region 'a/b' (has r)");
    access_deinit(&access);
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_refused_when_new_and_void_when_recorded) {
    static const char acl[] = "user:20002:r,user:nobody-has-this-name:rwm,group:20200:w";
    struct access access;
    struct error error = {0};

    ck_assert_int_eq(access_init(&access, OWNER, GROUP, 0600, acl, ACCESS_NEW, &error), -EINVAL);
    ck_assert_str_eq(error.text, "there is no user 'nobody-has-this-name'");
    ck_assert_int_eq(access_init(&access, OWNER, GROUP, 0600, acl, ACCESS_RECORDED, &error), 0);
    ck_assert_str_eq(access.acl, acl);
    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = OTHER, .gid = 20200}),
                      RIGHT_READ | RIGHT_WRITE);
    ck_assert_uint_eq(access_rights(&access, &(struct caller){.uid = 20003, .gid = 1}), 0);
    access_deinit(&access);
}
END_TEST

START_TEST(what_is_no_access_is_refused_with_the_reason) {
    static const struct {
        uint32_t mode;
        const char *acl, *reason;
    } bad[] = {
        {0777, "", "mode 0777"},
        {01600, "", "mode 01600"},
        {UINT32_MAX, "", "mode"},
        {0600, "user:20002:r,bogus,user:20003:r", "'bogus'"},
        {0600, "user:20002:x", "'user:20002:x'"},
        {0600, "user:4294967295:r", "there is no user '4294967295'"},
        {0600, "group:99999999999999999999:r", "there is no group"},
        {0600, "user:1x:r", "there is no user '1x'"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct access access;
        struct error error = {0};

        ck_assert_int_eq(
            access_init(&access, OWNER, GROUP, bad[i].mode, bad[i].acl, ACCESS_NEW, &error),
            -EINVAL);
        ck_assert_msg(strstr(error.text, bad[i].reason), "%s", error.text);
    }
}
END_TEST

SUITE_MAIN("access", every_mode_against_every_kind_of_caller,
           root_without_administration_has_no_more_than_others, rules_add_up_and_nothing_denies,
           units_are_those_of_their_service_manager, what_is_missing_is_named,
           a_name_that_does_not_exist_is_refused_when_new_and_void_when_recorded,
           what_is_no_access_is_refused_with_the_reason);
