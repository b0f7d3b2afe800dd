/*
 * The commands: each reads its arguments, calls the daemon and prints what it says
 */
#pragma once

#include "client/ctl/ctl.h"

typedef int command_run(struct ctl *ctl, const struct invocation *invocation, struct error *error);

/* Options of a command stand in its table in this order. */
enum create_option {
    CREATE_BACKING,
    CREATE_MAX_SIZE,
    CREATE_MODE,
    CREATE_ACL,
    CREATE_ATTRIBUTES,
    CREATE_LIFETIME,
    CREATE_SECONDS,
    CREATE_SYNC_BLOCK,
    CREATE_DURABILITY,
    CREATE_HUGE_PAGES, /* not of snapshots, so the last */
};

enum fsck_option {
    FSCK_REPAIR,
    FSCK_RUNTIME_DIRECTORY,
    FSCK_STATE_DIRECTORY,
};

enum exec_option {
    EXEC_REGION,
    EXEC_SHIM,
};

enum put_option {
    PUT_MODE,
};

enum publish_option {
    PUBLISH_EXPECT,
};

command_run command_list, command_show;                                    /* command-show.c */
command_run command_create, command_destroy, command_renew;                /* command-create.c */
command_run command_snapshot, command_resize, command_seal;                /* command-create.c */
command_run command_put, command_publish, command_get;                     /* command-value.c */
command_run command_chmod, command_acl, command_attr;                      /* command-change.c */
command_run command_usage;                                                 /* command-usage.c */
command_run command_clients, command_status, command_ping, command_reload; /* command-daemon.c */
command_run command_monitor;                                               /* command-monitor.c */
command_run command_exec;                                                  /* command-exec.c */
command_run command_fsck;                                                  /* command-fsck.c */
