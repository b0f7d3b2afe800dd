/*
 * Sweep: see sweep.h.
 */
#include "daemon/core/sweep.h"

#include "daemon/core/inventory.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/stage.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <string.h>

/* Of what others have made, with a line of the log each. */
#define FOREIGN_NAMED_MAX 10u

static int add_segment(struct inventory *inventory, const struct segment *segment) {
    return segment ? inventory_add(inventory, segment) : 0;
}

static int add_region(void *data, struct region *region) {
    int r = add_segment(data, region->segment);

    return r < 0 ? r : add_segment(data, region->sync_block);
}

static int add_stages(void *data, struct client *client) {
    const struct stage *stage;
    int r = 0;

    LIST_FOREACH (stage, &client->stages, link)
        if (r == 0)
            r = add_segment(data, stage->segment);
    return r;
}

/* Anybody may make as many as he likes. */
static void report_foreign(unsigned *n_foreign, const char *name) {
    if (++*n_foreign <= FOREIGN_NAMED_MAX)
        log_warning("%s is left alone: it has the name of a segment, but another type, owner or "
                    "mode",
                    name);
}

static int sweep_stray(void *data, const struct stray *stray) {
    switch (stray->kind) {
    case STRAY_DOUBTFUL:
        log_write(LOG_WARNING, ABOUT(.kind = LOG_RECORD_QUARANTINED),
                  "segment %s is left alone: its record may be in quarantine", stray->name);
        break;
    case STRAY_FOREIGN:
        report_foreign(data, stray->name);
        break;
    case STRAY_ORPHAN:
        log_write(LOG_NOTICE, ABOUT(.kind = LOG_ORPHAN_REAPED),
                  "segment %s, left over by the last daemon, removed", stray->name);
        unlinkat(stray->directory, stray->name, 0);
    }
    return 0;
}

/* A memfd that nobody took is kept by the service manager alone. */
static void sweep_fdstore(const struct inventory *inventory, const struct fdstore *fdstore) {
    for (size_t i = 0; i < fdstore->n_stored; i++) {
        const struct stored_fd *stored = &fdstore->stored[i];
        struct segment segment;

        if (stored->fd < 0 ||
            !segment_name_parse(inventory->places, BACKING_MEMFD, stored->name, &segment) ||
            inventory_is_doubtful(inventory, &segment))
            continue;
        log_write(LOG_NOTICE, ABOUT(.kind = LOG_ORPHAN_REAPED),
                  "memfd %s, left over by the last daemon, removed", stored->name);
        fdstore_drop(stored->name);
    }
}

int sweep(struct manager *manager, const struct fdstore *fdstore, struct error *error) {
    _cleanup_(inventory_deinit) struct inventory inventory = {
        .places = &manager->places,
        .volatile_registry = manager->volatile_registry,
        .durable_registry = manager->durable_registry,
    };
    unsigned n_foreign = 0;
    int r = manager_each_region(manager, add_region, &inventory);

    if (r == 0)
        r = manager_each_client(manager, add_stages, &inventory);
    if (r < 0)
        return error_set(error, r, "no memory to list the segments");
    sweep_fdstore(&inventory, fdstore);
    r = inventory_each_stray(&inventory, sweep_stray, &n_foreign, error);
    if (n_foreign > FOREIGN_NAMED_MAX)
        log_warning("and %u more objects that have names of segments",
                    n_foreign - FOREIGN_NAMED_MAX);
    return r;
}
