/*
 * Admin: connections, limits, rights and the methods on regions, called over the socket.
 */
#include "tests/unit/admin-face.h"

#include <errno.h>
#include <string.h>

#define NOT_FOUND ADMIN_INTERFACE "NotFound"
#define EXISTS ADMIN_INTERFACE "AlreadyExists"
#define DENIED ADMIN_INTERFACE "PermissionDenied"
#define LIMIT ADMIN_INTERFACE "LimitReached"
#define INVALID ADMIN_INTERFACE "Invalid"

#define NESTED_32 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"

static struct admin_face face;
static struct admin_client *root;

static void setup(void) {
    admin_face_init(&face);
    root = admin_client_new(&face, 0);
}

static void teardown(void) {
    admin_client_free(root);
    admin_face_deinit(&face);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));

    ck_assert_msg(text != NULL, "no text '%s'", key);
    return text;
}

static json_int_t number_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);

    ck_assert_msg(json_is_integer(value), "no number '%s'", key);
    return json_integer_value(value);
}

/* Fails unless the answer, with one member, is equal to the JSON text. */
static void expect(json_t *answer, const char *expected) {
    char *text = json_dumps(answer, JSON_COMPACT);

    ck_assert_str_eq(text, expected);
    free(text);
    json_decref(answer);
}

START_TEST(every_method_of_the_interface_text_is_there) {
    json_t *answer;
    const char *text;
    unsigned count = 0;

    setup();
    answer = admin_client_call(root, "org.varlink.service.GetInfo", "{}");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "interfaces")), 2);
    json_decref(answer);
    answer = admin_client_call(root, "org.varlink.service.GetInterfaceDescription",
                               "{'interface': 'io.shmreg.Admin'}");
    text = text_of(answer, "description");
    while ((text = strstr(text, "\nmethod "))) {
        char method[64];

        text += strlen("\nmethod ");
        snprintf(method, sizeof(method), "%.*s", (int)strcspn(text, "("), text);
        json_decref(admin_client_refused(root, method, "{'unknown': 1}",
                                         "org.varlink.service.InvalidParameter"));
        count++;
    }
    ck_assert_uint_eq(count, 18);
    json_decref(answer);
    teardown();
}
END_TEST

START_TEST(what_is_not_there_is_named) {
    setup();
    expect(admin_client_refused(root, "Nothing", "{}", "org.varlink.service.MethodNotFound"),
           "{\"method\":\"io.shmreg.Admin.Nothing\"}");
    expect(admin_client_refused(root, "a.b.C", "{}", "org.varlink.service.InterfaceNotFound"),
           "{\"interface\":\"a.b\"}");
    expect(admin_client_refused(root, "org.varlink.service.GetInterfaceDescription",
                                "{'interface': 'a.b'}", "org.varlink.service.InterfaceNotFound"),
           "{\"interface\":\"a.b\"}");
    teardown();
}
END_TEST

START_TEST(a_wrong_parameter_is_named) {
    static const struct {
        const char *method, *parameters, *fault;
    } calls[] = {
        {"Ping", "{'x': null}", "x"},
        {"GetRegion", "{}", "name"},
        {"GetRegion", "{'name': null}", "name"},
        {"GetRegion", "{'name': 1}", "name"},
        {"CreateRegion", "{'name': 'a'}", "size"},
        {"CreateRegion", "{'name': 'a', 'size': -1}", "size"},
        {"CreateRegion", "{'name': 'a', 'size': 1.0}", "size"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'backing': 'tape'}", "backing"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'lifetime': 'long'}", "lifetime"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'sync_block': 1}", "sync_block"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'durability': 'much'}", "durability"},
        {"SnapshotRegion", "{'name': 'a'}", "source"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'seconds': 4294967296}", "seconds"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'acl': ['user:1:r', 1]}", "acl"},
        {"CreateRegion", "{'name': 'a', 'size': 1, 'attributes': []}", "attributes"},
        {"PutValue", "{'name': 'a'}", "data"},
        {"ResizeRegion", "{'name': 'a'}", "size"},
        {"SealRegion", "{'name': 'a', 'size': 1}", "size"},
        {"ListRegions", "{'prefix': []}", "prefix"},
    };

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        json_t *answer = admin_client_refused(root, calls[i].method, calls[i].parameters,
                                              "org.varlink.service.InvalidParameter");

        ck_assert_str_eq(text_of(answer, "parameter"), calls[i].fault);
        json_decref(answer);
    }
    teardown();
}
END_TEST

