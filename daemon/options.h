/*
 * Options: the command line, and the directories that follow from it
 */
#pragma once

#include <stdbool.h>

#include "proto/error.h"

struct options {
    bool per_user;   /* --user */
    bool foreground; /* log as text */
    bool check;
    const char *config;
    char *runtime_directory, *state_directory;
    int log_level; /* syslog(3) priority; -1: as configured */
};

/* Reads the command line. Returns true to go on, or false to exit with *ret_status. */
bool options_parse(int argc, char **argv, struct options *ret, int *ret_status);
void options_deinit(struct options *options);

/* Fills in the directories that were not given and makes those that are missing. */
int options_find_directories(struct options *options, struct error *error);
