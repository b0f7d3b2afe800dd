/*
 * Quota: limits of users and of all, named when they are reached; every charge given back once.
 */
#include "daemon/core/quota.h"
#include "daemon/ground/unit.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

#define USER 20001u
#define OTHER 20002u

static const struct payer someone = {.uid = USER}, other = {.uid = OTHER};

static struct config make_config(uint64_t user, uint64_t total) {
    struct config config = {0};

    for (size_t i = 0; i < LIMIT_KIND_COUNT; i++) {
        config.user.most[i] = user;
        config.total.most[i] = total;
        config.unit.most[i] = LIMIT_NONE;
    }
    return config;
}

static struct quota *make_quota(const struct config *config) {
    struct quota *quota = NULL;

    ck_assert_int_eq(quota_new(config, &quota), 0);
    return quota;
}

START_TEST(what_is_charged_is_counted_and_given_back_once) {
    struct config config = make_config(LIMIT_NONE, LIMIT_NONE);
    struct quota *quota = make_quota(&config);
    struct charge *charge, *others;

    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 1000, &charge, NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_BYTES, 10, &others, NULL), 0);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 1010);
    ck_assert_uint_eq(quota_used_by(quota, USER, LIMIT_BYTES), 1000);
    ck_assert_uint_eq(quota_used_by(quota, OTHER, LIMIT_BYTES), 10);
    ck_assert_uint_eq(quota_used(quota, LIMIT_REGIONS), 0);
    charge_release(charge);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 10);
    ck_assert_uint_eq(quota_used_by(quota, USER, LIMIT_BYTES), 0);
    charge_release(others);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 0);
    quota_free(quota);
}
END_TEST

START_TEST(the_limit_of_a_user_is_his_alone) {
    struct config config = make_config(2, LIMIT_NONE);
    struct quota *quota = make_quota(&config);
    struct charge *charges[4] = {0};
    struct error error = {0};

    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 1, &charges[0], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 1, &charges[1], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 1, &charges[2], &error), -EDQUOT);
    ck_assert_str_eq(error.text, "limit on regions of user 20001: 2 of 2 in use, 1 more asked for");
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_REGIONS, 2, &charges[2], NULL), 0);
    charge_release(steal_pointer(charges[0]));
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 1, &charges[3], NULL), 0);
    ck_assert_uint_eq(quota_used(quota, LIMIT_REGIONS), 4);
    for (size_t i = 0; i < ARRAY_SIZE(charges); i++)
        charge_release(charges[i]);
    quota_free(quota);
}
END_TEST

START_TEST(the_limit_of_all_is_everybodys) {
    struct config config = make_config(LIMIT_NONE, 100);
    struct quota *quota = make_quota(&config);
    struct charge *charge, *none;
    struct error error = {0};

    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 60, &charge, NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_BYTES, 41, &none, &error), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on bytes of all users"));
    ck_assert_uint_eq(quota_used_by(quota, OTHER, LIMIT_BYTES), 0);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 60);
    charge_release(charge);
    quota_free(quota);
}
END_TEST

START_TEST(an_amount_that_would_overflow_is_refused) {
    struct config config = make_config(100, UINT64_MAX - 1);
    struct quota *quota = make_quota(&config);
    struct charge *charge, *none;

    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 100, &charge, NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, UINT64_MAX, &none, NULL), -EDQUOT);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, UINT64_MAX - 99, &none, NULL),
                     -EDQUOT);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 100);
    charge_release(charge);
    quota_free(quota);
}
END_TEST

START_TEST(a_user_may_have_limits_of_his_own) {
    struct config config = make_config(1, LIMIT_NONE);
    struct user_limits own = {.uid = USER, .limits = config.user};
    struct quota *quota = make_quota(&config);
    struct charge *charge, *none;

    own.limits.most[LIMIT_ATTACHMENTS] = 5;
    config.users = &own;
    config.n_users = 1;
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_ATTACHMENTS, 5, &charge, NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_ATTACHMENTS, 2, &none, NULL), -EDQUOT);
    charge_release(charge);
    quota_free(quota);
}
END_TEST

