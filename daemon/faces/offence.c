/*
 * Offence: see offence.h.
 */
#include "daemon/faces/offence.h"

#include "daemon/core/clock.h"
#include "daemon/ground/log.h"

#include <stdio.h>
#include <time.h>

#define LINES_PER_PERIOD 10u
#define PERIOD_USEC (10 * USEC_PER_SEC)

/* The user's entry, or the one that has waited longest for another. */
static struct offence_source *find_source(struct offence_log *log, uid_t uid) {
    struct offence_source *oldest = &log->sources[0];

    for (unsigned i = 0; i < OFFENCE_SOURCES; i++) {
        struct offence_source *source = &log->sources[i];

        if (source->until_usec != 0 && source->uid == uid)
            return source;
        if (source->until_usec < oldest->until_usec)
            oldest = source;
    }
    *oldest = (struct offence_source){.uid = uid};
    return oldest;
}

void offence_report(struct offence_log *log, const struct caller *caller, const char *why) {
    struct offence_source *source = find_source(log, caller->uid);
    uint64_t now = clock_usec(CLOCK_MONOTONIC);
    char others[64] = "";

    if (source->until_usec <= now) {
        source->until_usec = now + PERIOD_USEC;
        source->lines = 0;
    }
    if (source->lines == LINES_PER_PERIOD) {
        source->left_out++;
        return;
    }
    source->lines++;
    if (source->left_out > 0)
        snprintf(others, sizeof(others), " (and %u more of this user meanwhile)", source->left_out);
    source->left_out = 0;
    log_write(
        LOG_WARNING,
        ABOUT(.kind = LOG_CLIENT_CUT_OFF, .client_pid = caller->pid, .client_uid = caller->uid),
        "process %d of user %u is cut off: %s%s", caller->pid, caller->uid, why, others);
}
