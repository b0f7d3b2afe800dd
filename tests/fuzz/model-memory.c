/*
 * Model: operations that make memory, or give it to somebody.
 */
#include "tests/fuzz/model-private.h"

#include <errno.h>

#include "proto/rights.h"

/* What may grow later may begin with nothing, but for what is published and what a memfd has. */
static void check_size(struct model *model, const struct operation *operation) {
    model_fault(model,
                operation->size == 0 && (operation->max_size == 0 || operation->kind == DO_STAGE ||
                                         operation->backing == BACKING_MEMFD),
                -EINVAL);
    model_fault(model, operation->max_size != 0 && operation->max_size < operation->size, -EINVAL);
}

static void check_spec(struct model *model, const struct operation *operation, bool attaches) {
    model_fault(model, operation->name >= NAMES, -EINVAL);
    check_size(model, operation);
    model_fault(model, operation->backing > BACKING_FILE, -EINVAL);
    model_fault(model, operation->lifetime > LIFETIME_CACHE, -EINVAL);
    model_fault(model, operation->lifetime == LIFETIME_LEASE && operation->seconds == 0, -EINVAL);
    model_fault(model, operation->lifetime == LIFETIME_OWNER && operation->actor == OPERATOR,
                -EINVAL);
    model_fault(model,
                operation->lifetime == LIFETIME_ATTACHED && !attaches && operation->seconds == 0,
                -EINVAL);
    model_check_mode(model, operation->mode);
    model_fault(model, operation->acl == ACLS - 1, -EINVAL);
    model_fault(model, operation->attributes >= 2, -EINVAL);
}

static unsigned add_segment(struct model *model, const struct operation *operation, uid_t charged) {
    unsigned i = 0;

    while (model_segment_exists(model, i))
        i++;
    model->segments[i] = (struct model_segment){
        .charged = charged,
        .backing = operation->backing ? operation->backing : BACKING_SHM,
        .size = operation->size,
        .max_size = operation->max_size ? operation->max_size : operation->size,
    };
    return i;
}

static struct model_hold *add_hold(struct model *model, unsigned client, unsigned segment,
                                   uint32_t access) {
    unsigned i = 0;

    while (model->holds[i].used)
        i++;
    model->holds[i] = (struct model_hold){
        .used = true,
        .client = client,
        .segment = segment,
        .region = model->segments[segment].region,
        .access = access,
    };
    model->hold = i;
    return &model->holds[i];
}

/* A client's process is also its name, as far as the model goes. */
static struct model_region *add_region(struct model *model, const struct operation *operation,
                                       unsigned segment) {
    struct model_region *region = &model->regions[operation->name];
    uint64_t process = operation->actor == OPERATOR ? 0 : model->clients[operation->actor].process;

    *region = (struct model_region){
        .id = ++model->last_region,
        .owner = model_uids[operation->actor],
        .mode = operation->mode,
        .lifetime = operation->lifetime ? operation->lifetime : LIFETIME_PERSISTENT,
        .seconds = operation->seconds,
        .acl = operation->acl,
        .attributes = operation->attributes,
        .segment = segment,
        .process = process,
        .creator = operation->serial ? process : 0,
        .serial = operation->serial,
    };
    model->segments[segment].region = region->id;
    model->segments[segment].version = 1;
    return region;
}

static void check_access(struct model *model, uint32_t access) {
    model_fault(model, access != RIGHT_READ && access != RIGHT_WRITE, -EINVAL);
}

void model_open(struct model *model, const struct operation *operation) {
    uint32_t rights = operation->access == RIGHT_WRITE ? RIGHT_READ | RIGHT_WRITE : RIGHT_READ;
    const struct model_region *region = model_find_with(model, operation, rights);

    check_access(model, operation->access);
    model_fault(model,
                region && operation->access == RIGHT_WRITE &&
                    model->segments[region->segment].sealed,
                -EPERM);
    model_check_room(model, model_uids[operation->actor], LIMIT_ATTACHMENTS, 1);
    if (model->n_faults > 0)
        return;
    add_hold(model, operation->actor, region->segment, operation->access);
    if (operation->access == RIGHT_WRITE && model->segments[region->segment].size > 0)
        model->segments[region->segment].letter = operation->letter;
}

/* Asked again after a lost answer: client and serial tell. */
static bool is_repeated(const struct model *model, const struct operation *operation,
                        uint64_t creator, uint32_t serial) {
    return operation->actor != OPERATOR && operation->serial != 0 && serial == operation->serial &&
           creator == model->clients[operation->actor].process;
}

void model_create(struct model *model, const struct operation *operation) {
    bool attaches = operation->attaches && operation->actor != OPERATOR;
    uid_t uid = model_uids[operation->actor];
    const struct model_region *there = model_find(model, operation->name);
    bool made = there && is_repeated(model, operation, there->creator, there->serial);

    check_spec(model, operation, attaches);
    if (attaches)
        check_access(model, operation->access);
    if (there && (made || (attaches && operation->existing_ok))) {
        if (attaches)
            model_open(model, operation);
        return;
    }
    model_fault(model, there, -EEXIST);
    model_check_room(model, uid, LIMIT_REGIONS, 1);
    model_check_room(model, uid, LIMIT_BYTES,
                     operation->max_size ? operation->max_size : operation->size);
    if (attaches)
        model_check_room(model, uid, LIMIT_ATTACHMENTS, 1);
    if (model->n_faults > 0)
        return;
    add_region(model, operation, add_segment(model, operation, uid));
    if (attaches)
        model_open(model, operation);
}

