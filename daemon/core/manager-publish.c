/*
 * Manager: new content for a region, as a new version that replaces the old one in one step.
 *
 * The order is what makes it safe to be killed anywhere: the new segment is complete and has its
 * name before the region's record points to it, and the old one loses its name only afterwards. The
 * record of the hold that a client's stage becomes is written before the region's too: without that
 * it is of a version that does not exist yet, which the next start sees, and gives the stage back.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/attachment.h"
#include "daemon/core/cache.h"
#include "daemon/core/clock.h"
#include "daemon/core/durability.h"
#include "daemon/core/reaper.h"
#include "daemon/core/stage.h"
#include "daemon/core/sync-block.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <inttypes.h>

/* The region that the stage is for, NULL if it makes one, as long as it may become its version. */
static int find_target(const struct stage *stage, const struct caller *caller,
                       uint32_t expected_version, struct region **ret, struct error *error) {
    uint32_t rights = stage->client ? RIGHT_READ | RIGHT_WRITE : RIGHT_WRITE;
    const char *name = stage->spec.name;
    struct region *region = NULL;
    int r;

    if (*stage->spec.attributes)
        rights |= RIGHT_MANAGE;
    r = manager_find_with(stage->manager, caller, name, rights, &region, error);
    if (r < 0 && r != -ENOENT)
        return r;
    if ((region ? region->id : 0) != stage->region_id)
        return error_set(error, -ESTALE, "region '%s' was %s meanwhile", name,
                         region ? "created" : "destroyed");
    if (!region && expected_version != 0)
        return error_set(error, -ESTALE, "there is no region '%s', so it is not at version %u",
                         name, expected_version);
    if (expected_version != 0 && region->segment->version != expected_version)
        return error_set(error, -ESTALE, "region '%s' is at version %u, not %u", name,
                         region->segment->version, expected_version);
    *ret = region;
    return 0;
}

/* What a client's stage becomes, with the descriptor that comes along. */
struct hold {
    struct attachment *attachment;
    int sync_block_fd;
};

static int take_hold(const struct stage *stage, struct region *region, struct hold *hold,
                     struct error *error) {
    int r;

    if (!stage->client)
        return 0;
    r = sync_block_open(region, RIGHT_WRITE, &hold->sync_block_fd, error);
    if (r < 0)
        return r;
    /* The stage's own charge moves with the commit. */
    r = attachment_new(stage->id, stage->client, region, stage->segment, RIGHT_WRITE, NULL,
                       &hold->attachment);
    if (r < 0)
        return error_set(error, r, "no memory for an attachment");
    return manager_record_holder(stage->manager, hold->attachment, error);
}

static void let_go(struct hold *hold) {
    close_fd(&hold->sync_block_fd);
    if (hold->attachment)
        manager_drop_holder(steal_pointer(hold->attachment));
}

static int publish_new_region(struct stage *stage, const struct caller *caller, struct region **ret,
                              struct hold *hold, struct error *error) {
    struct manager *manager = stage->manager;
    struct payer payer = charge_payer(stage->segment->charge);
    struct region *region;
    int r = manager_new_region(manager, caller, &payer, &stage->spec, stage->id, &region, error);

    if (r < 0)
        return r;
    /* The stage's id is the region's now, so its segment has the right name already. */
    region->segment = stage->segment;
    if (stage->spec.sync_block)
        r = sync_block_make(manager, region, error);
    if (r == 0)
        r = take_hold(stage, region, hold, error);
    if (r == 0)
        r = manager_install(manager, region, stage->client ? stage->client->process : NULL, error);
    if (r < 0) {
        let_go(hold);
        region->segment = NULL;
        manager_discard_region(region);
        return r;
    }
    stage->segment = NULL;
    *ret = region;
    return 0;
}

/* What describes the content goes with it: the stage gets the old attributes, and takes them along. */
static void swap_attributes(struct region *region, struct stage *stage) {
    char *attributes = region->attributes;

    if (!*stage->spec.attributes)
        return;
    region->attributes = (char *)stage->spec.attributes;
    stage->spec.attributes = attributes;
}

/* Points the region and its record to the segment and shows it, or leaves all as they are. */
static int commit(struct region *region, struct stage *stage, struct error *error) {
    struct segment *old = region->segment;
    int64_t old_changed_usec = region->changed_usec;
    int r;

    region->segment = stage->segment;
    region->changed_usec = realtime_usec();
    swap_attributes(region, stage);
    r = manager_record_shown(region->manager, region, error);
    if (r < 0) {
        region->segment = old;
        region->changed_usec = old_changed_usec;
        swap_attributes(region, stage);
    }
    return r;
}

/* The next publisher needs the name that the segment was given. */
static void take_back(struct stage *stage) {
    struct error ignored;

    if (segment_rename(stage->segment, stage->id, 1, &ignored) < 0)
        segment_remove(stage->segment);
}

/* *ret is NULL if it is charged to the region's owner already: he may not have been that when it was
 * staged. */
