/*
 * Stage: see stage.h.
 */
#include "daemon/core/stage.h"

#include "daemon/core/cache.h"
#include "daemon/core/manager-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stage_new(struct manager *manager, uint64_t id, const struct region_spec *spec,
              struct stage **ret) {
    struct stage *stage = calloc(1, sizeof(*stage));

    if (!stage)
        return -ENOMEM;
    stage->manager = manager;
    stage->id = id;
    stage->spec = *spec;
    stage->spec.name = strdup(spec->name);
    stage->spec.acl = strdup(spec->acl);
    stage->spec.attributes = strdup(spec->attributes);
    if (!stage->spec.name || !stage->spec.acl || !stage->spec.attributes) {
        stage_forget(stage);
        return -ENOMEM;
    }
    *ret = stage;
    return 0;
}

void stage_aim(struct stage *stage, struct region *region) {
    stage->region_id = region->id;
    region->stages++;
    cache_used(region);
}

static void release_aim(const struct stage *stage) {
    struct region *region =
        stage->region_id ? manager_lookup(stage->manager, stage->spec.name) : NULL;

    if (region && region->id == stage->region_id)
        region->stages--;
}

void stage_give(struct stage *stage, struct client *client) {
    stage->client = client;
    LIST_INSERT_HEAD(&client->stages, stage, link);
}

void stage_forget(struct stage *stage) {
    if (stage->client)
        LIST_REMOVE(stage, link);
    if (stage->segment)
        segment_unref(stage->segment);
    release_aim(stage);
    charge_release(stage->charge);
    free((char *)stage->spec.name);
    free((char *)stage->spec.acl);
    free((char *)stage->spec.attributes);
    free(stage);
}

void stage_free(struct stage *stage) {
    if (stage->segment)
        segment_remove(stage->segment);
    stage_forget(stage);
}

int stage_write(struct stage *stage, uint64_t offset, const void *data, size_t size,
                struct error *error) {
    if (offset > stage->segment->size || size > stage->segment->size - offset)
        return error_set(error, -EINVAL, "bytes past the %llu that were announced for '%s'",
                         (unsigned long long)stage->segment->size, stage->spec.name);
    return manager_write_segment(stage->manager, stage->segment, offset, data, size, error);
}

struct stage *client_find_stage(const struct client *client, uint64_t id) {
    struct stage *stage;

    LIST_FOREACH (stage, &client->stages, link)
        if (stage->id == id)
            return stage;
    return NULL;
}

void client_take_stages(struct client *client, struct client *from) {
    struct stage *stage;

    while ((stage = LIST_FIRST(&from->stages))) {
        LIST_REMOVE(stage, link);
        stage_give(stage, client);
    }
}
