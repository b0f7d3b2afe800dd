/*
 * The keys of a configuration file
 */
#pragma once

#include "daemon/ground/config.h"

/* A limit that no file has set yet; config_load() resolves it. */
#define LIMIT_UNSET (LIMIT_NONE - 1)

/* Applies one file's text to @config. Returns 0, or -EINVAL with "FILE:LINE: KEY: what is wrong". */
int config_parse(struct config *config, const char *file, const char *text, struct error *error);

/* Sets every limit to LIMIT_UNSET. */
void limits_unset(struct limits *limits);

/* After the last file: gives every limit that none has set the value that holds then. */
void config_resolve_limits(struct config *config);
