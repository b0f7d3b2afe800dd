/*
 * Admin: who uses how much, called over the socket, is shown to whom it concerns.
 */
#include "tests/unit/admin-face.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* The account of that kind and name, or NULL. */
static json_t *find_account(json_t *answer, const char *kind, const char *name) {
    json_t *account;
    size_t i;

    json_array_foreach (json_object_get(answer, "accounts"), i, account)
        if (strcmp(text_of(account, "kind"), kind) == 0 &&
            strcmp(text_of(account, "name"), name) == 0)
            return account;
    return NULL;
}

static void expect_usage(json_t *account, size_t place, const char *expected) {
    json_t *usage = json_array_get(json_object_get(account, "usage"), place);
    char *text = json_dumps(usage, JSON_COMPACT);

    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(an_administrator_sees_all) {
    struct region_spec spec = world_spec("used");
    struct admin_client *root;
    struct admin_face face;
    json_t *answer;

    admin_face_init(&face);
    face.world.config.user.most[LIMIT_REGIONS] = 5;
    face.world.config.user.rate = 1000000;
    root = admin_client_new(&face, 0);
    world_create(&face.world, WORLD_UID, &spec);
    answer = admin_client_call(root, "ListUsage", "{}");
    expect_usage(find_account(answer, "user", "20001"), 0,
                 "{\"kind\":\"regions\",\"used\":1,\"limit\":5}");
    expect_usage(find_account(answer, "namespace", "*"), 1, "{\"kind\":\"bytes\",\"used\":4096}");
    expect_usage(find_account(answer, "total", ""), 3, "{\"kind\":\"connections\",\"used\":1}");
    ck_assert_int_eq(json_integer_value(json_object_get(find_account(answer, "user", "20001"),
                                                        "requests_per_second")),
                     1000000);
    json_decref(answer);
    admin_client_free(root);
    admin_face_deinit(&face);
}
END_TEST

START_TEST(others_see_the_total_and_their_own) {
    struct region_spec spec = world_spec("used");
    struct admin_client *user;
    struct admin_face face;
    json_t *answer;

    admin_face_init(&face);
    user = admin_client_new(&face, OTHER_UID);
    world_create(&face.world, WORLD_UID, &spec);
    answer = admin_client_call(user, "ListUsage", "{}");
    expect_usage(find_account(answer, "total", ""), 0, "{\"kind\":\"regions\",\"used\":1}");
    expect_usage(find_account(answer, "user", "20002"), 3, "{\"kind\":\"connections\",\"used\":1}");
    ck_assert_ptr_null(find_account(answer, "user", "20001"));
    ck_assert_ptr_null(find_account(answer, "namespace", "*"));
    json_decref(answer);
    admin_client_free(user);
    admin_face_deinit(&face);
}
END_TEST

/* The burst is used up long before the second is over. */
START_TEST(calls_count_as_requests) {
    struct admin_client *user;
    struct admin_face face;

    admin_face_init(&face);
    face.world.config.user.rate = 1;
    face.world.config.user.burst = 2;
    user = admin_client_new(&face, OTHER_UID);
    json_decref(admin_client_call(user, "Ping", "{}"));
    json_decref(admin_client_call(user, "Ping", "{}"));
    json_decref(admin_client_refused(user, "Ping", "{}", ADMIN_INTERFACE "LimitReached"));
    admin_client_free(user);
    admin_face_deinit(&face);
}
END_TEST

SUITE_MAIN("admin-usage", an_administrator_sees_all, others_see_the_total_and_their_own,
           calls_count_as_requests);
