/*
 * Unit: which service a process belongs to
 *
 * The control group of a process names its unit (systemd.slice(5)): one of the system's service
 * manager, and within a user's session perhaps one of that user's own.
 */
#pragma once

#include <sys/types.h>

#define UNIT_OF_SYSTEM ((uid_t)-1) /* in place of the user whose service manager it is */

struct units {
    char *system; /* NULL for none */
    char *user;   /* NULL for none */
    uid_t owner;  /* of the service manager that `user` is a unit of */
    char *name;   /* of the innermost, "nginx.service" or "20001/sync.service"; NULL for none */
};

/* Reads /proc/PID/cgroup. A process that has ended, or belongs to no unit, has none. 0, -ENOMEM,
 * -EMFILE or -ENFILE. */
int units_of_process(pid_t pid, struct units *ret);
void units_deinit(struct units *units);
