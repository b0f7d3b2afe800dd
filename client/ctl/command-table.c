/*
 * The table of commands
 */
#include "client/ctl/commands.h"

/* Options that two commands share. */
#define MODE                                                                                       \
    { "mode", "MODE", "octal rights (default: 0600)" }
#define ACL                                                                                        \
    { "acl", "RULE,...", "access rules: user:alice:rw, group:staff:r, unit:nginx.service:r" }
#define ATTRIBUTES                                                                                 \
    { "attributes", "JSON", "an object of up to 4 KiB" }
#define LIFETIME                                                                                   \
    { "lifetime", "RULE", "persistent, attached, lease or cache (default: persistent)" }
#define SECONDS                                                                                    \
    { "seconds", "TIME", "duration of a lease, linger of attached (90, 5m, 3h, 2d)" }
#define SYNC_BLOCK                                                                                 \
    { "sync-block", NULL, "with a lock, a sequence and an event" }
#define DURABILITY                                                                                 \
    { "durability", "RULE", "of a file: none, interval:TIME or publish (default)" }

const struct command commands[] = {
    {
        .name = "list",
        .arguments = "[PREFIX]",
        .summary = "List the regions you have any right to",
        .help =
            "With PREFIX, those whose name starts so. '+' after a mode: there are access rules.",
        .max_arguments = 1,
        .run = command_list,
    },
    {
        .name = "show",
        .arguments = "NAME",
        .summary = "Show a region and who holds it",
        .min_arguments = 1,
        .max_arguments = 1,
        .run = command_show,
    },
    {
        .name = "create",
        .arguments = "NAME SIZE",
        .summary = "Create a region of zeroes",
        .help = "SIZE is in bytes, or with K, M, G, T (or KiB, MiB...) in powers of 1024.",
        .min_arguments = 2,
        .max_arguments = 2,
        .options =
            {
                [CREATE_BACKING] = {"backing", "KIND",
                                    "shm, memfd or file (default: as configured)"},
                [CREATE_MAX_SIZE] = {"max-size", "SIZE", "size it may grow to (default: SIZE)"},
                [CREATE_MODE] = MODE,
                [CREATE_ACL] = ACL,
                [CREATE_ATTRIBUTES] = ATTRIBUTES,
                [CREATE_LIFETIME] = LIFETIME,
                [CREATE_SECONDS] = SECONDS,
                [CREATE_SYNC_BLOCK] = SYNC_BLOCK,
                [CREATE_DURABILITY] = DURABILITY,
                [CREATE_HUGE_PAGES] = {"huge-pages", "SIZE", "a memfd of huge pages, 2M or 1G"},
            },
        .run = command_create,
    },
    {
        .name = "snapshot",
        .arguments = "SOURCE NAME",
        .summary = "Create a region with the present content of another",
        .help = "Rights, lifetime and attributes are those of a new region, not the source's. If\n"
                "somebody writes meanwhile, the content is not that of one moment.",
        .min_arguments = 2,
        .max_arguments = 2,
        .options =
            {
                [CREATE_BACKING] = {"backing", "KIND",
                                    "shm, memfd or file (default: the source's)"},
                [CREATE_MAX_SIZE] = {"max-size", "SIZE",
                                     "size it may grow to (default: the source's)"},
                [CREATE_MODE] = MODE,
                [CREATE_ACL] = ACL,
                [CREATE_ATTRIBUTES] = ATTRIBUTES,
                [CREATE_LIFETIME] = LIFETIME,
                [CREATE_SECONDS] = SECONDS,
                [CREATE_SYNC_BLOCK] = SYNC_BLOCK,
                [CREATE_DURABILITY] = DURABILITY,
            },
        .run = command_snapshot,
    },
    {
        .name = "destroy",
        .arguments = "NAME...",
        .summary = "End regions",
        .help = "The names are free at once; whoever has the memory mapped keeps it.",
        .min_arguments = 1,
        .max_arguments = ARGUMENTS_UNLIMITED,
        .run = command_destroy,
    },
    {
        .name = "put",
        .arguments = "NAME < FILE",
        .summary = "Make standard input the content of a region",
        .help = "The region is created if it is not there; otherwise it gets a new version in one\n"
                "step.",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = {[PUT_MODE] = {"mode", "MODE", "octal rights of a new region (default: 0600)"}},
        .run = command_put,
    },
    {
        .name = "publish",
        .arguments = "NAME < FILE",
        .summary = "Replace the content of a region by standard input",
        .help =
            "As put, but the region has to exist. Prints the version that the content has become.",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = {[PUBLISH_EXPECT] = {"expect", "VERSION",
                                        "fail if the region is at another version than this"}},
        .run = command_publish,
    },
    {
        .name = "get",
        .arguments = "NAME > FILE",
        .summary = "Write the content of a region to standard output",
        .min_arguments = 1,
        .max_arguments = 1,
        .run = command_get,
    },
    {
        .name = "chmod",
        .arguments = "MODE NAME...",
        .summary = "Change the mode of regions",
        .help = "MODE is octal, with read and write for owner, group and others, such as 0640.",
        .min_arguments = 2,
        .max_arguments = ARGUMENTS_UNLIMITED,
        .run = command_chmod,
    },
    {
        .name = "acl",
        .arguments = "NAME [RULE...]",
        .summary = "Show or change access rules",
        .help = "  acl NAME                     show the rules\n"
                "  acl NAME user:alice:rw,...   make these the rules; '' for none\n"
                "  acl NAME +group:staff:r      give rights in addition\n"
                "  acl NAME +unit:nginx.service:r    the same to a systemd unit\n"
                "  acl NAME -user:alice:w       take rights\n"
                "  acl NAME -user:alice         take all rights\n\n"
                "Rights are r (map read-only), w (map writable) and m (manage).",
        .min_arguments = 1,
        .max_arguments = ARGUMENTS_UNLIMITED,
        .run = command_acl,
    },
    {
        .name = "attr",
        .arguments = "NAME [ATTRIBUTE...]",
        .summary = "Show or change attributes",
        .help = "  attr NAME                    show them\n"
                "  attr NAME '{\"dtype\": \"<f4\"}' make these the attributes\n"
                "  attr NAME KEY=VALUE...       set keys; KEY= removes one\n\n"
                "A VALUE that is JSON is taken as such (42, true, [3,4]), any other as a string.",
        .min_arguments = 1,
        .max_arguments = ARGUMENTS_UNLIMITED,
        .run = command_attr,
    },
    {
        .name = "resize",
        .arguments = "NAME SIZE",
        .summary = "Let a region grow in place",
        .help =
            "SIZE is at most the max-size it was created with. Nobody's mapping moves. A region\n"
            "shrinks only by publish of a smaller version.",
        .min_arguments = 2,
        .max_arguments = 2,
        .run = command_resize,
    },
    {
        .name = "seal",
        .arguments = "NAME...",
        .summary = "Let nobody write to the present version of regions any more",
        .help = "Refused while there are writers. The next version is not sealed.",
        .min_arguments = 1,
        .max_arguments = ARGUMENTS_UNLIMITED,
        .run = command_seal,
    },
    {
        .name = "renew",
        .arguments = "NAME [TIME]",
        .summary = "Let a lease run on, from now",
        .help = "TIME is in seconds, or with m, h, d; without it, the duration the lease has.",
        .min_arguments = 1,
        .max_arguments = 2,
        .run = command_renew,
    },
    {
        .name = "clients",
        .arguments = "",
        .summary = "List the programs that are connected",
        .help =
            "Administrators see all, others those of their own user. 'away': not back since the\n"
            "daemon was restarted.",
        .run = command_clients,
    },
    {
        .name = "status",
        .arguments = "",
        .summary = "Show the daemon and the use of its limits",
        .run = command_status,
    },
    {
        .name = "usage",
        .arguments = "",
        .summary = "Show who uses how much of which limits",
        .help =
            "Administrators see all users, units and namespaces, others the total, their own user\n"
            "and their own unit.",
        .run = command_usage,
    },
    {
        .name = "ping",
        .arguments = "",
        .summary = "Ask the daemon for an answer",
        .run = command_ping,
    },
    {
        .name = "reload",
        .arguments = "",
        .summary = "Make the daemon read its configuration again",
        .help = "A mistake in it is reported, and the old configuration stays in force. What could "
                "not\n"
                "be done for the regions that it declares is reported, too.",
        .run = command_reload,
    },
    {
        .name = "monitor",
        .arguments = "",
        .summary = "Print what happens to regions, until interrupted",
        .help =
            "It waits for a daemon that is away, and says that it may have missed something.\n"
            "Where a service manager listens for the daemon it ends: to connect would start it.",
        .run = command_monitor,
    },
    {
        .name = "exec",
        .arguments = "-- COMMAND [ARGUMENT...]",
        .summary = "Run a program with regions as open descriptors",
        .help =
            "The regions are also paths, in the program's environment: SHMREG_FD_NAME, with _ for\n"
            "what is no letter or digit of the name, is /proc/self/fd/FD. They are held until the\n"
            "program ends; its exit status is passed on. The socket is that of SHMREG_SOCKET.",
        .min_arguments = 1,
        .max_arguments = ARGUMENTS_UNLIMITED,
        .options =
            {
                [EXEC_REGION] = {"region", "NAME[:rw]=FD",
                                 "open this region, for reading or both; may be repeated", true},
                [EXEC_SHIM] = {"shim", NULL, "let its shm_open() make regions"},
            },
        .run = command_exec,
    },
    {
        .name = "fsck",
        .arguments = "",
        .summary = "Check what a daemon that does not run has on disk and in memory",
        .help =
            "Writes nothing without --repair. Ends with 0 if nothing is wrong, 1 if something is\n"
            "or was, 2 if it could not check. shmreg-fsck(8) explains what it reports.",
        .options =
            {
                [FSCK_REPAIR] = {"repair", NULL, "do what the daemon would do at its start"},
                [FSCK_RUNTIME_DIRECTORY] = {"runtime-directory", "DIR", "as the daemon's"},
                [FSCK_STATE_DIRECTORY] = {"state-directory", "DIR", "as the daemon's"},
            },
        .run = command_fsck,
    },
    {0},
};
