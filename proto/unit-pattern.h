/*
 * The grammar of units in access rules
 *
 * "nginx.service" is a unit of the system's service manager, "alice/sync.service" one of the
 * service manager of user alice, and an asterisk in place of the instance, "worker@*.service",
 * stands for every instance of a template. Only services and scopes have processes, so only they
 * can be named.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define UNIT_NAME_MAX 256 /* bytes of a unit's name with its end, as systemd has it */

/* Whether the @length bytes are a unit or a template, perhaps with a user before. */
bool unit_pattern_is_valid(const char *text, size_t length);

/* The unit in a valid pattern: what follows "alice/". */
const char *unit_pattern_unit(const char *pattern);

/* Whether the unit is what the pattern (without a user) names. */
bool unit_pattern_matches(const char *pattern, const char *unit);
