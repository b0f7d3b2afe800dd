/*
 * Measure: rounds of the same work done in different ways, and what they cost
 *
 * Machines are noisy, so ways are compared within one run, round by round in turn, on the same
 * processors, by their medians. A smoke run makes few rounds; SHMREG_TEST_LONG=1 makes many.
 */
#pragma once

#include <check.h>
#include <stdint.h>
#include <sys/types.h>

#define MEASURE_ROUNDS_MAX 4000u

/* What one way took in each round, in nanoseconds of one operation. */
struct series {
    const char *name;
    unsigned count;
    double nsec[MEASURE_ROUNDS_MAX];
};

/* An assertion inside a timed part: one of check's own writes to a file each time it holds. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("not true: %s", #condition);                                              \
    } while (0)

unsigned measure_rounds(void);
uint64_t now_nsec(void);

/* One round in which so many operations took so long. */
void series_add(struct series *series, uint64_t nsec, unsigned operations);
double series_median(const struct series *series);

/* A line with medians in microseconds and how many times the first the second is. */
void print_ratio(const char *what, const struct series *baseline, const struct series *measured);
/* A line with median, 90th percentile and worst. */
void print_spread(const char *what, const struct series *series);

/* Keeps a process (0: this one) on one processor. */
void pin(pid_t pid, unsigned processor);
unsigned count_processors(void);