START_TEST(a_refusal_of_the_core_comes_with_its_reason) {
    static const struct {
        const char *method, *parameters, *error;
        int code;
        const char *message;
    } calls[] = {
        {"GetRegion", "{'name': 'b'}", NOT_FOUND, ENOENT, "'b'"},
        {"GetRegion", "{'name': '../b'}", INVALID, EINVAL, "name"},
        {"CreateRegion", "{'name': 'a', 'size': 1}", EXISTS, EEXIST, "'a'"},
        {"CreateRegion", "{'name': 'b', 'size': 0}", INVALID, EINVAL, "size"},
        {"CreateRegion", "{'name': 'b', 'size': 1, 'mode': '0777'}", INVALID, EINVAL, "0777"},
        {"CreateRegion", "{'name': 'b', 'size': 1, 'acl': ['user:1:r,user:2:r']}", INVALID, EINVAL,
         "one rule"},
        {"CreateRegion", "{'name': 'b', 'size': 1, 'lifetime': 'owner'}", INVALID, EINVAL, "owner"},
        {"CreateRegion", "{'name': 'b', 'size': 8192}", LIMIT, EDQUOT, "bytes"},
        {"SetAttributes", "{'name': 'a', 'attributes': {'x': " NESTED_32 "}}", INVALID, EINVAL,
         "levels"},
        {"SetAccess", "{'name': 'a'}", INVALID, EINVAL, "neither"},
        {"ResizeRegion", "{'name': 'a', 'size': 2}", INVALID, EINVAL, "max_size"},
        {"ResizeRegion", "{'name': 'b', 'size': 2}", NOT_FOUND, ENOENT, "'b'"},
        {"SealRegion", "{'name': 'b'}", NOT_FOUND, ENOENT, "'b'"},
        {"RenewLease", "{'name': 'a'}", INVALID, EINVAL, "lease"},
        {"RenewLease", "{'name': 'a', 'seconds': 0}", INVALID, EINVAL, "second"},
    };

    setup();
    face.world.config.user.most[LIMIT_BYTES] = 4096;
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'a', 'size': 1}"));
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        json_t *answer =
            admin_client_refused(root, calls[i].method, calls[i].parameters, calls[i].error);

        ck_assert_int_eq(number_of(answer, "errno"), calls[i].code);
        ck_assert_msg(strstr(text_of(answer, "message"), calls[i].message) != NULL, "%s: %s",
                      calls[i].parameters, text_of(answer, "message"));
        json_decref(answer);
    }
    teardown();
}
END_TEST

START_TEST(a_region_is_created_shown_changed_and_destroyed) {
    json_t *answer, *region;

    setup();
    json_decref(admin_client_call(
        root, "CreateRegion",
        "{'name': 'a/b', 'size': 5000, 'max_size': 9000, 'backing': 'memfd', 'mode': '0640', "
        "'acl': ['user:20001:rw', 'group:7:r'], 'attributes': {'shape': [2, 3]}, "
        "'lifetime': 'lease', 'seconds': 100, 'sync_block': true}"));
    json_decref(
        admin_client_call(root, "SetAttributes", "{'name': 'a/b', 'attributes': {'dtype': 'f4'}}"));
    json_decref(admin_client_call(root, "SetAccess", "{'name': 'a/b', 'mode': '0604'}"));
    json_decref(admin_client_call(root, "RenewLease", "{'name': 'a/b', 'seconds': 1000}"));
    answer = admin_client_call(root, "ResizeRegion", "{'name': 'a/b', 'size': 6000}");
    ck_assert_int_eq(number_of(json_object_get(answer, "region"), "size"), 6000);
    ck_assert(json_is_false(json_object_get(json_object_get(answer, "region"), "sealed")));
    json_decref(answer);
    json_decref(admin_client_call(root, "SealRegion", "{'name': 'a/b'}"));
    answer = admin_client_call(root, "GetRegion", "{'name': 'a/b'}");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "attachments")), 0);
    region = json_object_get(answer, "region");
    ck_assert_int_gt(number_of(region, "remaining_seconds"), 900);
    for (size_t i = 0; i < 4; i++) {
        static const char *const changing[] = {"id", "remaining_seconds", "created_usec",
                                               "changed_usec"};

        ck_assert_int_gt(number_of(region, changing[i]), 0);
        json_object_del(region, changing[i]);
    }
    expect(json_incref(region),
           "{\"name\":\"a/b\",\"version\":1,\"backing\":\"memfd\",\"size\":6000,\"max_size\":9000,"
           "\"owner_uid\":0,\"owner_gid\":0,\"owner\":\"root\",\"mode\":\"0604\",\"acl\":["
           "\"user:20001:rw\",\"group:7:r\"],\"attributes\":{\"dtype\":\"f4\"},\"lifetime\":"
           "\"lease\",\"seconds\":1000,\"readers\":0,\"writers\":0,\"sync_block\":true,\"sealed\":"
           "true,"
           "\"durability\":\"none\",\"durability_seconds\":0,\"kept\":false}");
    json_decref(answer);
    json_decref(admin_client_call(root, "DestroyRegion", "{'name': 'a/b'}"));
    json_decref(admin_client_refused(root, "DestroyRegion", "{'name': 'a/b'}", NOT_FOUND));
    teardown();
}
END_TEST

