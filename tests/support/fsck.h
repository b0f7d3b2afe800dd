/*
 * Fsck: the checker, run over the directories of a test's daemon
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "tests/support/daemon.h"

struct fsck {
    int status;     /* what it ended with */
    json_t *report; /* NULL if it printed none */
    char *printed;  /* all of it */
};

/* Runs shmreg-fsck ($SHMREG_FSCK), read-only or with --repair. */
struct fsck fsck_run(const struct test_daemon *daemon, bool repair);
void fsck_deinit(struct fsck *fsck);

/* How many findings are of that kind ("segment-orphan"). */
unsigned fsck_count(const struct fsck *fsck, const char *kind);

/* Fails unless the checker finds nothing wrong. The daemon must not run. */
void expect_sound(const struct test_daemon *daemon);
