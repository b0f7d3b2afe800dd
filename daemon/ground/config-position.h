/*
 * Where in a JSON text a key is
 *
 * jansson tells the line of a syntax error, but not of a value that is well-formed and wrong.
 */
#pragma once

#include <stddef.h>

/* The line of the key that @path leads to, from the outermost object inwards; of the last one that
 * is there if not all of them are. @text is valid JSON, NUL-terminated. */
unsigned config_position(const char *text, const char *const *path, size_t depth);
