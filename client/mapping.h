/*
 * Mapping: one attached segment in the memory of this process
 *
 * All handles that one name with one access gives share it while it is current. Its memory and its
 * version stay the same during its life, so who holds a handle needs no lock to use them; the rest
 * is guarded by the connection's `state`, and two numbers that others look at are atomic.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/cleanup.h"
#include "proto/status-slot.h"
#include "proto/wire.h"

struct block;
struct shmreg_conn;

struct mapping {
    struct shmreg_conn *conn;
    unsigned references;
    uint32_t access; /* with options: see advice.h */
    uint32_t hash;   /* of the name */
    char *name;      /* behind the struct, in the same block */

    void *data; /* NULL before it is mapped, or if it was not inherited */
    size_t length;
    size_t page_size;
    uint32_t backing;
    int fd;
    uint64_t id;
    uint32_t version;
    _Atomic uint64_t size; /* a region grows in place */
    struct block *block;   /* the region's sync block; NULL if it has none */

    uint64_t attachment_id; /* 0 if the daemon knows of none */
    bool staged;            /* not published yet: one handle leads to it, and no open shares it */
    bool fresh;             /* the slot is one of the present link */
    const struct status_slot *slot;
    uint32_t slot_version;   /* what the slot said when the daemon was last asked */
    uint32_t slot_flags;     /* the same */
    _Atomic uint32_t losses; /* how often what handles know of the slot became worthless */

    bool in_table;
    LIST_ENTRY(mapping) chain;
    TAILQ_ENTRY(mapping) link; /* of mappings, later of detaches */
};

TAILQ_HEAD(mapping_list, mapping);

/* The mappings that an open may share, by name and access: at most one each. */
struct mapping_table {
    LIST_HEAD(mapping_chain, mapping) * chains;
    size_t n_chains; /* a power of two */
    size_t count;
};

int mapping_table_init(struct mapping_table *table);
void mapping_table_deinit(struct mapping_table *table);
struct mapping *mapping_table_find(const struct mapping_table *table, const char *name,
                                   uint32_t access);
void mapping_table_insert(struct mapping_table *table, struct mapping *mapping);
void mapping_table_remove(struct mapping_table *table, struct mapping *mapping);
uint32_t mapping_name_hash(const char *name);

/* What the daemon is asked for: WIRE_READ or WIRE_WRITE. */
static inline uint32_t mapping_right(const struct mapping *mapping) {
    return mapping->access & (WIRE_READ | WIRE_WRITE);
}

/* A mapping that has no memory yet, made before the daemon is asked so that nothing is short
 * afterwards. NULL with the sentence kept. */
struct mapping *mapping_new(struct shmreg_conn *conn, const char *name, uint32_t access);

/* Ends one that is not in the connection's lists: unmaps it and has its attachment detached. */
void mapping_free(struct mapping *mapping);
DEFINE_CLEANUP(struct mapping *, mapping_free);

/* Takes note of the attachment, so that mapping_free() ends it. -EPROTO for nonsense. */
int mapping_attach(struct mapping *mapping, const struct wire_attachment *attachment);

/* Maps what was attached; the descriptor is taken over, whatever it returns. */
int mapping_map(struct mapping *mapping, const struct wire_attachment *attachment, int fd);

/* These six with `state` held. */

/* @mapping gets the attachment of @newer, of the same segment, what is known of its slot and its
 * size, and @newer gets the attachment that is not needed any more. False if they are not the same
 * segment. */
bool mapping_take_over(struct mapping *mapping, struct mapping *newer);

/* The daemon knows nothing of it any more, or not by the slot it had: no handle that leads to it
 * is current from now on. */
void mapping_lose(struct mapping *mapping);

/* In the child of a fork(2): a mapping that was not inherited has no memory, and none is to be
 * unmapped, as the addresses may belong to somebody else by now. */
void mapping_forget_memory(struct mapping *mapping);

/* Puts it into the connection's lists. Returns it, or the one that is there already for the same
 * segment and has taken over; then mapping_free() is left to the caller. */
struct mapping *mapping_install(struct mapping *newer);

/* A staged one has become what this says: from now on an open may share it. */
int mapping_publish(struct mapping *mapping, const struct wire_attachment *attachment);

/* One that is known to be current without asking anybody; else NULL. */
struct mapping *mapping_find_current(const struct shmreg_conn *conn, const char *name,
                                     uint32_t access);

/* Gives one reference back. The first with `state` held: true if it was the last, and then
 * mapping_free() is left to the caller. */
bool mapping_release(struct mapping *mapping);
void mapping_unref(struct mapping *mapping);
