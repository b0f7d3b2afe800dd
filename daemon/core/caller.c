/*
 * Caller: see caller.h.
 */
#include "daemon/core/caller.h"

#include <stdlib.h>

void caller_deinit(struct caller *caller) {
    free(caller->groups);
    caller->groups = NULL;
    caller->n_groups = 0;
    units_deinit(&caller->units);
}

bool caller_in_group(const struct caller *caller, gid_t gid) {
    if (caller->gid == gid)
        return true;
    for (size_t i = 0; i < caller->n_groups; i++)
        if (caller->groups[i] == gid)
            return true;
    return false;
}
