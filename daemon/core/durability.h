/*
 * Durability: when the content of a file region is on disk
 *
 * `publish`: a version is on disk before it is visible. `interval`: it is synced so many seconds
 * after a change, by a worker, and again while there are writers; a region that nobody writes to
 * has no timer. `none`: whenever the kernel comes to it. The name is on disk before the record in
 * any case, so what a power cut can take is content alone.
 */
#pragma once

#include "daemon/core/manager.h"

/* -EINVAL with a sentence if a region of that backing cannot be so. */
int durability_check(const struct region_spec *spec, enum backing backing, struct error *error);

/* What a region of that spec and backing has. */
enum durability durability_of(const struct region_spec *spec, enum backing backing);

/* Puts on disk what has to be there before the segment is the region's current version. */
int durability_sync(const struct region *region, const struct segment *segment,
                    struct error *error);

/* The content has changed, or a writer came who may change it. */
void durability_changed(struct region *region);
void durability_stop(struct region *region);
