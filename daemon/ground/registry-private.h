/*
 * Inside the registry: the map of its file, and what is set aside
 *
 * registry.c has the records, registry-map.c the file and its LMDB environment, registry-check.c
 * looks at a file before LMDB does, registry-quarantine.c keeps what cannot be used.
 */
#pragma once

#include <lmdb.h>

#include "daemon/ground/registry.h"

#define REGISTRY_FILE "records.mdb"

struct registry {
    int directory; /* that was given to registry_open() */
    int home;      /* "registry" in it */
    int owner;     /* holds the lock */
    int file;      /* REGISTRY_FILE, to reserve space in it */
    char *path;    /* of the file */
    bool durable;
    bool read_only; /* it is only inspected, */
    bool damaged;   /* and cannot be used as it is */
    bool has_spare; /* space for deletes in a full file system is reserved behind the map */
    size_t size;    /* of the map */
    MDB_env *env;   /* NULL while it is not mapped */
    unsigned format;
    MDB_dbi tables[REGISTRY_TABLE_COUNT];
};

/* In place of a table that a registry of an older format has not. */
#define NO_TABLE ((MDB_dbi)-1)

/* "meta", "regions", "holders", "stages" */
const char *registry_table_name(enum registry_table table);

/* The negative errno for what LMDB returned. */
int registry_errno(int rc);

/* Opens @directory and what is in it, which is made if it may be, and takes the lock. */
int registry_lock(struct registry *registry, const char *directory, struct error *error);

/* Whether a registry has been here, as the second has noted: the file may be gone since. */
bool registry_had_file(const struct registry *registry);
void registry_note_file(const struct registry *registry);

/* Sees that the registry is mapped, which it is but after an error. */
int registry_map(struct registry *registry, struct error *error);
void registry_unmap(struct registry *registry);

/*
 * Makes room: doubles the map, or enlarges it by as much as there is space for. @spare: the spare
 * space may be used as a last resort. -ENOSPC leaves everything as it was.
 */
int registry_grow(struct registry *registry, bool spare, struct error *error);

/* Reserves the spare space, unless it is there. */
int registry_keep_spare(struct registry *registry);

/*
 * Looks at a file that LMDB is to map: whether its pages are what they have to be, since LMDB
 * trusts every one of them. Returns 0, -ENOENT, -EUCLEAN when it is damaged or something else, or
 * another negative errno when it could not be read.
 */
int registry_check_file(int home, const char *name, struct error *error);

/* Moves the file to quarantine/registry.N and logs why; makes an empty one there for a file that is
 * gone. */
int registry_quarantine_file(struct registry *registry, const char *why, struct error *error);
