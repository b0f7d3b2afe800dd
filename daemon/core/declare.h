/*
 * Declarations: the regions that files in regions.d declare, made and kept as they say
 *
 * A region remembers the declaration that was applied to it last. With every start and reload, what
 * its file says now is compared with that, key by key: what differs is applied, what its users have
 * changed since stays. What cannot be applied without harm to those who use the region is a problem,
 * which is logged and can be asked for, and nothing more; the next reload tries it again.
 */
#pragma once

#include "daemon/core/manager.h"

struct declarations;

/* 0 if every declared region can be as its file says; else -EINVAL with file and line. */
int declare_check(const struct config *config, struct error *error);

int declarations_new(struct manager *manager, struct declarations **ret, struct error *error);
/* Content that is still being loaded is given up. */
void declarations_free(struct declarations *declarations);
DEFINE_CLEANUP(struct declarations *, declarations_free);

/* Makes regions be as the manager's configuration declares them. All but content is done when it
 * returns: that is loaded by workers, and becomes a version of its region in one step. */
void declarations_apply(struct declarations *declarations);

/* Files that are still being loaded. */
unsigned declarations_n_loading(const struct declarations *declarations);

/* Whoever waits until they are loaded, or have become a problem, or too long. */
struct declare_waiter {
    void (*ended)(struct declare_waiter *waiter); /* once, from the loop */
    struct event *timer;                          /* while it waits */
    LIST_ENTRY(declare_waiter) link;
};

/* 0 or -ENOMEM; after that declare_waiter_stop() is still to be called, which may be done at any time. */
int declarations_await(struct declarations *declarations, struct declare_waiter *waiter);
void declare_waiter_stop(struct declare_waiter *waiter);

/* Calls @each with a sentence for each problem, beginning with file and line. */
void declarations_each_problem(const struct declarations *declarations,
                               void (*each)(void *data, const char *problem), void *data);
