/*
 * Removal: segments whose names could not be removed
 *
 * A file system may refuse to take a name away, for lack of memory or because it failed. Such a
 * segment stays, and is charged, until it is gone: it is tried again after a second, and after that.
 */
#pragma once

#include <event2/event.h>

#include "proto/cleanup.h"

struct removals;
struct segment;

int removals_new(struct event_base *base, struct removals **ret);
/* What is still there is left to the sweep of the next start. */
void removals_free(struct removals *removals);

/* Tries to remove the segment's name later; keeps a reference until then. */
void removals_add(struct removals *removals, struct segment *segment);

DEFINE_CLEANUP(struct removals *, removals_free);
