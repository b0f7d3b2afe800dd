/*
 * Subject: whom a rule means
 *
 * "user:alice", "group:quants", "unit:nginx.service", with its name looked up, so that matching
 * asks nobody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/rights.h"

struct subject_id {
    enum subject kind;
    uint32_t id; /* uid, gid, or whose service manager has the unit (UNIT_OF_SYSTEM) */
    char *unit;  /* pattern, for units only */
};

/* Looks up the name, as proto/rights.h parses it. Returns 0, -ENOENT when nobody is called so, or
 * -ENOMEM. subject_deinit() frees what @ret points to. */
int subject_init(struct subject_id *ret, enum subject kind, const char *name);
void subject_deinit(struct subject_id *subject);

/* "user" for SUBJECT_USER: what is missing when nobody is called so. */
const char *subject_word(enum subject kind);
