/*
 * Admin: values that are put and got, whole and in parts.
 */
#include "tests/unit/admin-face.h"

#include "proto/base64.h"
#include "proto/wire.h"

#include <errno.h>
#include <string.h>

#define INVALID ADMIN_INTERFACE "Invalid"
#define CONFLICT ADMIN_INTERFACE "Conflict"
#define NOT_FOUND ADMIN_INTERFACE "NotFound"
#define VALUE_SIZE (2 * WIRE_VALUE_MAX + 1000)

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

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void fill(unsigned char value[static VALUE_SIZE], unsigned seed) {
    for (size_t i = 0; i < VALUE_SIZE; i++)
        value[i] = (unsigned char)(i * 7 + i / 256 + seed);
}

/* Sends one part; returns the version replied. */
static json_int_t put(const char *name, const unsigned char *data, size_t size, size_t offset,
                      size_t whole) {
    char *text = malloc(BASE64_LENGTH(size) + 1), *parameters;
    json_t *object, *answer;
    json_int_t version;

    base64_encode(data + offset, size, text);
    object = json_pack("{s:s, s:s, s:I, s:I}", "name", name, "data", text, "offset",
                       (json_int_t)offset, "size", (json_int_t)whole);
    parameters = json_dumps(object, 0);
    answer = admin_client_call(root, "PutValue", parameters);
    version = number_of(answer, "version");
    json_decref(answer);
    json_decref(object);
    free(parameters);
    free(text);
    return version;
}

static json_int_t put_in_parts(const char *name, const unsigned char *data) {
    ck_assert_int_eq(put(name, data, WIRE_VALUE_MAX, 0, VALUE_SIZE), 0);
    ck_assert_int_eq(put(name, data, WIRE_VALUE_MAX, WIRE_VALUE_MAX, VALUE_SIZE), 0);
    return put(name, data, VALUE_SIZE - 2 * WIRE_VALUE_MAX, 2 * WIRE_VALUE_MAX, VALUE_SIZE);
}

/* Receives one part of a value, checks it, and returns whether others follow. */
static bool expect_part(const unsigned char *data, size_t *offset, json_int_t version) {
    json_t *reply = admin_client_receive(root);
    const json_t *part = json_object_get(reply, "parameters");
    const json_t *text = json_object_get(part, "data");
    unsigned char bytes[WIRE_VALUE_MAX];
    bool continues = json_is_true(json_object_get(reply, "continues"));
    size_t size;

    ck_assert_int_eq(number_of(part, "version"), version);
    ck_assert_int_eq(number_of(part, "size"), VALUE_SIZE);
    ck_assert_int_eq(number_of(part, "offset"), (json_int_t)*offset);
    ck_assert_uint_le(json_string_length(text), BASE64_LENGTH(WIRE_VALUE_MAX));
    ck_assert_int_eq(base64_decode(json_string_value(text), json_string_length(text), bytes, &size),
                     0);
    ck_assert_mem_eq(bytes, data + *offset, size);
    *offset += size;
    json_decref(reply);
    return continues;
}

START_TEST(a_small_value_goes_in_and_out_in_one_call) {
    json_t *answer;

    setup();
    answer = admin_client_call(root, "PutValue", "{'name': 'v', 'data': 'aGVsbG8='}");
    ck_assert_int_eq(number_of(answer, "version"), 1);
    json_decref(answer);
    world_expect_content(&face.world, "v", "hello");
    answer = admin_client_call(root, "PutValue", "{'name': 'v', 'data': 'Ynll'}");
    ck_assert_int_eq(number_of(answer, "version"), 2);
    json_decref(answer);
    answer = admin_client_call(root, "GetValue", "{'name': 'v'}");
    ck_assert_str_eq(text_of(answer, "data"), "Ynll");
    ck_assert_int_eq(number_of(answer, "offset"), 0);
    ck_assert_int_eq(number_of(answer, "size"), 3);
    ck_assert_int_eq(number_of(answer, "version"), 2);
    json_decref(answer);
    teardown();
}
END_TEST

START_TEST(a_large_value_appears_whole_with_its_last_part) {
    unsigned char data[VALUE_SIZE];
    size_t offset = 0;

    setup();
    fill(data, 0);
    ck_assert_int_eq(put("v", data, WIRE_VALUE_MAX, 0, VALUE_SIZE), 0);
    ck_assert(!world_has(&face.world, "v"));
    ck_assert_int_eq(put_in_parts("v", data), 1);
    json_decref(admin_client_refused(root, "GetValue", "{'name': 'v'}", INVALID));
    admin_client_send_call(root, "GetValue", "{'name': 'v'}", "more");
    while (expect_part(data, &offset, 1))
        ck_assert_uint_lt(offset, VALUE_SIZE);
    ck_assert_uint_eq(offset, VALUE_SIZE);
    teardown();
}
END_TEST

