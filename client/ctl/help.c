/*
 * Help: see help.h.
 */
#include "client/ctl/help.h"

#include <stdio.h>

#define TERM_WIDTH 26 /* columns of an option or command before its explanation */

static void print_options(const struct option_spec *options, size_t count) {
    for (size_t i = 0; i < count && options[i].name; i++) {
        int n = printf("  --%s%s%s", options[i].name, options[i].value ? "=" : "",
                       options[i].value ? options[i].value : "");

        printf("%*s%s\n", n < TERM_WIDTH ? TERM_WIDTH - n : 1, "", options[i].help);
    }
}

void help_print(const struct command *commands) {
    printf("Usage: shmregctl [OPTION...] COMMAND [ARGUMENT...]\n\n"
           "Inspects and changes the shared-memory regions that shmregd owns.\n\n"
           "Commands:\n");
    for (; commands->name; commands++) {
        int n = printf("  %s %s", commands->name, commands->arguments);

        printf("%*s%s\n", n < TERM_WIDTH ? TERM_WIDTH - n : 1, "", commands->summary);
    }
    printf("\nOptions:\n");
    print_options(global_options, N_GLOBAL_OPTIONS);
    printf("\n'shmregctl COMMAND --help' explains a command, shmregctl(1) everything.\n");
}

void help_print_command(const struct command *command) {
    printf("Usage: shmregctl %s%s%s\n\n%s.\n", command->name, *command->arguments ? " " : "",
           command->arguments, command->summary);
    if (command->help)
        printf("\n%s\n", command->help);
    if (command->options[0].name) {
        printf("\nOptions:\n");
        print_options(command->options, COMMAND_OPTIONS_MAX);
    }
    printf("\nOptions of every command:\n");
    print_options(global_options, N_GLOBAL_OPTIONS);
}
