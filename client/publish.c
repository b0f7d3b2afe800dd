/*
 * Stage and publish
 *
 * A stage is a mapping that no open may share, and that is always current, as nobody can replace
 * it. Published, it is what the next open of its name for writing finds.
 */
#include "client/block.h"
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct wire_stage_reply) == sizeof(struct wire_open_reply), "replies");

static int stage(struct shmreg_conn *conn, uint64_t size, const struct shmreg_options *options,
                 struct shmreg_region **region) {
    struct wire_stage_request body = {.spec = options_spec(options, size)};
    struct wire_string strings[] = {
        {.data = (*region)->mapping->name}, {.data = options->acl}, {.data = options->attributes}};
    _cleanup_(call_close_fds) struct call call = {
        .op = WIRE_STAGE, .body = &body, .strings = strings};
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = talk_lock(conn);
    int r = connection_call(talking, &call);

    return r < 0 ? r : regions_from_reply(&call, region, 1);
}

int shmreg_stage(shmreg_conn *conn, const char *name, uint64_t size,
                 const struct shmreg_options *options, shmreg_region **ret) {
    _cleanup_(cleanup_region_free) struct shmreg_region *region = NULL;
    struct shmreg_options complete;
    int r = options_complete(options, OPTIONS_REGION_FLAGS, &complete);

    if (r == 0)
        r = check_name(name);
    if (r < 0)
        return r;
    region = region_new(conn, name, SHMREG_WRITE | complete.map_flags);
    if (!region)
        return -ENOMEM;
    region->mapping->staged = true;
    r = stage(conn, size, &complete, &region);
    if (r < 0)
        return r;
    *ret = steal_pointer(region);
    return 0;
}

/* Without the block that came along it stays a stage here: asked once more, the daemon sends it
 * again. */
static int take_block(struct mapping *mapping, const struct call *call) {
    if (call->starved)
        return fail(-EMFILE, "region '%s': this process has no free descriptor", mapping->name);
    if (call->fds.count != 1)
        return fail(-EPROTO, "the daemon did not send the sync block of '%s'", mapping->name);
    return block_attach(mapping, call->fds.fd[0]);
}

/* The daemon has done it: from now on the mapping is one of the region's current version. */
static int take_published(struct shmreg_region *region, const struct call *call) {
    const struct wire_publish_reply *reply = call->reply.body;
    struct mapping *mapping = region->mapping;
    struct wire_attachment attachment;
    int r = 0;

    if (reply->count != 1 || call->reply.string[0].length != sizeof(attachment))
        return fail(-EPROTO, "the daemon does not say what it has published");
    memcpy(&attachment, call->reply.string[0].data, sizeof(attachment));
    mapping->id = attachment.region_id;
    if (attachment.flags & WIRE_ATTACHMENT_SYNC_BLOCK)
        r = take_block(mapping, call);
    if (r < 0)
        return r;
    pthread_mutex_lock(&region->conn->state);
    r = mapping_publish(mapping, &attachment);
    if (r == 0)
        region_lead_to(region, mapping);
    pthread_mutex_unlock(&region->conn->state);
    return r;
}

/* With `talk` held. */
static int publish(struct shmreg_region *region, uint32_t expected_version) {
    struct mapping *mapping = region->mapping;
    struct wire_publish_request body = {.stage_id = mapping->attachment_id,
                                        .expected_version = expected_version};
    _cleanup_(call_close_fds) struct call call = {.op = WIRE_PUBLISH, .body = &body};
    int r;

    if (!mapping->staged)
        return fail(-EINVAL, "region '%s': this handle is no stage", mapping->name);
    /* What a child inherits is its parent's; what the daemon has lost is nobody's. */
    if (region->conn->inherited || body.stage_id == 0)
        return fail(-ENOENT, "the stage for region '%s' is not this process's, or was lost",
                    mapping->name);
    r = connection_call(region->conn, &call);
    return r < 0 ? r : take_published(region, &call);
}

int shmreg_publish(shmreg_region *region, uint32_t expected_version, uint32_t *ret_version) {
    int r;

    talk_lock(region->conn);
    r = publish(region, expected_version);
    if (r == 0 && ret_version)
        *ret_version = region->mapping->version;
    talk_unlock(region->conn);
    return r;
}
