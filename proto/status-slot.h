/*
 * The layout of the status page, which the daemon writes and clients map read-only: an array of
 * slots.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define STATUS_SLOTS (1u << 18) /* 2 MiB of a sparse file */

struct status_slot {
    _Atomic uint32_t version; /* moves on with every change, never back; the futex word */
    _Atomic uint32_t flags;
};

#define SLOT_LIVE 1u      /* a region has this slot */
#define SLOT_DESTROYED 2u /* the region is gone */
