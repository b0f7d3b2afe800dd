/*
 * Units in access rules: which text names a unit, and which units it means.
 */
#include "proto/unit-pattern.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

START_TEST(units_that_can_be_named) {
    static const char *const good[] = {
        "nginx.service", "a-b_c.d\\x2de.service", "session-3.scope",       "worker@7.service",
        "x@*.service",   "alice/sync.service",    "20001/worker@*.service"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert_msg(unit_pattern_is_valid(good[i], strlen(good[i])), "%s", good[i]);
    ck_assert_str_eq(unit_pattern_unit("alice/sync.service"), "sync.service");
    ck_assert_str_eq(unit_pattern_unit("sync.service"), "sync.service");
}
END_TEST

START_TEST(what_names_no_unit) {
    static const char *const bad[] = {"",
                                      "nginx",
                                      ".service",
                                      "a.slice",
                                      "a.socket",
                                      "*.service",
                                      "a*.service",
                                      "a@b*.service",
                                      "a@.service",
                                      "@a.service",
                                      "@*.service",
                                      "a@*b.service",
                                      "a@*@b.scope",
                                      "/a.service",
                                      "a/b/c.service",
                                      "a b.service",
                                      "a:b.service",
                                      "a\n.service",
                                      "alice/",
                                      "al ice/a.scope",
                                      "a@**.service",
                                      "*/a.service",
                                      "a,b.service",
                                      "a@b@c.service"};
    char text[UNIT_NAME_MAX + 1];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!unit_pattern_is_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
    ck_assert(!unit_pattern_is_valid("a\0b.service", 11));
    snprintf(text, sizeof(text), "%0*d.scope", UNIT_NAME_MAX - 7, 1);
    ck_assert(unit_pattern_is_valid(text, strlen(text)));
    snprintf(text, sizeof(text), "%0*d.scope", UNIT_NAME_MAX - 6, 1);
    ck_assert(!unit_pattern_is_valid(text, strlen(text)));
}
END_TEST

START_TEST(an_asterisk_means_every_instance_and_nothing_else) {
    ck_assert(unit_pattern_matches("nginx.service", "nginx.service"));
    ck_assert(!unit_pattern_matches("nginx.service", "nginx.service2"));
    ck_assert(!unit_pattern_matches("nginx.service", "xnginx.service"));
    ck_assert(unit_pattern_matches("worker@*.service", "worker@1.service"));
    ck_assert(unit_pattern_matches("worker@*.service", "worker@a.b.service"));
    ck_assert(!unit_pattern_matches("worker@*.service", "worker@.service"));
    ck_assert(!unit_pattern_matches("worker@*.service", "worker@1.scope"));
    ck_assert(!unit_pattern_matches("worker@*.service", "worker.service"));
    ck_assert(!unit_pattern_matches("worker@*.service", "worker2@1.service"));
}
END_TEST

SUITE_MAIN("unit-pattern", units_that_can_be_named, what_names_no_unit,
           an_asterisk_means_every_instance_and_nothing_else);
