/*
 * Advice: the options with which memory can be mapped
 *
 * They stand in the access that a mapping is opened with, next to what it may do, so that only
 * handles with the same options share a mapping.
 */
#pragma once

#include <stdint.h>

#include "client/mapping.h"

/* -EINVAL with its sentence for options that are unknown, or do not go together. */
int access_check(uint32_t access);

/* Carries out what the mapping's access asks for, on its memory, in one fixed order. The first
 * failure ends it, with its sentence. */
int advice_apply(const struct mapping *mapping);
