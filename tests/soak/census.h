/*
 * Census: what a daemon has when it should have nothing
 *
 * Taken from outside, in /proc and in its directories, and from what it says itself. It is idle:
 * no region, no client.
 */
#pragma once

#include "tests/support/daemon.h"

struct census {
    unsigned descriptors;
    unsigned mappings;      /* of a file, a segment or other shared memory */
    unsigned long resident; /* kB */
};

/* Waits until no region, segment, attachment and byte is left, and counts. */
struct census census_take(const struct test_daemon *daemon);

/* Records left in the registries of a daemon that does not run any more. */
unsigned census_records(const struct test_daemon *daemon);
