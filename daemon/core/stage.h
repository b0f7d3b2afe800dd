/*
 * Stage: a segment that is to become a version of a region
 *
 * Nobody sees it but whoever fills it: a client, through a writable descriptor, or an operator's
 * value that arrives in parts. What it is charged is released exactly once: by whoever takes the
 * segment, or with the stage. The records of clients' stages are the manager's business.
 */
#pragma once

#include "daemon/core/manager.h"

struct stage {
    struct manager *manager;
    uint64_t id;             /* also its segment's, and of the attachment it becomes */
    uint64_t region_id;      /* of the region it is for; 0 if there was none yet */
    struct region_spec spec; /* of the region it makes then; its texts are the stage's own */
    struct segment *segment;
    struct client *client; /* that it ends with; NULL for an operator's */
    struct charge *charge; /* of a client's: counts as an attachment */
    LIST_ENTRY(stage) link;
};

/* One without a segment. 0 or -ENOMEM. */
int stage_new(struct manager *manager, uint64_t id, const struct region_spec *spec,
              struct stage **ret);

/* Makes it one for a region that exists, which does not go for want of space meanwhile. */
void stage_aim(struct stage *stage, struct region *region);

/* Makes it the client's. */
void stage_give(struct stage *stage, struct client *client);

/* Frees the object; the segment keeps its name, if the stage still has one. */
void stage_forget(struct stage *stage);

struct stage *client_find_stage(const struct client *client, uint64_t id);

/* Gives all stages of a client that is not connected to the one that took its place. */
void client_take_stages(struct client *client, struct client *from);
