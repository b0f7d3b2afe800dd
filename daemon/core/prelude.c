/*
 * Prelude: see prelude.h.
 */
#include "daemon/core/prelude.h"

#include "daemon/core/manager-private.h"

#include <stdlib.h>
#include <string.h>

/* A watcher that cannot be told of all of them at once is better off if it looks for itself. */
#define EVENTS_MAX 2000u

struct prelude_event {
    STAILQ_ENTRY(prelude_event) link;
    enum region_event event;
    struct region *region;
    uint32_t version;
    char reason[];
};

void prelude_init(struct prelude *prelude) {
    *prelude = (struct prelude){.open = true};
    STAILQ_INIT(&prelude->events);
}

void prelude_add(struct prelude *prelude, enum region_event event, const struct region *region,
                 const char *reason) {
    size_t size = strlen(reason) + 1;
    struct prelude_event *new = NULL;

    if (prelude->n_events < EVENTS_MAX)
        new = malloc(sizeof(*new) + size);
    if (!new) {
        prelude->has_gaps = true;
        return;
    }
    new->event = event;
    new->region = region_ref((struct region *)region);
    new->version = region->segment->version;
    memcpy(new->reason, reason, size);
    STAILQ_INSERT_TAIL(&prelude->events, new, link);
    prelude->n_events++;
}

void prelude_deinit(struct prelude *prelude) {
    struct prelude_event *event;

    prelude->open = false;
    while ((event = STAILQ_FIRST(&prelude->events))) {
        STAILQ_REMOVE_HEAD(&prelude->events, link);
        region_unref(event->region);
        free(event);
    }
}

bool manager_tell_prelude(struct manager *manager, manager_told *told, void *data) {
    const struct prelude_event *event;

    STAILQ_FOREACH (event, &manager->prelude.events, link)
        told(data, event->event, event->region, event->version, event->reason);
    return !manager->prelude.has_gaps;
}

void manager_end_prelude(struct manager *manager) {
    prelude_deinit(&manager->prelude);
}
