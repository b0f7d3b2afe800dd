/*
 * Offence: the log of who is cut off, and why
 *
 * One line for each, with process and user, as long as they are few. A user who has had his share of
 * lines is counted instead, and the next line about him says how many there were: nobody fills the
 * log by connecting again and again.
 */
#pragma once

#include <stdint.h>

#include "daemon/core/caller.h"

#define OFFENCE_SOURCES 32u

struct offence_source {
    uid_t uid;
    unsigned lines;      /* in its present period */
    unsigned left_out;   /* since the last line */
    uint64_t until_usec; /* the period ends; 0: the entry is free */
};

/* All zeroes at first. */
struct offence_log {
    struct offence_source sources[OFFENCE_SOURCES];
};

/* Logs that the caller is cut off for that reason: "a message that is not JSON". */
void offence_report(struct offence_log *log, const struct caller *caller, const char *why);
