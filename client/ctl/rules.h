/*
 * Access rules as an operator types them: lists, and changes to one rule
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "proto/error.h"

/* Appends the rules of a list with commas between to an array of strings. -EINVAL names a bad one. */
int rules_add(json_t *rules, const char *list, struct error *error);

/* Whether @list consists of changes: its first word starts with '+' or '-'. */
bool rules_is_change(const char *list);

/*
 * Changes an array of rules: "+user:alice:rw" gives these rights to that subject in addition,
 * "-user:alice:w" takes them, "-user:alice" takes all. Changes are separated by commas.
 * Returns 0; -EINVAL for what is no change; -ENOENT for a subject without a rule, of which nothing
 * can be taken; -ENOMEM.
 */
int rules_change(json_t *rules, const char *changes, struct error *error);
