/*
 * Model: see model.h.
 */
#include "tests/fuzz/model-private.h"

#include <errno.h>
#include <string.h>

#include "proto/rights.h"
#include "tests/fuzz/fuzz.h"

const char *const model_names[NAMES + BAD_NAMES] = {"a", "b", "dir",     "dir/d",
                                                    "e", "",  ".hidden", "dir//d"};
const uid_t model_uids[ACTORS] = {20001, 20001, 20002, 0};
const char *const model_attributes[ATTRIBUTES] = {"", "{\"dtype\":\"f4\"}", "[]", "{"};
const char *const model_acls[ACLS] = {
    "", "user:20002:r", "user:20002:rw,group:20001:r", "user:20001:m,user:20002:m", "user:20002:x",
};

/* What the rules say again; a user is in the group of his own number only. */
static const struct {
    uid_t uid;
    uint32_t rights;
} acl_rights[ACLS - 1][2] = {
    {{0}},
    {{20002, RIGHT_READ}},
    {{20002, RIGHT_READ | RIGHT_WRITE}, {20001, RIGHT_READ}},
    {{20001, RIGHT_MANAGE}, {20002, RIGHT_MANAGE}},
};

void model_init(struct model *model) {
    *model = (struct model){.hold = NONE};
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        model->user_limit[kind] = model->total_limit[kind] = LIMIT_NONE;
    /* Fewer than the table has room for. */
    model->total_limit[LIMIT_ATTACHMENTS] = HOLDS_MAX - 1;
}

void model_fault(struct model *model, bool holds, int code) {
    if (!holds)
        return;
    fuzz_check(model->n_faults < sizeof(model->faults) / sizeof(model->faults[0]));
    model->faults[model->n_faults++] = code;
}

bool model_expects(const struct model *model, int result) {
    if (model->n_faults == 0)
        return result == 0;
    for (unsigned i = 0; i < model->n_faults; i++)
        if (model->faults[i] == result)
            return true;
    return false;
}

/* A segment is freed when it is nobody's current version and nobody holds it. */
bool model_segment_exists(const struct model *model, unsigned segment) {
    for (unsigned i = 0; i < NAMES; i++)
        if (model->regions[i].id != 0 && model->regions[i].segment == segment)
            return true;
    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (model->holds[i].used && model->holds[i].segment == segment)
            return true;
    return false;
}

/* Regions to their owner, segments with their max_size to the owner of their region, attachments and
 * connections to the user of the client. */
uint64_t model_used(const struct model *model, const uid_t *uid, enum limit_kind kind) {
    uint64_t used = 0;

    for (unsigned i = 0; kind == LIMIT_REGIONS && i < NAMES; i++)
        used += model->regions[i].id != 0 && (!uid || model->regions[i].owner == *uid);
    for (unsigned i = 0; kind == LIMIT_BYTES && i < SEGMENTS_MAX; i++)
        if (model_segment_exists(model, i) && (!uid || model->segments[i].charged == *uid))
            used += model->segments[i].max_size;
    for (unsigned i = 0; kind == LIMIT_ATTACHMENTS && i < HOLDS_MAX; i++)
        used += model->holds[i].used && (!uid || model_uids[model->holds[i].client] == *uid);
    for (unsigned i = 0; kind == LIMIT_CONNECTIONS && i < CLIENTS; i++)
        used += model->clients[i].connected && (!uid || model_uids[i] == *uid);
    return used;
}

static bool exceeds(uint64_t used, uint64_t more, uint64_t limit) {
    return limit != LIMIT_NONE && used + more > limit;
}

void model_check_room(struct model *model, uid_t uid, enum limit_kind kind, uint64_t more) {
    model_fault(model, exceeds(model_used(model, &uid, kind), more, model->user_limit[kind]),
                -EDQUOT);
    model_fault(model, exceeds(model_used(model, NULL, kind), more, model->total_limit[kind]),
                -ENOSPC);
}

/* Attachments of a region, not of one version; stages are none. */
unsigned model_count_holds(const struct model *model, uint64_t region, uint32_t access) {
    unsigned count = 0;

    for (unsigned i = 0; i < HOLDS_MAX; i++) {
        const struct model_hold *hold = &model->holds[i];

        count += hold->used && !hold->staged && hold->region == region && (hold->access & access);
    }
    return count;
}

