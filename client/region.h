/*
 * Region: one mapped segment and how many handles lead to it
 *
 * All opens of one name with one access share it while it is current. What it maps never changes
 * during its life, so the accessors need no lock; the rest is guarded by the connection's `state`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "client/shmreg.h"
#include "proto/cleanup.h"
#include "proto/wire.h"

struct shmreg_region {
    struct shmreg_conn *conn;
    unsigned references;
    uint32_t access;
    uint32_t hash; /* of the name */
    char *name;    /* behind the struct, in the same block */

    void *data; /* NULL before it is mapped */
    size_t length;
    int fd;
    uint64_t id;
    uint64_t size;
    uint32_t version;

    uint64_t attachment_id; /* 0 if the daemon knows of none */
    bool fresh;             /* slot and slot_version are of the present link */
    uint32_t slot;
    uint32_t slot_version;

    bool in_table;
    LIST_ENTRY(shmreg_region) chain;
    TAILQ_ENTRY(shmreg_region) link; /* of regions, later of detaches */
};

/* The regions that an open may share, by name and access: at most one each. */
struct region_table {
    LIST_HEAD(region_chain, shmreg_region) * chains;
    size_t n_chains; /* a power of two */
    size_t count;
};

int region_table_init(struct region_table *table);
void region_table_deinit(struct region_table *table);
struct shmreg_region *region_table_find(const struct region_table *table, const char *name,
                                        uint32_t access);
void region_table_insert(struct region_table *table, struct shmreg_region *region);
void region_table_remove(struct region_table *table, struct shmreg_region *region);
uint32_t region_name_hash(const char *name);

/* A region that has no memory yet, made before the daemon is asked so that nothing is short
 * afterwards. NULL with the sentence kept. */
struct shmreg_region *region_new(struct shmreg_conn *conn, const char *name, uint32_t access);

/* Ends one that is not in the connection's lists: unmaps it and has its attachment detached. */
void region_free(struct shmreg_region *region);
DEFINE_CLEANUP(struct shmreg_region *, region_free);

/* Takes note of the attachment, so that region_free() ends it. -EPROTO for nonsense. */
int region_attach(struct shmreg_region *region, const struct wire_attachment *attachment);

/* Maps what was attached; the descriptor is taken over, whatever it returns. */
int region_map(struct shmreg_region *region, const struct wire_attachment *attachment, int fd);

/* With `state` held: @region gets the attachment of @newer, of the same segment, and @newer gets
 * the one that is not needed any more. False if they are not the same segment. */
bool region_take_over(struct shmreg_region *region, struct shmreg_region *newer);

/* One more handle to a region that is known to be current without asking anybody; else NULL. */
struct shmreg_region *region_share(struct shmreg_conn *conn, const char *name, uint32_t access);

/* Gives one handle back. */
void region_unref(struct shmreg_region *region);
