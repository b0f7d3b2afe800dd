/*
 * Audit: who does something or is refused it is in the log, and how often at most; what is left out of
 * it is counted.
 */
#include "tests/unit/conversation.h"

#include "daemon/core/audit.h"

#include <errno.h>
#include <string.h>

#define REFUSED "process 42 of user 20001 was refused open: user 20001 lacks"

static char unit[] = "one.service", other_unit[] = "two.service";
static const struct caller caller = {.uid = 20001, .pid = 42, .units.system = unit};
static const struct caller elsewhere = {.uid = 20001, .pid = 43, .units.system = other_unit};
static const struct error lacks = {-EACCES, "user 20001 lacks the right 'r'"};

static struct event_base *base;
static struct audit *audit;

static void set_up(void) {
    log_capture();
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(audit_new(base, &audit), 0);
}

static void tear_down(void) {
    cleanup_audit_free(&audit);
    event_base_free(base);
}

static unsigned lines_with(const char *text) {
    static char log[1 << 20];
    ssize_t size = pread(STDERR_FILENO, log, sizeof(log) - 1, 0);
    unsigned count = 0;

    ck_assert_int_ge(size, 0);
    log[size] = '\0';
    for (const char *at = log; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static void refuse(const struct caller *who, unsigned times) {
    for (unsigned i = 0; i < times; i++)
        audit_failure(audit, who, "open", "region", -EACCES, &lacks);
}

START_TEST(what_is_no_refusal_is_not_noted) {
    static const int codes[] = {-EACCES, -EPERM, -EDQUOT, -ENOSPC};

    set_up();
    audit_failure(audit, &caller, "open", "region", -ENOENT, &lacks);
    audit_failure(audit, &caller, "open", "region", -EINVAL, &lacks);
    ck_assert_uint_eq(lines_with("\n"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        audit_failure(audit, &caller, "open", NULL, codes[i], &lacks);
    ck_assert_uint_eq(lines_with(REFUSED), ARRAY_SIZE(codes));
    tear_down();
}
END_TEST

START_TEST(a_source_has_so_many_lines_and_the_rest_is_counted) {
    set_up();
    refuse(&caller, AUDIT_LINES_MAX + 50);
    ck_assert_uint_eq(lines_with(REFUSED), AUDIT_LINES_MAX);
    ck_assert_uint_eq(lines_with("left out"), 0);
    /* Nothing but the count is waited for. */
    ck_assert_int_eq(event_base_dispatch(base), 1);
    ck_assert(log_has("50 more of user 20001 in unit one.service were left out of the log: "
                      "requests refused"));
    refuse(&caller, 1);
    ck_assert_uint_eq(lines_with(REFUSED), AUDIT_LINES_MAX + 1);
    tear_down();
    ck_assert_uint_eq(lines_with("left out"), 1);
}
END_TEST

START_TEST(nothing_hides_behind_what_is_left_out) {
    const struct audit_event event = {.kind = LOG_REGION_DESTROYED, .caller = &caller};

    set_up();
    refuse(&caller, AUDIT_LINES_MAX + 1);
    audit_write(audit, &event, "another kind");
    refuse(&elsewhere, 1);
    ck_assert(log_has("another kind"));
    ck_assert(log_has("process 43 of user 20001 was refused"));
    tear_down();
    ck_assert(log_has("1 more of user 20001 in unit one.service"));
}
END_TEST

START_TEST(a_client_that_is_cut_off_again_and_again_has_fewer) {
    set_up();
    for (unsigned i = 0; i < 2 * AUDIT_LINES_MAX; i++)
        audit_cut_off(audit, &caller, "it is malformed");
    ck_assert_uint_eq(lines_with("is cut off: it is malformed"), AUDIT_CUT_OFFS_MAX);
    tear_down();
}
END_TEST

START_TEST(many_sources_lose_no_count) {
    struct caller many = caller;

    set_up();
    refuse(&caller, AUDIT_LINES_MAX + 7);
    for (unsigned i = 0; i < 1000; i++) {
        many.uid = 30000 + i;
        refuse(&many, 1);
    }
    ck_assert_uint_eq(lines_with("was refused open"), AUDIT_LINES_MAX + 1000);
    ck_assert(log_has("7 more of user 20001"));
    tear_down();
}
END_TEST

START_TEST(requests_that_are_refused_are_noted_with_their_region) {
    static const char names[] = "mine\0other";
    struct region_spec spec = world_spec("other");
    char line[128];

    log_capture();
    begin();
    world_create(&talk.world, 20009, &spec);
    spec.name = "mine";
    world_create(&talk.world, WORLD_UID, &spec);
    ck_assert_int_eq(OPEN(names, 2, WIRE_READ), -EACCES);
    snprintf(line, sizeof(line), "was refused open: user %u lacks the right 'r' to region 'other'",
             WORLD_UID);
    ck_assert(log_has(line));
    end();
}
END_TEST

START_TEST(acts_on_regions_are_noted) {
    const struct caller owner = world_caller(20001), root = world_caller(0);
    struct region_spec spec = world_spec("region");
    struct error error;
    struct world world;
    uint32_t mode = 0640;

    log_capture();
    world_init(&world);
    world_create(&world, 20001, &spec);
    ck_assert(log_has("region 'region' created by user 20001: shm, persistent, mode 0600, 4096"));
    ck_assert_int_eq(
        manager_set_access(world.manager, &owner, "region", &mode, "user:20002:r", &error), 0);
    ck_assert(log_has("region 'region' changed by user 20001: mode 0640 instead of 0600, rules "
                      "'user:20002:r' instead of ''"));
    ck_assert_int_eq(manager_destroy(world.manager, &root, "region", &error), 0);
    ck_assert(log_has("region 'region' destroyed: by user 0"));
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("audit", what_is_no_refusal_is_not_noted,
           a_source_has_so_many_lines_and_the_rest_is_counted,
           nothing_hides_behind_what_is_left_out,
           a_client_that_is_cut_off_again_and_again_has_fewer, many_sources_lose_no_count,
           requests_that_are_refused_are_noted_with_their_region, acts_on_regions_are_noted);
