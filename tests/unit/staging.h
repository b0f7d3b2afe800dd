/*
 * Stages of clients in a world: made, filled, published and counted.
 */
#pragma once

#include "daemon/core/stage.h"
#include "daemon/ground/registry.h"
#include "tests/unit/world.h"

/* Of the segments that are staged: that of world_spec(). */
#define STAGING_SIZE 4096u

/* The client's process is this one, or 0 for one of its own. */
struct client *staging_client(struct world *world, pid_t pid, uint64_t id);

int staging_try(struct world *world, struct client *client, const struct region_spec *spec,
                struct stage **ret, struct error *error);

/* Stages the text, or fails. */
struct stage *staging_fill(struct world *world, struct client *client, const char *name,
                           const char *text);

int staging_try_publish(struct world *world, struct client *client, uint64_t id, uint32_t expected,
                        struct attachment **ret, struct error *error);

/* Publishes, or fails. */
struct attachment *staging_publish(struct world *world, struct client *client, uint64_t id,
                                   uint32_t expected);

unsigned staging_count_records(struct world *world, enum registry_table table);

/* Fails unless that is all: a stage is charged as an attachment, and has a record. */
void staging_expect(struct world *world, unsigned regions, unsigned segments, unsigned stages,
                    unsigned attachments, unsigned clients);
