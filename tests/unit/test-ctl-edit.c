/*
 * Access rules and attributes as typed: whole lists, changes of one, and what is refused.
 */
#include "client/ctl/attributes.h"
#include "client/ctl/rules.h"
#include "client/ctl/varlink-client.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

static void assert_json(const json_t *value, const char *expected) {
    _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT);

    ck_assert_str_eq(text, expected);
}

START_TEST(lists_of_rules) {
    _cleanup_(cleanup_json_decref) json_t *rules = json_array();
    struct error error;

    ck_assert_int_eq(rules_add(rules, "", &error), 0);
    assert_json(rules, "[]");
    ck_assert_int_eq(rules_add(rules, "user:alice:rw,group:staff:r", &error), 0);
    ck_assert_int_eq(rules_add(rules, "user:20001:rwm", &error), 0);
    assert_json(rules, "[\"user:alice:rw\",\"group:staff:r\",\"user:20001:rwm\"]");
}
END_TEST

START_TEST(wrong_lists_of_rules) {
    static const char *const lists[] = {"x",           "user:a",     "user:a:",   "user:a:x",
                                        "user:a:r,",   ",user:a:r",  "user::r",   "other:a:r",
                                        "user:a:r,,x", "user:a b:r", "user:a:rr", "+user:a:r"};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        _cleanup_(cleanup_json_decref) json_t *rules = json_array();
        struct error error;

        ck_assert_msg(rules_add(rules, lists[i], &error) == -EINVAL, "'%s' is taken", lists[i]);
    }
}
END_TEST

START_TEST(changes_of_rules) {
    static const char *const cases[][2] = {
        {"+user:bob:r", "[\"user:alice:rw\",\"group:staff:r\",\"user:bob:r\"]"},
        {"+user:alice:m", "[\"user:alice:rwm\",\"group:staff:r\"]"},
        {"+user:alice:r", "[\"user:alice:rw\",\"group:staff:r\"]"},
        {"+group:alice:r", "[\"user:alice:rw\",\"group:staff:r\",\"group:alice:r\"]"},
        {"-user:alice:w", "[\"user:alice:r\",\"group:staff:r\"]"},
        {"-user:alice:m", "[\"user:alice:rw\",\"group:staff:r\"]"},
        {"-user:alice:rw", "[\"group:staff:r\"]"},
        {"-user:alice", "[\"group:staff:r\"]"},
        {"-user:alice,-group:staff,+user:z:w", "[\"user:z:w\"]"},
        {"+user:alicia:r", "[\"user:alice:rw\",\"group:staff:r\",\"user:alicia:r\"]"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(cleanup_json_decref) json_t *rules =
            json_pack("[s, s]", "user:alice:rw", "group:staff:r");
        struct error error;

        ck_assert_msg(rules_change(rules, cases[i][0], &error) == 0, "%s: %s", cases[i][0],
                      error.text);
        assert_json(rules, cases[i][1]);
    }
}
END_TEST

START_TEST(wrong_changes_of_rules) {
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"+", -EINVAL},
        {"-", -EINVAL},
        {"+user:a", -EINVAL},
        {"-user", -EINVAL},
        {"+user:a:x", -EINVAL},
        {"-user:alice:x", -EINVAL},
        {"user:a:r", -EINVAL},
        {"+user:a:r,", -EINVAL},
        {"+user:a:r,user:b:r", -EINVAL},
        {"", -EINVAL},
        {"-user:bob", -ENOENT},
        {"-user:bob:r", -ENOENT},
        {"-group:alice", -ENOENT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(cleanup_json_decref) json_t *rules = json_pack("[s]", "user:alice:rw");
        struct error error;
        int r = rules_change(rules, cases[i].text, &error);

        ck_assert_msg(r == cases[i].code, "'%s' gives %d", cases[i].text, r);
    }
}
END_TEST

START_TEST(rules_of_kinds_not_known_here_stay) {
    _cleanup_(cleanup_json_decref) json_t *rules = json_pack("[s, s]", "unit:a.service:r", "odd");
    struct error error;

    ck_assert_int_eq(rules_change(rules, "+user:a:r", &error), 0);
    assert_json(rules, "[\"unit:a.service:r\",\"odd\",\"user:a:r\"]");
    ck_assert_int_eq(rules_change(rules, "-unit:a.service", &error), 0);
    assert_json(rules, "[\"odd\",\"user:a:r\"]");
}
END_TEST

START_TEST(attributes_as_an_object) {
    static const char *const wrong[] = {"", "{", "[]", "42", "{\"a\":1,\"a\":2}", "{} x"};
    struct error error;
    _cleanup_(cleanup_json_decref) json_t *object =
        attributes_parse("{\"dtype\": \"<f4\", \"shape\": [2, 3]}", &error);

    assert_json(object, "{\"dtype\":\"<f4\",\"shape\":[2,3]}");
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        ck_assert_msg(!attributes_parse(wrong[i], &error), "'%s' is taken", wrong[i]);
}
END_TEST

START_TEST(attributes_key_by_key) {
    static const char *const assignments[] = {
        "n=42",    "t=true", "z=null", "a=[3,4]", "q=\"42\"",    "s=plain text",
        "v=1.2.3", "e=x=y",  "old=",   "none=",   "o={\"k\":1}",
    };
    _cleanup_(cleanup_json_decref) json_t *object = json_pack("{s:s, s:i}", "old", "x", "n", 1);
    struct error error;

    for (size_t i = 0; i < ARRAY_SIZE(assignments); i++)
        ck_assert_int_eq(attributes_assign(object, assignments[i], &error), 0);
    assert_json(object, "{\"n\":42,\"t\":true,\"z\":null,\"a\":[3,4],\"q\":\"42\","
                        "\"s\":\"plain text\",\"v\":\"1.2.3\",\"e\":\"x=y\",\"o\":{\"k\":1}}");
    ck_assert_int_eq(attributes_assign(object, "key", &error), -EINVAL);
    ck_assert_int_eq(attributes_assign(object, "=value", &error), -EINVAL);
}
END_TEST

SUITE_MAIN("ctl-edit", lists_of_rules, wrong_lists_of_rules, changes_of_rules,
           wrong_changes_of_rules, rules_of_kinds_not_known_here_stay, attributes_as_an_object,
           attributes_key_by_key);