/* A new version of a region that exists is as the region was, but for its size. */
static struct operation next_version(const struct model *model, const struct model_region *region,
                                     const struct operation *operation) {
    const struct model_segment *old = &model->segments[region->segment];
    struct operation spec = *operation;

    spec.backing = old->backing;
    if (spec.max_size == 0)
        spec.max_size = spec.size > old->max_size ? spec.size : old->max_size;
    return spec;
}

static void become_version(struct model *model, struct model_region *region, unsigned segment) {
    model->segments[segment].region = region->id;
    model->segments[segment].version = model->segments[region->segment].version + 1;
    region->segment = segment;
}

void model_put(struct model *model, const struct operation *operation) {
    struct model_region *there = model_find(model, operation->name);
    struct operation spec = {
        .actor = operation->actor,
        .name = operation->name,
        .size = operation->size,
        .mode = operation->mode,
    };
    uid_t charged = there ? there->owner : model_uids[operation->actor];
    unsigned segment;

    if (there) {
        model_find_with(model, operation, RIGHT_WRITE);
        check_size(model, &spec);
        spec = next_version(model, there, &spec);
    } else {
        check_spec(model, &spec, false);
        model_check_room(model, charged, LIMIT_REGIONS, 1);
    }
    model_check_room(model, charged, LIMIT_BYTES, spec.max_size ? spec.max_size : spec.size);
    if (model->n_faults > 0)
        return;
    segment = add_segment(model, &spec, charged);
    model->segments[segment].letter = operation->letter;
    if (there)
        become_version(model, there, segment);
    else
        add_region(model, &spec, segment);
}

static bool find_same_stage(struct model *model, const struct operation *operation) {
    for (unsigned i = 0; i < HOLDS_MAX; i++) {
        const struct model_hold *hold = &model->holds[i];

        if (!hold->used || !hold->staged || hold->client != operation->actor ||
            !is_repeated(model, operation, model->clients[operation->actor].process,
                         hold->spec.serial))
            continue;
        model->hold = i;
        model->segments[hold->segment].letter = operation->letter;
        return true;
    }
    return false;
}

/* What is said of the content is whose who may manage. */
static uint32_t rights_to_replace(const struct operation *spec) {
    return RIGHT_READ | RIGHT_WRITE | (spec->attributes != 0 ? RIGHT_MANAGE : 0);
}

void model_stage(struct model *model, const struct operation *operation) {
    struct model_region *there = model_find(model, operation->name);
    struct operation spec = *operation;
    uid_t charged = there ? there->owner : model_uids[operation->actor];
    struct model_hold *hold;

    if (find_same_stage(model, operation))
        return;
    if (there) {
        model_find_with(model, operation, rights_to_replace(operation));
        check_size(model, operation);
        model_fault(model, operation->attributes >= 2, -EINVAL);
        spec = next_version(model, there, operation);
    } else
        check_spec(model, operation, true);
    model_check_room(model, charged, LIMIT_BYTES, spec.max_size ? spec.max_size : spec.size);
    model_check_room(model, model_uids[operation->actor], LIMIT_ATTACHMENTS, 1);
    if (model->n_faults > 0)
        return;
    hold = add_hold(model, operation->actor, add_segment(model, &spec, charged), 0);
    hold->staged = true;
    hold->spec = spec;
    hold->region = there ? there->id : 0;
    model->segments[hold->segment].letter = operation->letter;
}

void model_publish(struct model *model, const struct operation *operation) {
    struct model_hold *hold = model_find_hold(model, operation);
    struct model_region *there;
    uint32_t at;

    /* Stage and attachment share their id, by which a publish is known that is asked again. */
    if (!hold || !hold->staged) {
        model_fault(model, hold && hold->access != RIGHT_WRITE, -ENOENT);
        return;
    }
    there = model_find(model, hold->spec.name);
    at = there ? model->segments[there->segment].version : 0;
    if (there)
        model_find_with(model, &hold->spec, rights_to_replace(&hold->spec));
    else
        model_check_room(model, model_uids[operation->actor], LIMIT_REGIONS, 1);
    model_fault(model, hold->region != (there ? there->id : 0), -ESTALE);
    model_fault(model, operation->version != 0 && operation->version != at, -ESTALE);
    if (model->n_faults > 0)
        return;
    if (there) {
        become_version(model, there, hold->segment);
        if (hold->spec.attributes != 0)
            there->attributes = hold->spec.attributes;
    } else
        there = add_region(model, &hold->spec, hold->segment);
    hold->staged = false;
    hold->access = RIGHT_WRITE;
    hold->region = there->id;
}
