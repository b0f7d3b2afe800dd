/*
 * Session: everything that the core tells about itself, against the model.
 */
#include <string.h>

#include "daemon/core/attachment.h"
#include "daemon/core/stage.h"
#include "proto/rights.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session.h"

struct walk {
    const struct model *model;
    unsigned next; /* name */
    unsigned count;
};

static void compare_segment(const struct segment *segment, const struct model_segment *expected) {
    char letter = 0;

    fuzz_check(segment->version == expected->version);
    fuzz_check(segment->size == expected->size && segment->max_size == expected->max_size);
    fuzz_check(segment->backing == expected->backing && segment->sealed == expected->sealed);
    fuzz_check(segment_read(segment, 0, &letter, expected->size > 0, NULL) == 0);
    fuzz_check(letter == expected->letter);
}

static int compare_region(void *data, struct region *region) {
    struct walk *walk = data;
    const struct model *model = walk->model;
    const struct model_region *expected;

    while (walk->next < NAMES && model->regions[walk->next].id == 0)
        walk->next++;
    fuzz_check(walk->next < NAMES);
    fuzz_check(strcmp(region->name, model_names[walk->next]) == 0);
    expected = &model->regions[walk->next++];
    fuzz_check(region->access.owner_uid == expected->owner);
    fuzz_check(region->access.mode == expected->mode);
    fuzz_check(strcmp(region->access.acl, model_acls[expected->acl]) == 0);
    fuzz_check(strcmp(region->attributes,
                      expected->attributes == 0 ? "{}" : model_attributes[expected->attributes]) ==
               0);
    fuzz_check(region->lifetime == expected->lifetime && region->seconds == expected->seconds);
    fuzz_check(region->readers == model_count_holds(model, expected->id, RIGHT_READ));
    fuzz_check(region->writers == model_count_holds(model, expected->id, RIGHT_WRITE));
    compare_segment(region->segment, &model->segments[expected->segment]);
    walk->count++;
    return 0;
}

static void compare_hold(const struct client *client, const struct model *model,
                         const struct model_hold *hold) {
    const struct model_segment *expected = &model->segments[hold->segment];
    const struct attachment *attachment = client_find_attachment(client, hold->id);
    const struct stage *stage = client_find_stage(client, hold->id);

    fuzz_check(hold->staged ? stage && !attachment : attachment && !stage);
    if (hold->staged) {
        fuzz_check(stage->segment->size == expected->size);
        fuzz_check(stage->segment->max_size == expected->max_size);
    } else {
        fuzz_check(attachment->access == hold->access);
        fuzz_check(attachment->segment->version == expected->version);
        fuzz_check(attachment->segment->max_size == expected->max_size);
    }
}

static void compare_client(const struct session *session, unsigned number) {
    const struct client *client = session->clients[number];
    unsigned expected = 0, count = 0;
    const struct stage *stage;

    fuzz_check((client != NULL) == session->model.clients[number].connected);
    if (!client)
        return;
    for (unsigned i = 0; i < HOLDS_MAX; i++) {
        const struct model_hold *hold = &session->model.holds[i];

        if (!hold->used || hold->client != number)
            continue;
        compare_hold(client, &session->model, hold);
        expected++;
    }
    LIST_FOREACH (stage, &client->stages, link)
        count++;
    fuzz_check(client->n_attachments + count == expected);
}

static void compare_charges(const struct session *session, enum limit_kind kind) {
    const struct quota *quota = manager_quota(session->core.manager);

    fuzz_check(quota_used(quota, kind) == model_used(&session->model, NULL, kind));
    for (unsigned i = 0; i < ACTORS; i++)
        fuzz_check(quota_used_by(quota, model_uids[i], kind) ==
                   model_used(&session->model, &model_uids[i], kind));
}

void session_compare(struct session *session) {
    struct walk walk = {.model = &session->model};

    manager_each_region(session->core.manager, compare_region, &walk);
    fuzz_check(walk.count == model_used(&session->model, NULL, LIMIT_REGIONS));
    for (unsigned i = 0; i < CLIENTS; i++)
        compare_client(session, i);
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        compare_charges(session, kind);
}
