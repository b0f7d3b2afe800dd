/*
 * The layout of the status page, which the daemon writes and clients map read-only: an array of
 * slots.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define STATUS_SLOTS (1u << 18) /* 2 MiB of a sparse file */

/* The two words of a slot. They change in one step, so that they always belong together. */
struct status_slot {
    union {
        struct {
            _Atomic uint32_t version; /* moves on with every change, never back; the futex word */
            _Atomic uint32_t flags;
        };
        _Atomic uint64_t both;
    };
};

struct status_words {
    uint32_t version, flags;
};

#define SLOT_LIVE 1u      /* a region has this slot */
#define SLOT_DESTROYED 2u /* the region is gone */
#define SLOT_SEALED 4u    /* nobody writes to the region's current version any more */

/* Bits 3 to 7 count the regions that have had this slot, so that who has slept through the end of
 * one does not take the next for it. */
#define SLOT_TURN_SHIFT 3u
#define SLOT_TURN_MASK 0xf8u

/* Bits 8 to 31: the low bits of the region's version. */
#define SLOT_REGION_VERSION_SHIFT 8u
#define SLOT_REGION_VERSION_MASK 0xffffff00u

static inline struct status_words status_slot_read(const struct status_slot *slot) {
    uint64_t both = atomic_load_explicit(&slot->both, memory_order_acquire);
    struct status_words words;

    memcpy(&words, &both, sizeof(words));
    return words;
}