bool model_client_has_holds(const struct model *model, unsigned client) {
    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (model->holds[i].used && model->holds[i].client == client)
            return true;
    return false;
}

/* Owner and root have all rights; others what mode and rules give them together. */
static uint32_t rights_of(const struct model_region *region, uid_t uid) {
    uint32_t rights = (region->mode & 04 ? RIGHT_READ : 0) | (region->mode & 02 ? RIGHT_WRITE : 0);

    if (uid == 0 || uid == region->owner)
        return RIGHT_ALL;
    for (unsigned i = 0; i < 2; i++)
        if (acl_rights[region->acl][i].uid == uid)
            rights |= acl_rights[region->acl][i].rights;
    return rights;
}

struct model_region *model_find(struct model *model, unsigned name) {
    return name < NAMES && model->regions[name].id != 0 ? &model->regions[name] : NULL;
}

/* The region, if the actor has the rights. */
struct model_region *model_find_with(struct model *model, const struct operation *operation,
                                     uint32_t rights) {
    struct model_region *region = model_find(model, operation->name);

    model_fault(model, operation->name >= NAMES, -EINVAL);
    model_fault(model, operation->name < NAMES && !region, -ENOENT);
    model_fault(model,
                region && (rights_of(region, model_uids[operation->actor]) & rights) != rights,
                -EACCES);
    return region;
}

void model_check_mode(struct model *model, uint32_t mode) {
    model_fault(model, (mode & ~0666u) != 0, -EINVAL);
}

struct model_hold *model_find_hold(struct model *model, const struct operation *operation) {
    struct model_hold *hold = &model->holds[operation->hold];

    if (hold->used && hold->client == operation->actor)
        return hold;
    model_fault(model, true, -ENOENT);
    return NULL;
}

static void end_region(struct model_region *region) {
    *region = (struct model_region){0};
}

static void connect_client(struct model *model, const struct operation *operation) {
    struct model_client *client = &model->clients[operation->actor];

    model_check_room(model, model_uids[operation->actor], LIMIT_CONNECTIONS, 1);
    if (model->n_faults > 0)
        return;
    client->connected = true;
    if (client->process == 0)
        client->process = ++model->last_process;
}

/* The end of a connection ends attachments and stages. */
static void disconnect(struct model *model, const struct operation *operation) {
    unsigned client = operation->actor;

    for (unsigned i = 0; i < HOLDS_MAX; i++)
        if (model->holds[i].client == client)
            model->holds[i].used = false;
    model->clients[client].connected = false;
}

/* So does that of the process, and it ends the regions that it owns. */
static void die(struct model *model, const struct operation *operation) {
    struct model_client *client = &model->clients[operation->actor];

    disconnect(model, operation);
    for (unsigned i = 0; i < NAMES; i++) {
        struct model_region *region = &model->regions[i];

        if (region->id != 0 && region->lifetime == LIFETIME_OWNER &&
            region->process == client->process)
            end_region(region);
    }
    client->process = 0;
}

static bool region_exists(const struct model *model, uint64_t id) {
    for (unsigned i = 0; i < NAMES; i++)
        if (model->regions[i].id == id)
            return true;
    return false;
}

/* Memfds end with the daemon, where no service manager keeps them. Of the rest, clients that have not
 * come back yet still hold what leads to a region. */
