/*
 * Reaper: ends regions when the rule that keeps them does
 *
 * `attached`: a clock runs while nothing is attached. `lease`: a clock runs from each renewal.
 * `owner`: the owner's process is watched. Nothing is polled: an idle daemon sleeps. `cache`: see
 * cache.h.
 */
#pragma once

#include "daemon/core/region.h"
#include "proto/error.h"

/* Starts what the region's lifetime asks for. For `owner`, @owner is the process; a lease goes on
 * to the region's deadline if it has one. */
int reaper_start(struct region *region, struct process *owner, struct error *error);
void reaper_stop(struct region *region);

/* The region's attachments have become more or fewer. */
void reaper_attachments_changed(struct region *region);

/* A lease was given another deadline. */
void reaper_deadline_changed(struct region *region);
