/*
 * Meta: what the registries know of their daemon
 *
 * Both have the same, since either may have been lost.
 */
#pragma once

#include <systemd/sd-id128.h>

#include "daemon/ground/registry.h"

#define INSTANCE_MAX 17 /* 16 hexadecimal digits and the end */

/* Keys of REGISTRY_META. */
#define META_INSTANCE "instance"
#define META_SECRET "secret"
#define META_NEXT_ID "next_id"

/* The instance that one registry names; -ENOENT. */
int meta_instance_of(struct registry *registry, char ret[static INSTANCE_MAX]);

/* Either of these registries may be NULL. The instance and its secret, -ENOENT if none of them names
 * one; the next id that was never used, 1 if none of them has used any. */
int meta_instance(struct registry *volatile_registry, struct registry *durable_registry,
                  char ret[static INSTANCE_MAX]);
int meta_secret(struct registry *volatile_registry, struct registry *durable_registry,
                sd_id128_t *ret);
int meta_next_id(struct registry *volatile_registry, struct registry *durable_registry,
                 uint64_t *ret);