static void restart(struct model *model, const struct operation *operation) {
    (void)operation;
    for (unsigned i = 0; i < NAMES; i++)
        if (model->segments[model->regions[i].segment].backing == BACKING_MEMFD)
            end_region(&model->regions[i]);
    for (unsigned i = 0; i < HOLDS_MAX; i++) {
        struct model_hold *hold = &model->holds[i];

        if (hold->used && (hold->staged ? hold->spec.backing == BACKING_MEMFD
                                        : !region_exists(model, hold->region)))
            hold->used = false;
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        model->clients[i].connected = false;
}

static void destroy(struct model *model, const struct operation *operation) {
    struct model_region *region = model_find_with(model, operation, RIGHT_MANAGE);

    if (model->n_faults == 0)
        end_region(region);
}

static void detach(struct model *model, const struct operation *operation) {
    struct model_hold *hold = model_find_hold(model, operation);

    if (hold)
        hold->used = false;
}

static void resize(struct model *model, const struct operation *operation) {
    struct model_region *region = model_find_with(model, operation, RIGHT_MANAGE);
    struct model_segment *segment = region ? &model->segments[region->segment] : NULL;

    model_fault(model, segment && segment->sealed, -EPERM);
    model_fault(model, segment && operation->size < segment->size, -EINVAL);
    model_fault(model, segment && operation->size > segment->max_size, -EINVAL);
    if (model->n_faults == 0)
        segment->size = operation->size;
}

/* Nobody may still write to this version. */
static void seal(struct model *model, const struct operation *operation) {
    struct model_region *region = model_find_with(model, operation, RIGHT_MANAGE);
    bool has_writers = false;

    for (unsigned i = 0; region && i < HOLDS_MAX; i++)
        has_writers |= model->holds[i].used && model->holds[i].segment == region->segment &&
                       model->holds[i].access == RIGHT_WRITE;
    model_fault(model, has_writers, -EBUSY);
    if (model->n_faults == 0)
        model->segments[region->segment].sealed = true;
}

static void set_access(struct model *model, const struct operation *operation) {
    struct model_region *region = model_find_with(model, operation, RIGHT_MANAGE);

    if (!operation->keeps_mode)
        model_check_mode(model, operation->mode);
    model_fault(model, !operation->keeps_acl && operation->acl == ACLS - 1, -EINVAL);
    if (model->n_faults > 0)
        return;
    if (!operation->keeps_mode)
        region->mode = operation->mode;
    if (!operation->keeps_acl)
        region->acl = operation->acl;
}

static void set_attributes(struct model *model, const struct operation *operation) {
    struct model_region *region = model_find_with(model, operation, RIGHT_MANAGE);

    model_fault(model, operation->attributes != 1, -EINVAL);
    if (model->n_faults == 0)
        region->attributes = operation->attributes;
}

static void renew(struct model *model, const struct operation *operation) {
    struct model_region *region = model_find_with(model, operation, RIGHT_MANAGE);

    model_fault(model, region && region->lifetime != LIFETIME_LEASE, -EINVAL);
    if (model->n_faults == 0 && operation->seconds != 0)
        region->seconds = operation->seconds;
}

static void limit(struct model *model, const struct operation *operation) {
    uint64_t *limits = operation->limit_of_all ? model->total_limit : model->user_limit;

    limits[operation->kind_of_limit] = operation->limit;
}

/* `attached` without a linger time ends with the last attachment. The other clocks run for longer
 * than any test. */
static void end_what_nobody_holds(struct model *model) {
    for (unsigned i = 0; i < NAMES; i++) {
        struct model_region *region = &model->regions[i];

        if (region->id != 0 && region->lifetime == LIFETIME_ATTACHED && region->seconds == 0 &&
            model_count_holds(model, region->id, RIGHT_READ | RIGHT_WRITE) == 0)
            end_region(region);
    }
}

bool model_step(struct model *model, const struct operation *operation) {
    static void (*const steps[OPERATION_COUNT])(struct model *, const struct operation *) = {
        [DO_CONNECT] = connect_client,
        [DO_DISCONNECT] = disconnect,
        [DO_DIE] = die,
        [DO_RESTART] = restart,
        [DO_CREATE] = model_create,
        [DO_OPEN] = model_open,
        [DO_DETACH] = detach,
        [DO_DESTROY] = destroy,
        [DO_PUT] = model_put,
        [DO_STAGE] = model_stage,
        [DO_PUBLISH] = model_publish,
        [DO_RESIZE] = resize,
        [DO_SEAL] = seal,
        [DO_SET_ACCESS] = set_access,
        [DO_SET_ATTRIBUTES] = set_attributes,
        [DO_RENEW] = renew,
        [DO_LIMIT] = limit,
    };

    model->n_faults = 0;
    model->hold = NONE;
    steps[operation->kind](model, operation);
    end_what_nobody_holds(model);
    return model->n_faults == 0;
}
