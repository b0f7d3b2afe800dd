/*
 * Smaps: what the kernel says of a mapping of this process, in /proc/self/smaps (proc(5))
 */
#pragma once

#include <stdbool.h>

/* Whether VmFlags of the mapping that starts there has this flag; false if there is none. */
bool smaps_has_flag(const void *address, const char *flag);

/* A number of the mapping that starts there, sizes in kB; 0 if there is none. */
unsigned long smaps_number(const void *address, const char *name);

/* How many mappings are of files below this directory. */
unsigned smaps_count(const char *directory);
