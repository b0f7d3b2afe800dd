/*
 * Rate: how many requests there were lately
 *
 * A bucket that holds as many requests as are allowed at once, and is filled again at the rate that is
 * allowed. One number tells all of it: when it will be full.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/ground/limits.h"

struct rate {
    uint64_t full_nsec; /* CLOCK_BOOTTIME */
};

/* How long until there is a request in the bucket: 0 if there is, or if there is no limit. */
uint64_t rate_wait_nsec(const struct rate *rate, const struct limits *limits, uint64_t now_nsec);

/* Takes one, also one that is not there. */
void rate_take(struct rate *rate, const struct limits *limits, uint64_t now_nsec);

/* As many at once as the limits allow. */
uint64_t rate_burst(const struct limits *limits);
