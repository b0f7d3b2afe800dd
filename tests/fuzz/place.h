/*
 * Place: a directory for one input
 *
 * In memory, and where the process may, in file systems that only it sees, so an input that stops it
 * leaves nothing behind.
 */
#pragma once

#include <stddef.h>

#define PLACE_MAX 64

void place_make(char ret[static PLACE_MAX]);
/* With all that is in it. */
void place_remove(const char *place);

/* Writes a whole file. */
void place_write(const char *path, const void *data, size_t size);

/* How many entries of a directory begin so. */
unsigned count_entries(const char *directory, const char *prefix);
