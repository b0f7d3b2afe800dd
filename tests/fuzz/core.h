/*
 * Core: a manager in directories of its own, for fuzz targets
 *
 * What must not fail does not.
 */
#pragma once

#include <event2/event.h>
#include <sys/types.h>

#include "daemon/core/manager.h"
#include "tests/fuzz/place.h"

struct core {
    char directory[PLACE_MAX], runtime[80], state[80];
    struct event_base *base;
    struct config config; /* no limits, anyone creates anything */
    struct fdstore fdstore;
    struct manager *manager;
    unsigned descriptors; /* that were open before */
};

void core_init(struct core *core);
/* Fails unless all memory, every charge and every descriptor has been given back. */
void core_deinit(struct core *core);

/* What a daemon that is killed and the next one are to the core. */
void core_restart(struct core *core);

/* Everything that is due. */
void core_settle(struct core *core);

/* A process that does nothing until it is ended. */
pid_t core_spawn(void);
void core_kill(pid_t pid);
