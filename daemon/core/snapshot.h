/*
 * Snapshot: a new region with the present content of another
 *
 * The content is copied by a worker, so nobody waits for it but who asked. Till it is whole, the
 * new region has its charges and its segment, but no record and no name: a daemon killed meanwhile
 * leaves a segment that the next start removes, and whoever takes the name first has it.
 *
 * The copy is of one moment only if nobody writes meanwhile: writers keep away, or the source is
 * sealed.
 */
#pragma once

#include "daemon/core/manager.h"

struct snapshot;

/* Who is told, from the loop, until it has ended or was cancelled. */
struct snapshot_listener {
    void (*progress)(void *data, uint64_t done, uint64_t total); /* bytes, from time to time */
    /* @region is NULL if there is none, with the reason in @error; the snapshot is gone. */
    void (*ended)(void *data, struct region *region, const struct error *error);
    void *data;
};

/*
 * Begins a snapshot of the region @source. Of the @spec, size, max_size and backing may be 0: as
 * the source. @client as for manager_create(). Needs the right to read the source. If the same tag
 * made it before, *ret becomes NULL and *ret_region that region.
 */
int manager_snapshot(struct manager *manager, const struct caller *caller, struct client *client,
                     const char *source, const struct region_spec *spec,
                     const struct snapshot_listener *listener, struct snapshot **ret,
                     struct region **ret_region, struct error *error);

/* Nothing of it will be left, and nobody is told. */
void snapshot_cancel(struct snapshot *snapshot);
