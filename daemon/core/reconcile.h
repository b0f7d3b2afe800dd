/*
 * Reconcile: at start, makes registry, memory and processes agree again
 *
 * The last daemon may have been killed at any instruction. Loads the regions that are recorded, the
 * holders that still live and their stages; finishes or undoes what was half done; reaps what no
 * rule keeps any more.
 */
#pragma once

#include "daemon/core/manager.h"

/* 0, or a negative errno when the daemon cannot go on with what it has (no memory, registry unreadable). */
int reconcile(struct manager *manager, struct fdstore *fdstore, struct error *error);
