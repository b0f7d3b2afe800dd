/*
 * Manager: changes to the memory of a region's current version in place. It grows, and it is sealed.
 *
 * Whoever has it mapped goes on with the same memory: a mapping covers max_size from the start, so
 * growing moves nothing, and sealing is refused while there are writers.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/durability.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static int check_new_size(const struct region *region, uint64_t size, struct error *error) {
    const struct segment *segment = region->segment;

    if (segment->sealed)
        return error_set(error, -EPERM, "version %u of region '%s' is sealed", segment->version,
                         region->name);
    if (size < segment->size)
        return error_set(error, -EINVAL,
                         "region '%s' has %" PRIu64 " bytes and does not shrink: publish a version "
                         "of %" PRIu64 " instead",
                         region->name, segment->size, size);
    if (size > segment->max_size)
        return error_set(error, -EINVAL,
                         "region '%s' can have %" PRIu64 " bytes, its max_size: not %" PRIu64,
                         region->name, segment->max_size, size);
    return 0;
}

/* Larger memory first, then the record: a kill in between leaves zeroes that nobody knows of. */
static int grow(struct manager *manager, struct region *region, uint64_t size,
                struct error *error) {
    uint64_t old_size = region->segment->size;
    int r = segment_grow(region->segment, size, error);

    if (r < 0)
        return r;
    region->segment->size = size;
    region->segment->synced = false;
    r = durability_sync(region, region->segment, error);
    if (r == 0)
        r = manager_record_shown(manager, region, error);
    if (r < 0)
        region->segment->size = old_size;
    else
        durability_changed(region);
    return r;
}

int manager_resize(struct manager *manager, const struct caller *caller, const char *name,
                   uint64_t size, struct error *error) {
    struct region *region = NULL;
    char what[64];
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r == 0)
        r = check_new_size(region, size, error);
    if (r < 0 || size == region->segment->size)
        return r;
    r = grow(manager, region, size, error);
    if (r < 0)
        return r;
    snprintf(what, sizeof(what), "resized to %" PRIu64 " bytes", size);
    manager_announce_change(manager, region, caller, what);
    return 0;
}

/* Writers of older versions are no obstacle. */
static int check_no_writers(const struct region *region, struct error *error) {
    const struct attachment *attachment, *writer = NULL;
    unsigned writers = 0;

    LIST_FOREACH (attachment, &region->attachments, link)
        if (attachment->segment == region->segment && attachment->access == RIGHT_WRITE) {
            writer = attachment;
            writers++;
        }
    if (!writer)
        return 0;
    return error_set(error, -EBUSY,
                     "region '%s' cannot be sealed: it has %u writer%s, process %d of user %u%s",
                     region->name, writers, writers > 1 ? "s" : "", writer->client->caller.pid,
                     writer->client->caller.uid, writers > 1 ? " among them" : "");
}

static int seal_memory(const struct region *region, struct error *error) {
    int r = segment_seal(region->segment, error);

    if (r == -EBUSY)
        error_set(error, r,
                  "region '%s' cannot be sealed: somebody who was a writer has kept it mapped",
                  region->name);
    return r;
}

/* The record comes first, as nothing takes back what the kernel has sealed. After a kill in between
 * the next start seals what is recorded. */
static int seal(struct manager *manager, struct region *region, struct error *error) {
    struct error ignored;
    int r;

    region->segment->sealed = true;
    r = manager_record_move(manager, region, error);
    if (r < 0) {
        region->segment->sealed = false;
        return r;
    }
    r = seal_memory(region, error);
    if (r == 0) {
        manager_show(region);
        return 0;
    }
    region->segment->sealed = false;
    region->slot_version--;
    manager_retract(manager);
    if (manager_record(manager, region, &ignored) < 0)
        log_write(LOG_WARNING, ABOUT(.region = region->name),
                  "region '%s' stays recorded as sealed: %s", region->name, ignored.text);
    return r;
}

int manager_seal(struct manager *manager, const struct caller *caller, const char *name,
                 struct error *error) {
    struct region *region = NULL;
    int r = manager_find_with(manager, caller, name, RIGHT_MANAGE, &region, error);

    if (r < 0)
        return r;
    /* At its start the daemon may have found a memfd mapped still, which is tried again. */
    if (region->segment->sealed)
        return seal_memory(region, error);
    r = check_no_writers(region, error);
    if (r == 0)
        r = seal(manager, region, error);
    if (r == 0)
        manager_announce_change(manager, region, caller, "sealed");
    return r;
}
