/*
 * Manager: new content for a region, as a new version that replaces the old one in one step.
 *
 * The order is what makes it safe to be killed anywhere: the new segment is complete and has its
 * name before the record points to it, and the old one loses its name only afterwards. What a kill
 * leaves behind is a segment without a record, which the next start removes.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/clock.h"
#include "daemon/core/reaper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct stage {
    struct manager *manager;
    char *name;
    uint64_t region_id; /* of the region it is for; 0 if there is none yet */
    uint32_t mode;
    struct segment *segment;
};

static int stage_segment(struct manager *manager, const struct caller *caller,
                         const struct region *region, uint64_t size, struct segment **ret,
                         struct error *error) {
    uint64_t id, max_size = size;
    int r = manager_next_id(manager, &id, error);

    if (r < 0)
        return r;
    if (!region)
        return manager_new_segment(manager, caller->uid, manager->config->default_backing, id, 1,
                                   size, max_size, ret, error);
    if (region->segment->max_size > max_size)
        max_size = region->segment->max_size;
    return manager_new_segment(manager, region->access.owner_uid, region->segment->backing, id, 1,
                               size, max_size, ret, error);
}

int manager_stage(struct manager *manager, const struct caller *caller, const char *name,
                  uint64_t size, uint32_t mode, struct stage **ret, struct error *error) {
    _cleanup_(cleanup_stage_free) struct stage *stage = calloc(1, sizeof(*stage));
    struct region *region = NULL;
    int r = manager_find_with(manager, caller, name, RIGHT_WRITE, &region, error);

    if (r < 0 && r != -ENOENT)
        return r;
    if (size == 0 || size > INT64_MAX)
        return error_set(error, -EINVAL, "region '%s': a value of %" PRIu64 " bytes", name, size);
    if (!stage || !(stage->name = strdup(name)))
        return error_set(error, -ENOMEM, "no memory for a stage");
    stage->manager = manager;
    stage->mode = mode;
    stage->region_id = region ? region->id : 0;
    r = stage_segment(manager, caller, region, size, &stage->segment, error);
    if (r < 0)
        return r;
    *ret = steal_pointer(stage);
    return 0;
}

int stage_write(struct stage *stage, uint64_t offset, const void *data, size_t size,
                struct error *error) {
    if (offset > stage->segment->size || size > stage->segment->size - offset)
        return error_set(error, -EINVAL, "bytes past the %" PRIu64 " that were announced for '%s'",
                         stage->segment->size, stage->name);
    return segment_write(stage->segment, offset, data, size, error);
}

void stage_free(struct stage *stage) {
    if (stage->segment) {
        segment_remove(stage->segment);
        segment_unref(stage->segment);
    }
    free(stage->name);
    free(stage);
}

static int publish_new_region(struct manager *manager, const struct caller *caller,
                              struct stage *stage, struct error *error) {
    struct region_spec spec = {
        .name = stage->name,
        .mode = stage->mode,
        .acl = "",
        .attributes = "",
    };
    struct region *region;
    int r = manager_new_region(manager, caller, &spec, &region, error);

    if (r < 0)
        return r;
    region->segment = steal_pointer(stage->segment);
    r = segment_rename(region->segment, region->id, 1, error);
    if (r == 0)
        r = manager_install(manager, region, NULL, error);
    if (r < 0)
        manager_discard_region(region);
    return r;
}

static int publish_version(struct manager *manager, struct region *region, struct stage *stage,
                           struct error *error) {
    struct segment *old = region->segment;
    int64_t old_changed_usec = region->changed_usec;
    int r = segment_rename(stage->segment, region->id, old->version + 1, error);

    if (r == 0)
        r = segment_sync(stage->segment, error);
    if (r < 0)
        return r;
    region->segment = stage->segment;
    region->changed_usec = realtime_usec();
    r = manager_record(manager, region, error);
    if (r < 0) {
        region->segment = old;
        region->changed_usec = old_changed_usec;
        return r;
    }
    stage->segment = NULL;
    segment_remove(old);
    segment_unref(old);
    status_slot_change(manager->status, region->slot, SLOT_LIVE);
    manager_notify(manager, REGION_PUBLISHED, region, "published");
    return 0;
}

int manager_publish(struct manager *manager, const struct caller *caller, struct stage *stage_,
                    uint32_t *ret_version, struct error *error) {
    _cleanup_(cleanup_stage_free) struct stage *stage = stage_;
    struct region *region = NULL;
    int r = manager_find_with(manager, caller, stage->name, RIGHT_WRITE, &region, error);

    if (r < 0 && r != -ENOENT)
        return r;
    if ((region ? region->id : 0) != stage->region_id)
        return error_set(error, -ESTALE, "region '%s' was %s meanwhile", stage->name,
                         region ? "created" : "destroyed");
    r = region ? publish_version(manager, region, stage, error)
               : publish_new_region(manager, caller, stage, error);
    if (r == 0)
        *ret_version = region ? region->segment->version : 1;
    return r;
}

int manager_put(struct manager *manager, const struct caller *caller, const char *name,
                const void *data, size_t size, uint32_t mode, uint32_t *ret_version,
                struct error *error) {
    _cleanup_(cleanup_stage_free) struct stage *stage = NULL;
    int r = manager_stage(manager, caller, name, size, mode, &stage, error);

    if (r == 0)
        r = stage_write(stage, 0, data, size, error);
    if (r < 0)
        return r;
    return manager_publish(manager, caller, steal_pointer(stage), ret_version, error);
}

int manager_read(struct manager *manager, const struct caller *caller, const char *name,
                 struct segment **ret, struct error *error) {
    struct region *region;
    int r = manager_find_with(manager, caller, name, RIGHT_READ, &region, error);

    if (r == 0)
        *ret = segment_ref(region->segment);
    return r;
}
