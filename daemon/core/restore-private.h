/*
 * What the files that restore share: records that are not kept.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "daemon/core/restore.h"
#include "daemon/ground/registry.h"

/* They are collected: a registry is not changed while it is walked. */
struct casualty {
    STAILQ_ENTRY(casualty) link;
    bool quarantine; /* set aside; else deleted */
    char *key;
    struct error why;
};

struct restorer {
    struct manager *manager;
    struct fdstore *fdstore;
    struct error failure; /* why the start is given up, where there is a sentence */
    STAILQ_HEAD(, casualty) casualties;
};

/* 0 or -ENOMEM. */
int restore_add_casualty(struct restorer *restorer, const char *key, bool quarantine,
                         const struct error *why);
void restore_settle_casualties(struct restorer *restorer, struct registry *registry,
                               enum registry_table table);

/* The client of a process that lives, as it was before the restart. */
int restore_client(struct manager *manager, uid_t uid, uint64_t client_id,
                   const struct process_identity *process, struct client **ret);
