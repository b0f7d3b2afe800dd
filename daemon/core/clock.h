/*
 * The two clocks: boot time for deadlines (it counts suspended time, too, and nobody can set it),
 * real time for what people read. Microseconds.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC 1000000u

static inline uint64_t clock_usec(clockid_t clock) {
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t boottime_usec(void) {
    return clock_usec(CLOCK_BOOTTIME);
}

static inline uint64_t boottime_nsec(void) {
    return boottime_usec() * 1000;
}

static inline int64_t realtime_usec(void) {
    return (int64_t)clock_usec(CLOCK_REALTIME);
}
