/*
 * What --help prints, from the tables of commands and options
 */
#pragma once

#include "client/ctl/arguments.h"

void help_print(const struct command *commands);
void help_print_command(const struct command *command);
