/*
 * Thrash: real memory pressure, in a corner
 *
 * A process in a control group with less memory than it reads, so that it has to wait for memory: some
 * milliseconds in each second, which a test can hear of and daemons of other tests do not care about.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct thrash {
    pid_t pid;
    char group[96];
};

/* False where the kernel does not tell of pressure, or no such group can be made. */
bool thrash_start(struct thrash *ret);
/* Ends it, and removes the group. */
void thrash_stop(struct thrash *thrash);