START_TEST(a_snapshot_ends_with_the_region) {
    json_t *answer;

    setup();
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'a', 'size': 5000}"));
    answer = admin_client_call(root, "SnapshotRegion",
                               "{'source': 'a', 'name': 'b', 'backing': 'file', 'durability': "
                               "'interval', 'durability_seconds': 9}");
    ck_assert_int_eq(number_of(answer, "done"), 5000);
    ck_assert_int_eq(number_of(answer, "total"), 5000);
    ck_assert_int_eq(number_of(json_object_get(answer, "region"), "durability_seconds"), 9);
    json_decref(answer);
    json_decref(
        admin_client_refused(root, "SnapshotRegion", "{'source': 'c', 'name': 'd'}", NOT_FOUND));
    /* The connection goes on with the next call. */
    json_decref(admin_client_call(root, "DestroyRegion", "{'name': 'a'}"));
    json_decref(admin_client_call(root, "DestroyRegion", "{'name': 'b'}"));
    teardown();
}
END_TEST

START_TEST(a_user_sees_and_touches_what_his_rights_allow) {
    struct admin_client *user;
    json_t *answer;

    setup();
    user = admin_client_new(&face, WORLD_UID);
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'hidden', 'size': 1}"));
    json_decref(
        admin_client_call(root, "CreateRegion", "{'name': 'shown', 'size': 1, 'mode': '0604'}"));
    json_decref(admin_client_call(user, "CreateRegion", "{'name': 'own', 'size': 1}"));
    answer = admin_client_call(user, "ListRegions", "{}");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "regions")), 2);
    json_decref(answer);
    answer = admin_client_call(user, "ListRegions", "{'prefix': 'o'}");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "regions")), 1);
    json_decref(answer);
    json_decref(admin_client_refused(user, "GetRegion", "{'name': 'hidden'}", DENIED));
    json_decref(admin_client_refused(user, "DestroyRegion", "{'name': 'shown'}", DENIED));
    json_decref(admin_client_refused(user, "SealRegion", "{'name': 'shown'}", DENIED));
    json_decref(admin_client_refused(user, "ResizeRegion", "{'name': 'shown', 'size': 1}", DENIED));
    json_decref(admin_client_refused(user, "Reload", "{}", DENIED));
    ck_assert_uint_eq(face.reloads, 0);
    json_decref(admin_client_call(user, "GetRegion", "{'name': 'shown'}"));
    json_decref(admin_client_call(user, "DestroyRegion", "{'name': 'own'}"));
    admin_client_free(user);
    teardown();
}
END_TEST

static size_t count_clients(struct admin_client *client) {
    json_t *answer = admin_client_call(client, "ListClients", "{}");
    size_t count = json_array_size(json_object_get(answer, "clients"));

    json_decref(answer);
    return count;
}

