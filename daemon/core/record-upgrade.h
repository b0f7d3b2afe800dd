/*
 * Record upgrade: from the records of older daemons to those of today
 *
 * What a record of an older format says still means the same; keys that came later are added with
 * what was true of every region then. The one place to change with REGISTRY_FORMAT:
 *
 *  1   the first
 *  2   regions: slot_version, sync_block, sealed, durability, durability_seconds
 *      stages (which format 1 had from some day on): sync_block, durability, durability_seconds
 *  3   sessions; holders: serial, which may be missing
 *  4   meta: secret, and names in /dev/shm that have a suffix
 *      regions: lifetime cache; unit, and of stages charged_unit, which may be missing;
 *      regions and holders: a size of 0, which no daemon of format 3 would take
 */
#pragma once

#include "daemon/ground/registry.h"
#include "proto/error.h"

/* The record as one of today, to be freed. One that is no JSON object stays as it is, for whoever
 * parses it. 0 or -ENOMEM. */
int record_upgrade(enum registry_table table, const char *text, char **ret);

/* Brings a registry to REGISTRY_FORMAT, unless it has that. Killed at any point, it is begun again
 * by the next daemon. */
int registry_upgrade(struct registry *registry, struct error *error);
