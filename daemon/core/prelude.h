/*
 * Prelude: what happened to regions while the manager was made, before anybody could observe it
 *
 * Whoever has watched the last daemon, and goes on with this one, is told of it.
 */
#pragma once

#include <sys/queue.h>

#include "daemon/core/manager.h"

struct prelude_event;

struct prelude {
    STAILQ_HEAD(, prelude_event) events;
    unsigned n_events;
    bool open;     /* what happens now belongs to it */
    bool has_gaps; /* there was no room for everything */
};

void prelude_init(struct prelude *prelude);
void prelude_add(struct prelude *prelude, enum region_event event, const struct region *region,
                 const char *reason);
void prelude_deinit(struct prelude *prelude);