START_TEST(clients_and_their_holds_are_shown_to_whom_they_concern) {
    struct region_spec spec = world_spec("held");
    struct admin_client *user;
    struct client *client;
    json_t *answer, *hold;

    setup();
    user = admin_client_new(&face, OTHER_UID);
    client = world_client(&face.world, WORLD_UID, 0, UINT64_MAX);
    world_create(&face.world, WORLD_UID, &spec);
    world_attach(client, "held", RIGHT_WRITE);
    ck_assert_uint_eq(count_clients(root), 1);
    ck_assert_uint_eq(count_clients(user), 0);
    answer = admin_client_call(root, "GetRegion", "{'name': 'held'}");
    hold = json_array_get(json_object_get(answer, "attachments"), 0);
    ck_assert_str_eq(text_of(hold, "access"), "write");
    ck_assert_int_eq(number_of(hold, "uid"), WORLD_UID);
    ck_assert_int_eq(number_of(hold, "pid"), client->caller.pid);
    ck_assert_int_eq(number_of(hold, "client_id"), -1);
    ck_assert(json_is_true(json_object_get(hold, "connected")));
    json_decref(answer);
    answer = admin_client_call(user, "GetStatus", "{}");
    ck_assert_int_eq(number_of(answer, "attachments"), 1);
    ck_assert_int_eq(number_of(answer, "clients"), 1);
    ck_assert_int_eq(number_of(answer, "regions"), 1);
    json_decref(answer);
    manager_remove_client(face.world.manager, client);
    admin_client_free(user);
    teardown();
}
END_TEST

START_TEST(reload_tells_what_is_wrong_with_the_configuration) {
    json_t *answer;

    setup();
    json_decref(admin_client_call(root, "Reload", "{}"));
    face.reload_result = -EINVAL;
    answer = admin_client_refused(root, "Reload", "{}", INVALID);
    ck_assert_str_eq(text_of(answer, "message"), "FILE:1: KEY: why");
    json_decref(answer);
    ck_assert_uint_eq(face.reloads, 2);
    teardown();
}
END_TEST

START_TEST(one_connection_too_many_is_told_so_and_closed) {
    struct admin_client *first, *second;
    json_t *answer;

    setup();
    face.world.config.user.most[LIMIT_CONNECTIONS] = 1;
    first = admin_client_new(&face, WORLD_UID);
    json_decref(admin_client_call(first, "Ping", "{}"));
    second = admin_client_new(&face, WORLD_UID);
    answer = admin_client_refused(second, "Ping", "{}", LIMIT);
    ck_assert_ptr_nonnull(strstr(text_of(answer, "message"), "connections"));
    json_decref(answer);
    ck_assert_ptr_null(admin_client_receive(second));
    admin_client_free(second);
    admin_client_free(first);
    json_decref(admin_client_call(root, "Ping", "{}"));
    first = admin_client_new(&face, WORLD_UID);
    json_decref(admin_client_call(first, "Ping", "{}"));
    admin_client_free(first);
    teardown();
}
END_TEST

START_TEST(a_long_list_is_whole_and_in_order) {
    enum { N = 3000 };
    struct region_spec spec = world_spec(NULL);
    char attributes[1024], name[32];
    json_t *answer, *regions, *region;
    size_t i;

    setup();
    snprintf(attributes, sizeof(attributes), "{\"x\":\"%0900d\"}", 0);
    spec.attributes = attributes;
    for (i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "many/%05zu", i);
        spec.name = name;
        world_create(&face.world, WORLD_UID, &spec);
    }
    answer = admin_client_call(root, "ListRegions", "{}");
    regions = json_object_get(answer, "regions");
    ck_assert_uint_eq(json_array_size(regions), N);
    json_array_foreach (regions, i, region) {
        snprintf(name, sizeof(name), "many/%05zu", i);
        ck_assert_str_eq(text_of(region, "name"), name);
    }
    json_decref(answer);
    teardown();
}
END_TEST

SUITE_MAIN("admin", every_method_of_the_interface_text_is_there, what_is_not_there_is_named,
           a_wrong_parameter_is_named, a_refusal_of_the_core_comes_with_its_reason,
           a_region_is_created_shown_changed_and_destroyed, a_snapshot_ends_with_the_region,
           a_user_sees_and_touches_what_his_rights_allow,
           clients_and_their_holds_are_shown_to_whom_they_concern,
           reload_tells_what_is_wrong_with_the_configuration,
           one_connection_too_many_is_told_so_and_closed, a_long_list_is_whole_and_in_order);
