/*
 * Directories: where a daemon keeps what it has, unless it is told
 */
#pragma once

#include <stdbool.h>

#include "proto/error.h"

/* Fills in those that are NULL: as the service manager says, else the system's or the calling user's.
 * They are the caller's to free, also on error. */
int directories_find(bool per_user, char **runtime, char **state, struct error *error);