START_TEST(a_reader_of_parts_keeps_his_version) {
    unsigned char old[VALUE_SIZE], new[VALUE_SIZE];
    struct caller caller = world_caller(0);
    size_t offset = 0;
    uint32_t version;

    setup();
    fill(old, 0);
    fill(new, 1);
    ck_assert_int_eq(put_in_parts("v", old), 1);
    admin_client_send_call(root, "GetValue", "{'name': 'v'}", "more");
    ck_assert(expect_part(old, &offset, 1));
    ck_assert_int_eq(manager_put(face.world.manager, &caller, "v", new, sizeof(new), DEFAULT_MODE,
                                 &version, NULL),
                     0);
    ck_assert_uint_eq(version, 2);
    while (expect_part(old, &offset, 1))
        ck_assert_uint_lt(offset, VALUE_SIZE);
    ck_assert_uint_eq(offset, VALUE_SIZE);
    teardown();
}
END_TEST

START_TEST(a_part_that_does_not_fit_ends_the_value) {
    static const char *const parameters[] = {
        "{'name': 'v', 'data': 'AAAA', 'offset': 6, 'size': 9}",  /* not the next one */
        "{'name': 'w', 'data': 'AAAA', 'offset': 3, 'size': 9}",  /* of another value */
        "{'name': 'v', 'data': 'AAAA', 'offset': 3, 'size': 10}", /* of another size */
        "{'name': 'v', 'data': 'AAAA', 'offset': 3, 'size': 5}",  /* over the end */
        "{'name': 'v', 'data': '', 'offset': 3, 'size': 9}",      /* nothing */
        "{'name': 'v', 'data': 'AAA', 'offset': 3, 'size': 9}",   /* no base64 */
    };
    static const unsigned char data[9];

    setup();
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        ck_assert_int_eq(put("v", data, 3, 0, 9), 0);
        world_expect_usage(&face.world, 0, 9, 0, 1);
        json_decref(admin_client_refused(root, "PutValue", parameters[i], INVALID));
        world_expect_usage(&face.world, 0, 0, 0, 1);
    }
    json_decref(admin_client_refused(root, "PutValue", "{'name': 'v', 'data': ''}", INVALID));
    teardown();
}
END_TEST

START_TEST(a_value_may_name_the_version_it_replaces) {
    json_t *answer;

    setup();
    json_decref(admin_client_refused(
        root, "PutValue", "{'name': 'v', 'data': 'AAAA', 'expected_version': 0}", NOT_FOUND));
    json_decref(admin_client_call(root, "PutValue", "{'name': 'v', 'data': 'AAAA'}"));
    json_decref(admin_client_call(root, "PutValue",
                                  "{'name': 'v', 'data': 'AAAA', 'expected_version': 0}"));
    answer = admin_client_refused(root, "PutValue",
                                  "{'name': 'v', 'data': 'AAAA', 'expected_version': 1}", CONFLICT);
    ck_assert_str_eq(text_of(answer, "message"), "region 'v' is at version 2, not 1");
    json_decref(answer);
    /* In parts, it is the last one that finds out. */
    json_decref(admin_client_call(
        root, "PutValue", "{'name': 'v', 'data': 'AAAA', 'size': 6, 'expected_version': 2}"));
    json_decref(admin_client_call(root, "PutValue",
                                  "{'name': 'v', 'data': 'AAAA', 'offset': 3, "
                                  "'size': 6}"));
    json_decref(admin_client_call(
        root, "PutValue", "{'name': 'v', 'data': 'AAAA', 'size': 6, 'expected_version': 2}"));
    json_decref(admin_client_refused(
        root, "PutValue", "{'name': 'v', 'data': 'AAAA', 'offset': 3, 'size': 6}", CONFLICT));
    world_expect_usage(&face.world, 1, 6, 0, 1);
    teardown();
}
END_TEST

static bool is_unused(struct world *world, void *data) {
    const struct quota *quota = manager_quota(world->manager);

    (void)data;
    return quota_used(quota, LIMIT_BYTES) == 0 && quota_used(quota, LIMIT_CONNECTIONS) == 0;
}

START_TEST(an_unfinished_value_ends_with_its_connection) {
    static const unsigned char data[9];

    setup();
    ck_assert_int_eq(put("v", data, 3, 0, 9), 0);
    world_expect_segments(&face.world, 1, 0);
    admin_client_free(root);
    world_wait(&face.world, is_unused, NULL);
    world_expect_segments(&face.world, 0, 0);
    admin_face_deinit(&face);
}
END_TEST

SUITE_MAIN("admin-values", a_small_value_goes_in_and_out_in_one_call,
           a_large_value_appears_whole_with_its_last_part, a_reader_of_parts_keeps_his_version,
           a_part_that_does_not_fit_ends_the_value, a_value_may_name_the_version_it_replaces,
           an_unfinished_value_ends_with_its_connection);
