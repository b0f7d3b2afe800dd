/*
 * Rate: see rate.h.
 */
#include "daemon/core/rate.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

uint64_t rate_burst(const struct limits *limits) {
    return limits->burst ? limits->burst : limits->rate;
}

/* What one request takes to come back. */
static uint64_t cost(const struct limits *limits) {
    return NSEC_PER_SEC / limits->rate;
}

uint64_t rate_wait_nsec(const struct rate *rate, const struct limits *limits, uint64_t now_nsec) {
    uint64_t ahead;

    if (limits->rate == 0)
        return 0;
    ahead = now_nsec + (rate_burst(limits) - 1) * cost(limits);
    return rate->full_nsec > ahead ? rate->full_nsec - ahead : 0;
}

void rate_take(struct rate *rate, const struct limits *limits, uint64_t now_nsec) {
    uint64_t emptied = now_nsec + rate_burst(limits) * cost(limits);

    if (rate->full_nsec < now_nsec)
        rate->full_nsec = now_nsec;
    rate->full_nsec += cost(limits);
    if (rate->full_nsec > emptied)
        rate->full_nsec = emptied;
}