static int charge_owner(const struct stage *stage, const struct region *region, struct charge **ret,
                        struct error *error) {
    const struct charge *staged = stage->segment->charge;
    struct payer owner = charge_payer(region->charge);

    if (charge_has_payer_of(staged, region->charge))
        return 0;
    return quota_charge_instead(staged, &owner, ret, error);
}

static void replace_charge(struct segment *segment, struct charge *charge) {
    charge_release(segment->charge);
    segment->charge = charge;
}

static int publish_version(struct stage *stage, struct region *region, struct hold *hold,
                           struct error *error) {
    _cleanup_(cleanup_charge_release) struct charge *charge = NULL;
    struct manager *manager = region->manager;
    struct segment *old = region->segment;
    int r = charge_owner(stage, region, &charge, error);

    if (r == 0)
        r = segment_rename(stage->segment, region->id, old->version + 1, error);
    if (r < 0)
        return r;
    r = durability_sync(region, stage->segment, error);
    if (r == 0)
        r = take_hold(stage, region, hold, error);
    if (r == 0)
        r = commit(region, stage, error);
    if (r < 0) {
        let_go(hold);
        take_back(stage);
        return r;
    }
    stage->segment = NULL;
    if (charge)
        replace_charge(region->segment, steal_pointer(charge));
    segment_remove(old);
    segment_unref(old);
    durability_changed(region);
    cache_used(region);
    manager_notify(manager, REGION_PUBLISHED, region, "published");
    return 0;
}

static int publish(struct stage *stage, const struct caller *caller, uint32_t expected_version,
                   struct region **ret, struct hold *hold, struct error *error) {
    int r = find_target(stage, caller, expected_version, ret, error);

    if (r < 0)
        return r;
    return *ret ? publish_version(stage, *ret, hold, error)
                : publish_new_region(stage, caller, ret, hold, error);
}

int manager_publish(struct manager *manager, const struct caller *caller, struct stage *stage_,
                    uint32_t expected_version, uint32_t *ret_version, struct error *error) {
    _cleanup_(cleanup_stage_free) struct stage *stage = stage_;
    struct hold none = {.sync_block_fd = -1};
    struct region *region;
    int r = publish(stage, caller, expected_version, &region, &none, error);

    (void)manager;
    if (r == 0)
        *ret_version = region->segment->version;
    return r;
}

/* The same request again, after its answer was lost. */
static int find_published(const struct client *client, uint64_t stage_id, struct hold *ret,
                          struct error *error) {
    ret->attachment = client_find_attachment(client, stage_id);
    if (!ret->attachment || ret->attachment->access != RIGHT_WRITE)
        return error_set(error, -ENOENT, "the client has no stage %" PRIu64, stage_id);
    return sync_block_open(ret->attachment->region, RIGHT_WRITE, &ret->sync_block_fd, error);
}

int manager_publish_as_client(struct manager *manager, struct client *client, uint64_t stage_id,
                              uint32_t expected_version, struct attachment **ret,
                              int *ret_sync_block_fd, struct error *error) {
    struct stage *stage = client_find_stage(client, stage_id);
    struct hold hold = {.sync_block_fd = -1};
    struct region *region;
    int r;

    (void)manager;
    if (stage)
        r = publish(stage, &client->caller, expected_version, &region, &hold, error);
    else
        r = find_published(client, stage_id, &hold, error);
    if (r < 0)
        return r;
    if (stage) {
        hold.attachment->charge = steal_pointer(stage->charge);
        manager_forget_stage(stage);
        reaper_attachments_changed(region);
    }
    *ret = hold.attachment;
    *ret_sync_block_fd = hold.sync_block_fd;
    return 0;
}

int manager_stage_value(struct manager *manager, const struct caller *caller, const char *name,
                        const void *data, size_t size, uint32_t mode, struct stage **ret,
                        struct error *error) {
    const struct region_spec spec = {
        .name = name, .size = size, .mode = mode, .acl = "", .attributes = ""};
    _cleanup_(cleanup_stage_free) struct stage *stage = NULL;
    int r = manager_stage(manager, caller, &spec, &stage, error);

    if (r == 0)
        r = stage_write(stage, 0, data, size, error);
    if (r == 0)
        *ret = steal_pointer(stage);
    return r;
}

int manager_put(struct manager *manager, const struct caller *caller, const char *name,
                const void *data, size_t size, uint32_t mode, uint32_t *ret_version,
                struct error *error) {
    struct stage *stage;
    int r = manager_stage_value(manager, caller, name, data, size, mode, &stage, error);

    return r < 0 ? r : manager_publish(manager, caller, stage, 0, ret_version, error);
}

int manager_read(struct manager *manager, const struct caller *caller, const char *name,
                 struct segment **ret, struct error *error) {
    struct region *region;
    int r = manager_find_with(manager, caller, name, RIGHT_READ, &region, error);

    if (r < 0)
        return r;
    cache_used(region);
    *ret = segment_ref(region->segment);
    return 0;
}