START_TEST(a_lower_limit_leaves_what_is_in_use) {
    struct config wide = make_config(10, 10), narrow = make_config(3, LIMIT_NONE);
    struct quota *quota = make_quota(&wide);
    struct charge *charge, *none;

    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 8, &charge, NULL), 0);
    ck_assert_int_eq(quota_configure(quota, &narrow), 0);
    ck_assert_uint_eq(quota_used_by(quota, USER, LIMIT_REGIONS), 8);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 1, &none, NULL), -EDQUOT);
    charge_release(charge);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 3, &charge, NULL), 0);
    charge_release(charge);
    quota_free(quota);
}
END_TEST

START_TEST(what_exists_already_is_charged_over_any_limit) {
    struct config config = make_config(1, 1);
    struct quota *quota = make_quota(&config);
    struct charge *charge, *none;

    ck_assert_int_eq(quota_charge_existing(quota, &someone, LIMIT_REGIONS, 7, &charge), 0);
    ck_assert_uint_eq(quota_used(quota, LIMIT_REGIONS), 7);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_REGIONS, 1, &none, NULL), -EDQUOT);
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_REGIONS, 1, &none, NULL), -ENOSPC);
    charge_release(charge);
    quota_free(quota);
}
END_TEST

/* What a test gives back when it is asked to: a charge of each user. */
struct reserve {
    struct charge *charges[2];
    unsigned asked;
    size_t n_excesses;
    char why[ERROR_TEXT_MAX];
};

static bool give_back(void *data, const struct quota_excess *excesses, size_t count,
                      const char *why) {
    struct reserve *reserve = data;

    reserve->asked++;
    reserve->n_excesses = count;
    strcpy(reserve->why, why);
    for (size_t i = 0; i < ARRAY_SIZE(reserve->charges); i++)
        if (reserve->charges[i] &&
            charge_relieves(reserve->charges[i], &excesses[0]) >= excesses[0].amount) {
            charge_release(steal_pointer(reserve->charges[i]));
            return true;
        }
    return false;
}

START_TEST(relief_is_asked_for_before_a_charge_is_refused) {
    struct config config = make_config(100, 150);
    struct quota *quota = make_quota(&config);
    const struct payer third = {.uid = 20003};
    struct reserve reserve = {0};
    struct charge *charge, *none;

    quota_set_relief(quota, &(struct quota_relief){give_back, &reserve});
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 40, &charge, NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 60, &reserve.charges[0], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_BYTES, 50, &reserve.charges[1], NULL), 0);
    ck_assert_uint_eq(reserve.asked, 0);
    /* Nobody can give back enough. */
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 101, &none, NULL), -EDQUOT);
    ck_assert_uint_eq(reserve.asked, 0);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 61, &none, NULL), -EDQUOT);
    ck_assert_uint_eq(reserve.asked, 1);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 150);
    /* What the other user has does nothing for a limit of this one, but may for that of all. */
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 60, &none, NULL), 0);
    ck_assert_uint_eq(reserve.n_excesses, 2);
    ck_assert_str_eq(reserve.why,
                     "limit on bytes of user 20001: 100 of 100 in use, 60 more asked for");
    ck_assert_ptr_null(reserve.charges[0]);
    charge_release(charge);
    ck_assert_int_eq(quota_charge(quota, &someone, LIMIT_BYTES, 40, &charge, NULL), 0);
    charge_release(none);
    ck_assert_int_eq(quota_charge(quota, &other, LIMIT_BYTES, 50, &none, NULL), 0);
    charge_release(none);
    ck_assert_int_eq(quota_charge(quota, &third, LIMIT_BYTES, 100, &none, NULL), 0);
    ck_assert_uint_eq(reserve.asked, 3);
    ck_assert_ptr_null(reserve.charges[1]);
    charge_release(charge);
    charge_release(none);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), 0);
    quota_free(quota);
}
END_TEST

/* A configuration with two namespaces, one within the other. */
static struct config make_spaces(struct namespace *spaces, struct limits *outer,
                                 struct limits *inner) {
    struct config config = make_config(LIMIT_NONE, LIMIT_NONE);

    spaces[0] = (struct namespace){.prefix = "feed/eu", .limits = inner};
    spaces[1] = (struct namespace){.prefix = "feed", .limits = outer};
    config.namespaces = spaces;
    config.n_namespaces = 2;
    return config;
}

