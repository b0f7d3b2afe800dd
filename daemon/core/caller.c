/*
 * Caller: see caller.h.
 */
#include "daemon/core/caller.h"

#include "proto/unit-pattern.h"

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

static bool is_in_unit(const struct caller *caller, const struct subject_id *subject) {
    const struct units *units = &caller->units;

    if (subject->id == UNIT_OF_SYSTEM)
        return units->system && unit_pattern_matches(subject->unit, units->system);
    /* A process that went on as another user in the unit is not that user's any more. */
    return units->user && units->owner == subject->id && caller->uid == subject->id &&
           unit_pattern_matches(subject->unit, units->user);
}

bool caller_is(const struct caller *caller, const struct subject_id *subject) {
    switch (subject->kind) {
    case SUBJECT_USER:
        return subject->id == caller->uid;
    case SUBJECT_GROUP:
        return caller_in_group(caller, subject->id);
    case SUBJECT_UNIT:
        return is_in_unit(caller, subject);
    }
    return false;
}

struct payer caller_payer(const struct caller *caller, const char *name) {
    return (struct payer){.uid = caller->uid, .unit = caller->units.name, .name = name};
}
