/*
 * Policy: who may create which names, and what a region is that does not say so itself
 *
 * An administrator creates anywhere. A user creates below "user/UID" and "user/NAME", and wherever
 * the namespace that a name is in lets him (shmregd.json(5)). So nobody takes another's names.
 */
#pragma once

#include "daemon/core/caller.h"
#include "daemon/core/manager.h"

/* 0, or -EACCES with a sentence on whose the name is. */
int policy_check_create(const struct config *config, const struct caller *caller, const char *name,
                        struct error *error);

/* Fills in what the spec leaves open and its namespace says. */
void policy_complete(const struct config *config, struct region_spec *spec);

/* Who has all rights to everything in the namespace of that name; NO_UID for nobody. */
uid_t policy_namespace_owner(const struct config *config, const char *name);
