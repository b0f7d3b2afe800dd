/*
 * What the files of the model share.
 */
#pragma once

#include "tests/fuzz/model.h"

/* Adds a fault if it @holds. */
void model_fault(struct model *model, bool holds, int code);

/* Faults if a limit has no room for so much more. */
void model_check_room(struct model *model, uid_t uid, enum limit_kind kind, uint64_t more);
void model_check_mode(struct model *model, uint32_t mode);

struct model_region *model_find(struct model *model, unsigned name);
/* With faults if there is none, or the actor lacks one of the rights. */
struct model_region *model_find_with(struct model *model, const struct operation *operation,
                                     uint32_t rights);
/* The actor's own hold of the operation's number; NULL with a fault. */
struct model_hold *model_find_hold(struct model *model, const struct operation *operation);

bool model_segment_exists(const struct model *model, unsigned segment);

void model_create(struct model *model, const struct operation *operation);
void model_open(struct model *model, const struct operation *operation);
void model_put(struct model *model, const struct operation *operation);
void model_stage(struct model *model, const struct operation *operation);
void model_publish(struct model *model, const struct operation *operation);