START_TEST(every_namespace_around_a_name_counts) {
    struct limits outer = {.most = {10, 10, 10, 10}}, inner = {.most = {5, 5, 5, 5}};
    struct namespace spaces[2];
    struct config config = make_spaces(spaces, &outer, &inner);
    struct quota *quota = make_quota(&config);
    struct payer eu = {.uid = USER, .name = "feed/eu/prices"};
    struct payer us = {.uid = OTHER, .name = "feed/us/prices"};
    struct payer europe = {.uid = OTHER, .name = "feed/europe"};
    struct charge *charges[3] = {0}, *none;
    struct error error = {0};

    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_REGIONS, 4, &charges[0], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &us, LIMIT_REGIONS, 5, &charges[1], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_REGIONS, 2, &none, &error), -EDQUOT);
    ck_assert_str_eq(error.text,
                     "limit on regions of namespace 'feed/eu': 4 of 5 in use, 2 more asked for");
    ck_assert_int_eq(quota_charge(quota, &europe, LIMIT_REGIONS, 2, &none, &error), -EDQUOT);
    ck_assert_str_eq(error.text,
                     "limit on regions of namespace 'feed': 9 of 10 in use, 2 more asked for");
    ck_assert_int_eq(quota_charge(quota, &europe, LIMIT_REGIONS, 1, &charges[2], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(charges); i++)
        charge_release(charges[i]);
    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_REGIONS, 5, &charges[0], NULL), 0);
    charge_release(charges[0]);
    quota_free(quota);
}
END_TEST

START_TEST(a_new_namespace_counts_what_is_there) {
    struct limits outer = {.most = {10, 10, 10, 10}}, inner = {.most = {5, 5, 5, 5}};
    struct namespace spaces[2];
    struct config without = make_config(LIMIT_NONE, LIMIT_NONE);
    struct config with = make_spaces(spaces, &outer, &inner);
    struct quota *quota = make_quota(&without);
    struct payer eu = {.uid = USER, .name = "feed/eu/prices"};
    struct charge *charge, *none;

    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_BYTES, 7, &charge, NULL), 0);
    ck_assert_int_eq(quota_configure(quota, &with), 0);
    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_BYTES, 1, &none, NULL), -EDQUOT);
    ck_assert_int_eq(quota_configure(quota, &without), 0);
    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_BYTES, 1, &none, NULL), 0);
    charge_release(none);
    ck_assert_int_eq(quota_configure(quota, &with), 0);
    charge_release(charge);
    ck_assert_int_eq(quota_charge(quota, &eu, LIMIT_BYTES, 5, &charge, NULL), 0);
    charge_release(charge);
    quota_free(quota);
}
END_TEST

START_TEST(a_unit_has_limits_whoever_runs_in_it) {
    struct config config = make_config(LIMIT_NONE, LIMIT_NONE);
    struct unit_limits own = {.unit = {SUBJECT_UNIT, UNIT_OF_SYSTEM, "worker@*.service"},
                              .limits.most = {2, 2, 2, 2}};
    struct quota *quota;
    struct payer first = {.uid = USER, .unit = "worker@1.service"};
    struct payer again = {.uid = OTHER, .unit = "worker@1.service"};
    struct payer second = {.uid = USER, .unit = "worker@2.service"};
    struct charge *charges[3] = {0}, *none;
    struct error error = {0};

    config.units = &own;
    config.n_units = 1;
    quota = make_quota(&config);
    ck_assert_int_eq(quota_charge(quota, &first, LIMIT_CONNECTIONS, 1, &charges[0], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &again, LIMIT_CONNECTIONS, 1, &charges[1], NULL), 0);
    ck_assert_int_eq(quota_charge(quota, &first, LIMIT_CONNECTIONS, 1, &none, &error), -EDQUOT);
    ck_assert_str_eq(
        error.text,
        "limit on connections of unit worker@1.service: 2 of 2 in use, 1 more asked for");
    /* Each instance has the template's limits to itself. */
    ck_assert_int_eq(quota_charge(quota, &second, LIMIT_CONNECTIONS, 2, &charges[2], NULL), 0);
    ck_assert_str_eq(charge_payer(charges[2]).unit, "worker@2.service");
    for (size_t i = 0; i < ARRAY_SIZE(charges); i++)
        charge_release(charges[i]);
    quota_free(quota);
}
END_TEST

