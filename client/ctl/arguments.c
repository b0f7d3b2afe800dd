/*
 * The command line: see arguments.h.
 */
#include "client/ctl/arguments.h"

#include <errno.h>
#include <string.h>

const struct option_spec global_options[N_GLOBAL_OPTIONS] = {
    [GLOBAL_JSON] = {"json", NULL, "print the daemon's replies as JSON, one object a line"},
    [GLOBAL_SOCKET] = {"socket", "PATH", "admin socket of the daemon to talk to"},
    [GLOBAL_USER] = {"user", NULL, "talk to the user's own daemon"},
    [GLOBAL_NO_COLOR] = {"no-color", NULL, "no colour, as with the variable NO_COLOR"},
    [GLOBAL_HELP] = {"help", NULL, "explain shmregctl, or the command, and do nothing"},
    [GLOBAL_VERSION] = {"version", NULL, "print the version and do nothing"},
};

struct parser {
    const struct command *commands;
    struct invocation *invocation;
    char **next;
    char **end;
};

static const struct command *find_command(const struct command *commands, const char *name) {
    for (; commands->name; commands++)
        if (strcmp(commands->name, name) == 0)
            return commands;
    return NULL;
}

/* The place for the value of the option named by the first @length bytes of @name, or NULL. */
static const char **find_option(const struct option_spec *specs, size_t count, const char **values,
                                const char *name, size_t length, const struct option_spec **ret) {
    for (size_t i = 0; i < count && specs[i].name; i++) {
        if (strncmp(specs[i].name, name, length) != 0 || specs[i].name[length])
            continue;
        *ret = &specs[i];
        return &values[i];
    }
    return NULL;
}

static int keep_repeated(struct invocation *invocation, const struct option_spec *spec,
                         const char *value, struct error *error) {
    if (invocation->n_repeated == REPEATED_MAX)
        return error_set(error, -EINVAL, "--%s stands more than %u times", spec->name,
                         REPEATED_MAX);
    invocation->repeated[invocation->n_repeated++] = value;
    return 0;
}

static int take_option(struct parser *parser, const char *name, struct error *error) {
    struct invocation *invocation = parser->invocation;
    size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    const struct option_spec *spec;
    const char **place =
        find_option(global_options, N_GLOBAL_OPTIONS, invocation->global, name, length, &spec);

    if (!place && invocation->command)
        place = find_option(invocation->command->options, COMMAND_OPTIONS_MAX, invocation->option,
                            name, length, &spec);
    if (!place)
        return error_set(error, -EINVAL, "there is no option --%.*s%s%s", (int)length, name,
                         invocation->command ? " for " : "",
                         invocation->command ? invocation->command->name : " before a command");
    if (!spec->value && value)
        return error_set(error, -EINVAL, "--%s takes no value", spec->name);
    if (spec->value && !value && parser->next == parser->end)
        return error_set(error, -EINVAL, "--%s needs a value: --%s=%s", spec->name, spec->name,
                         spec->value);
    *place = !spec->value ? "" : value ? value : *parser->next++;
    return spec->repeated ? keep_repeated(invocation, spec, *place, error) : 0;
}

static int take_argument(struct parser *parser, char *argument, struct error *error) {
    struct invocation *invocation = parser->invocation;

    if (invocation->command) {
        invocation->arguments[invocation->n_arguments++] = argument;
        return 0;
    }
    invocation->command = find_command(parser->commands, argument);
    if (!invocation->command)
        return error_set(error, -EINVAL, "there is no command '%s'", argument);
    return 0;
}

static int check_arguments(const struct invocation *invocation, struct error *error) {
    const struct command *command = invocation->command;

    if (!command)
        return error_set(error, -EINVAL, "a command is missing");
    if (invocation->n_arguments < command->min_arguments)
        return error_set(error, -EINVAL, "%s needs %s", command->name, command->arguments);
    if (invocation->n_arguments > command->max_arguments)
        return error_set(error, -EINVAL, "%s has no use for '%s'", command->name,
                         invocation->arguments[command->max_arguments]);
    return 0;
}

int arguments_parse(const struct command *commands, int argc, char **argv, struct invocation *ret,
                    struct error *error) {
    struct parser parser = {commands, ret, argv, argv + argc};
    bool options_end = false;
    int r = 0;

    /* Arguments move to the front of argv, where what was read already leaves room for them. */
    *ret = (struct invocation){.arguments = argv};
    if (argc > 0)
        parser.next++;
    while (r == 0 && parser.next < parser.end) {
        char *word = *parser.next++;

        if (!options_end && strcmp(word, "--") == 0)
            options_end = true;
        else if (!options_end && strcmp(word, "-h") == 0)
            ret->global[GLOBAL_HELP] = "";
        else if (!options_end && strncmp(word, "--", 2) == 0)
            r = take_option(&parser, word + 2, error);
        else
            r = take_argument(&parser, word, error);
    }
    ret->arguments[ret->n_arguments] = NULL;
    if (r < 0 || ret->global[GLOBAL_HELP] || ret->global[GLOBAL_VERSION])
        return r;
    return check_arguments(ret, error);
}
