/*
 * The command line: which command, with which options and arguments
 *
 * Every option is long (only --help has a short form, -h), stands anywhere, and takes its value as
 * --name=VALUE or --name VALUE; "--" ends the options. A single '-' opens an argument as any other
 * letter does, since `acl` has arguments such as "-user:alice". One table per command says what it
 * takes; parsing, the checks and --help all come from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"

#define COMMAND_OPTIONS_MAX 16u
#define REPEATED_MAX 64u
#define ARGUMENTS_UNLIMITED (~0u)

struct ctl;
struct invocation;

struct option_spec {
    const char *name;  /* without the dashes */
    const char *value; /* what the help calls its value; NULL for an option without one */
    const char *help;
    bool repeated; /* may stand more than once; at most one option of a command is such */
};

struct command {
    const char *name;
    const char *arguments; /* as the usage line shows them */
    const char *summary;   /* one line */
    const char *help;      /* what --help adds, or NULL */
    unsigned min_arguments;
    unsigned max_arguments;
    struct option_spec options[COMMAND_OPTIONS_MAX]; /* up to the first without a name */
    int (*run)(struct ctl *ctl, const struct invocation *invocation, struct error *error);
};

enum global_option {
    GLOBAL_JSON,
    GLOBAL_SOCKET,
    GLOBAL_USER,
    GLOBAL_NO_COLOR,
    GLOBAL_HELP,
    GLOBAL_VERSION,
    N_GLOBAL_OPTIONS,
};

extern const struct option_spec global_options[N_GLOBAL_OPTIONS];

struct invocation {
    const struct command *command; /* NULL if there was none */
    const char *global[N_GLOBAL_OPTIONS];
    const char *option[COMMAND_OPTIONS_MAX]; /* by the command's table; "" without value */
    const char *repeated[REPEATED_MAX];      /* the values of a repeated option */
    unsigned n_repeated;
    unsigned n_arguments;
    char **arguments; /* within argv, reordered; NULL after the last */
};

/*
 * Reads the command line; @commands ends with one without a name. With --help or --version nothing
 * that is missing matters. Returns 0, or -EINVAL with what is wrong in @error (then ret->command is
 * still the command, if it was one).
 */
int arguments_parse(const struct command *commands, int argc, char **argv, struct invocation *ret,
                    struct error *error);
