/*
 * The layout of a sync block: what the users of one region agree on without asking anybody
 *
 * One page, made by the daemon, mapped by every client of a region that has one: writable for its
 * writers, read-only for its readers. Each word that is written often has a cache line of its own.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define SYNC_BLOCK_SIZE 4096u
#define SYNC_BLOCK_LINE 64

#define SYNC_BLOCK_MAGIC UINT64_C(0x636e79736d687300)

/* A client whose C library has another mutex must not touch this one. */
#define SYNC_BLOCK_LAYOUT ((uint32_t)(1u << 16 | sizeof(pthread_mutex_t)))

struct sync_block {
    uint64_t magic;
    uint32_t layout;
    _Alignas(SYNC_BLOCK_LINE) pthread_mutex_t lock; /* robust, process-shared, error-checking */
    _Alignas(SYNC_BLOCK_LINE) _Atomic uint64_t sequence; /* odd while the data is written */
    _Alignas(SYNC_BLOCK_LINE) _Atomic uint32_t event;    /* counts notifications; the futex word */
};

_Static_assert(sizeof(struct sync_block) <= SYNC_BLOCK_SIZE, "a sync block is one page");
/* Readers have it mapped read-only: a load must be nothing but a load. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit loads");
