/*
 * The command line of shmregctl: options anywhere, '-' as an ordinary letter, and what is refused.
 */
#include "client/ctl/arguments.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>

#define WORDS_MAX 12

static const struct command commands[] = {
    {.name = "list", .arguments = "[PREFIX]", .max_arguments = 1},
    {
        .name = "create",
        .arguments = "NAME SIZE",
        .min_arguments = 2,
        .max_arguments = 2,
        .options = {{"backing", "KIND", ""}, {"quick", NULL, ""}},
    },
    {.name = "acl", .min_arguments = 1, .max_arguments = ARGUMENTS_UNLIMITED},
    {0},
};

struct line {
    char *words[WORDS_MAX];
    struct invocation invocation;
    struct error error;
};

/* Parses words that blanks separate, after the name of the program. */
static int parse(struct line *line, const char *text) {
    static char copy[256];
    int count = 0;

    memset(line, 0, sizeof(*line));
    strcpy(copy, text);
    line->words[count++] = (char[]){"shmregctl"};
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        line->words[count++] = word;
    return arguments_parse(commands, count, line->words, &line->invocation, &line->error);
}

START_TEST(options_stand_anywhere) {
    static const char *const texts[] = {
        "--json create --backing=memfd a 4K --quick",
        "create a --json --quick 4K --backing memfd",
        "create --quick --backing memfd --json -- a 4K",
        "create a 4K --backing=shm --backing=memfd --quick --json",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct line line;

        ck_assert_msg(parse(&line, texts[i]) == 0, "%s: %s", texts[i], line.error.text);
        ck_assert_str_eq(line.invocation.command->name, "create");
        ck_assert_ptr_nonnull(line.invocation.global[GLOBAL_JSON]);
        ck_assert_ptr_null(line.invocation.global[GLOBAL_SOCKET]);
        ck_assert_str_eq(line.invocation.option[0], "memfd");
        ck_assert_ptr_nonnull(line.invocation.option[1]);
        ck_assert_uint_eq(line.invocation.n_arguments, 2);
        ck_assert_str_eq(line.invocation.arguments[0], "a");
        ck_assert_str_eq(line.invocation.arguments[1], "4K");
        ck_assert_ptr_null(line.invocation.arguments[2]);
    }
}
END_TEST

START_TEST(a_single_dash_opens_an_argument) {
    struct line line;

    ck_assert_int_eq(parse(&line, "acl a +user:b:r -group:x"), 0);
    ck_assert_uint_eq(line.invocation.n_arguments, 3);
    ck_assert_str_eq(line.invocation.arguments[2], "-group:x");
    ck_assert_int_eq(parse(&line, "acl -- --a --json -h --"), 0);
    ck_assert_uint_eq(line.invocation.n_arguments, 4);
    ck_assert_ptr_null(line.invocation.global[GLOBAL_JSON]);
    ck_assert_ptr_null(line.invocation.global[GLOBAL_HELP]);
}
END_TEST

START_TEST(values_may_be_empty_or_have_equals_signs) {
    struct line line;

    ck_assert_int_eq(parse(&line, "create a 1 --backing="), 0);
    ck_assert_str_eq(line.invocation.option[0], "");
    ck_assert_int_eq(parse(&line, "create a 1 --backing=x=y=z"), 0);
    ck_assert_str_eq(line.invocation.option[0], "x=y=z");
    ck_assert_int_eq(parse(&line, "create a 1 --backing --json"), 0);
    ck_assert_str_eq(line.invocation.option[0], "--json");
}
END_TEST

START_TEST(help_and_version_need_nothing_else) {
    struct line line;

    ck_assert_int_eq(parse(&line, "--help"), 0);
    ck_assert_int_eq(parse(&line, "--version"), 0);
    ck_assert_int_eq(parse(&line, "create -h"), 0);
    ck_assert_ptr_nonnull(line.invocation.global[GLOBAL_HELP]);
    ck_assert_str_eq(line.invocation.command->name, "create");
}
END_TEST

START_TEST(what_is_wrong_is_named) {
    static const char *const cases[][2] = {
        {"", "a command is missing"},
        {"--json", "a command is missing"},
        {"frob", "'frob'"},
        {"frob --help", "'frob'"},
        {"List", "'List'"},
        {"list a b", "'b'"},
        {"create", "NAME SIZE"},
        {"create a", "NAME SIZE"},
        {"create a 1 c", "'c'"},
        {"create a 1 --frob", "--frob"},
        {"create a 1 --frob=1", "--frob"},
        {"create a 1 --back=shm", "--back"},
        {"create a 1 --backing", "--backing=KIND"},
        {"create a 1 --quick=yes", "--quick"},
        {"--backing=shm create a 1", "--backing"},
        {"list --quick", "--quick for list"},
        {"list --=1", "--"},
        {"list --json=1", "--json"},
        {"list --socket", "--socket=PATH"},
        {"list -j", NULL}, /* an argument, which the daemon judges */
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct line line;
        int r = parse(&line, cases[i][0]);

        ck_assert_msg(r == (cases[i][1] ? -EINVAL : 0), "'%s' gives %d", cases[i][0], r);
        ck_assert_msg(!cases[i][1] || strstr(line.error.text, cases[i][1]), "'%s': %s", cases[i][0],
                      line.error.text);
    }
}
END_TEST

START_TEST(not_even_a_program_name) {
    char *argv[] = {NULL};
    struct invocation invocation;
    struct error error;

    ck_assert_int_eq(arguments_parse(commands, 0, argv, &invocation, &error), -EINVAL);
}
END_TEST

SUITE_MAIN("ctl-arguments", options_stand_anywhere, a_single_dash_opens_an_argument,
           values_may_be_empty_or_have_equals_signs, help_and_version_need_nothing_else,
           what_is_wrong_is_named, not_even_a_program_name);
