/*
 * What the files that write and read records share.
 */
#pragma once

#include <stdbool.h>

#include "daemon/core/record.h"

/* The key of what belongs to a client. */
void client_record_key(uint64_t client_id, uint64_t id, char ret[static RECORD_KEY_MAX]);

#define INTEGER(value) ((json_int_t)(value))

/* Whether a number of a record fits where it belongs. */
static inline bool in_range(json_int_t value, json_int_t least, json_int_t most) {
    return value >= least && value <= most;
}