START_TEST(a_rate_allows_bursts_and_fills_again) {
    const struct limits limits = {.rate = 10, .burst = 3}, none = {0};
    const uint64_t second = 1000000000, start = 5 * second;
    struct rate rate = {0};

    ck_assert_uint_eq(rate_wait_nsec(&rate, &none, start), 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(rate_wait_nsec(&rate, &limits, start), 0);
        rate_take(&rate, &limits, start);
    }
    ck_assert_uint_eq(rate_wait_nsec(&rate, &limits, start), second / 10);
    ck_assert_uint_eq(rate_wait_nsec(&rate, &limits, start + second / 10 - 1), 1);
    ck_assert_uint_eq(rate_wait_nsec(&rate, &limits, start + second / 10), 0);
    /* What is taken although it is not there is not owed for ever. */
    for (unsigned i = 0; i < 1000; i++)
        rate_take(&rate, &limits, start);
    ck_assert_uint_eq(rate_wait_nsec(&rate, &limits, start + second / 10), 0);
    /* A long rest allows no more than a burst. */
    for (unsigned i = 0; i < 3; i++)
        rate_take(&rate, &limits, 100 * second);
    ck_assert_uint_eq(rate_wait_nsec(&rate, &limits, 100 * second), second / 10);
}
END_TEST

/* Asks until it is refused, which a rate of one in a second sees to. */
static int ask_too_much(struct quota *quota, const struct payer *payer, struct error *error) {
    struct charge *connection;
    int r = 0;

    ck_assert_int_eq(quota_charge(quota, payer, LIMIT_CONNECTIONS, 1, &connection, NULL), 0);
    for (unsigned i = 0; i < 1000 && r == 0; i++)
        r = charge_request(connection, false, error);
    ck_assert_int_eq(charge_request(connection, true, NULL), 0);
    charge_release(connection);
    return r;
}

START_TEST(requests_over_the_rate_are_refused) {
    struct config config = make_config(LIMIT_NONE, LIMIT_NONE);
    struct payer in_unit = {.uid = OTHER, .unit = "a.service"};
    struct quota *quota;
    struct error error = {0};

    config.user.rate = 1;
    config.user.burst = 5;
    quota = make_quota(&config);
    ck_assert_int_eq(ask_too_much(quota, &someone, &error), -EDQUOT);
    ck_assert_ptr_nonnull(
        strstr(error.text, "limit on requests of user 20001: 1 a second, 5 at once"));
    /* To connect again is no way around it, but ends with a reload. */
    ck_assert_ptr_nonnull(accounts_find_user(quota_accounts(quota), USER));
    config.user.rate = 0;
    config.unit.rate = 1;
    ck_assert_int_eq(quota_configure(quota, &config), 0);
    ck_assert_int_eq(ask_too_much(quota, &someone, &error), 0);
    ck_assert_ptr_null(accounts_find_user(quota_accounts(quota), USER));
    ck_assert_int_eq(ask_too_much(quota, &in_unit, &error), -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on requests of unit a.service"));
    config.unit.rate = 0;
    config.total.rate = 1;
    ck_assert_int_eq(quota_configure(quota, &config), 0);
    ck_assert_int_eq(ask_too_much(quota, &someone, &error), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on requests of all users together"));
    quota_free(quota);
}
END_TEST

SUITE_MAIN("quota", what_is_charged_is_counted_and_given_back_once,
           the_limit_of_a_user_is_his_alone, the_limit_of_all_is_everybodys,
           an_amount_that_would_overflow_is_refused, a_user_may_have_limits_of_his_own,
           a_lower_limit_leaves_what_is_in_use, what_exists_already_is_charged_over_any_limit,
           every_namespace_around_a_name_counts, a_new_namespace_counts_what_is_there,
           a_unit_has_limits_whoever_runs_in_it, a_rate_allows_bursts_and_fills_again,
           requests_over_the_rate_are_refused, relief_is_asked_for_before_a_charge_is_refused);
