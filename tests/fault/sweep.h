/*
 * Sweep: which points of which operations a run tries, and what came of them
 *
 * All of them with SHMREG_TEST_LONG=1. Otherwise a sample, another one with each run: SHMREG_TEST_SEED
 * with the number that a run has printed tries the same points again.
 */
#pragma once

#include "tests/fault/operations.h"

/* One operation on one backing. */
struct sweep_case {
    const struct operation *operation;
    const char *backing;
};

/* Before the tests start, for all of them: chooses the sample. */
void sweep_begin(void);
/* The cases, by their number. */
unsigned sweep_n_cases(void);
struct sweep_case sweep_case(unsigned number);

bool sweep_is_long(void);
/* One number below @limit for each case and each run. */
unsigned sweep_choose(unsigned number, unsigned limit);

/* Notes that it is about to try this; and that a case is through. */
void sweep_try(unsigned number, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sweep_passed(unsigned number);
/* Prints "kill points: 800 tried, 0 failed", and where a case ended early. */
void sweep_print(const char *what);
