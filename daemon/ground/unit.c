/*
 * Unit: see unit.h.
 */
#include "daemon/ground/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-login.h>

static bool is_shortage(int r) {
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static int set_name(struct units *units) {
    if (units->user && asprintf(&units->name, "%u/%s", units->owner, units->user) < 0)
        units->name = NULL;
    else if (!units->user && units->system)
        units->name = strdup(units->system);
    return units->system && !units->name ? -ENOMEM : 0;
}

int units_of_process(pid_t pid, struct units *ret) {
    struct units units = {.owner = UNIT_OF_SYSTEM};
    int r = sd_pid_get_unit(pid, &units.system);

    /* Only below a unit user@UID.service are there others. */
    if (r >= 0 && strncmp(units.system, "user@", 5) == 0)
        r = sd_pid_get_user_unit(pid, &units.user);
    if (r >= 0 && units.user)
        r = sd_pid_get_owner_uid(pid, &units.owner);
    if (!is_shortage(r))
        r = set_name(&units);
    if (is_shortage(r)) {
        units_deinit(&units);
        return r;
    }
    *ret = units;
    return 0;
}

void units_deinit(struct units *units) {
    free(units->system);
    free(units->user);
    free(units->name);
    *units = (struct units){.owner = UNIT_OF_SYSTEM};
}
