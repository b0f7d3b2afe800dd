/*
 * The grammar of region names
 *
 * 1 to 200 bytes, components separated by '/', each [A-Za-z0-9_][A-Za-z0-9_.@:+-]*. So no name is
 * empty, absolute, hidden, "..", or able to break a terminal, a log line or a path.
 */
#pragma once

#define REGION_NAME_MAX 200

/* NULL for a valid name, else the sentence that says what is wrong with it (static storage). */
const char *region_name_fault(const char *name);
