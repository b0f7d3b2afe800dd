/*
 * Measure: see measure.h.
 */
#include "tests/bench/measure.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SMOKE_ROUNDS 60u
#define NSEC_PER_SEC 1000000000u
#define NSEC_PER_USEC 1000.0

unsigned measure_rounds(void) {
    return getenv("SHMREG_TEST_LONG") ? MEASURE_ROUNDS_MAX : SMOKE_ROUNDS;
}

uint64_t now_nsec(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

void series_add(struct series *series, uint64_t nsec, unsigned operations) {
    ck_assert_uint_lt(series->count, MEASURE_ROUNDS_MAX);
    series->nsec[series->count++] = (double)nsec / operations;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(const struct series *series, double part) {
    double sorted[MEASURE_ROUNDS_MAX];

    ck_assert_uint_gt(series->count, 0);
    memcpy(sorted, series->nsec, series->count * sizeof(*sorted));
    qsort(sorted, series->count, sizeof(*sorted), compare);
    return sorted[(size_t)((double)(series->count - 1) * part)];
}

double series_median(const struct series *series) {
    return quantile(series, 0.5);
}

void print_ratio(const char *what, const struct series *baseline, const struct series *measured) {
    double base = series_median(baseline), median = series_median(measured);

    printf("%-28s %s %8.2f us, %s %8.2f us: %5.2f times\n", what, baseline->name,
           base / NSEC_PER_USEC, measured->name, median / NSEC_PER_USEC, median / base);
}

void print_spread(const char *what, const struct series *series) {
    printf("%-28s median %8.2f us, 90%% within %8.2f us, worst %8.2f us\n", what,
           series_median(series) / NSEC_PER_USEC, quantile(series, 0.9) / NSEC_PER_USEC,
           quantile(series, 1) / NSEC_PER_USEC);
}

void pin(pid_t pid, unsigned processor) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    ck_assert_int_eq(sched_setaffinity(pid, sizeof(set), &set), 0);
}

unsigned count_processors(void) {
    return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}
