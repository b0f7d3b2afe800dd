/*
 * Registry: what must outlive the daemon's process
 *
 * A thin layer over LMDB: tables of records, each a text key and a text value. A put or a delete is
 * committed when the call returns, so whatever was answered afterwards survives a kill of the
 * daemon.
 *
 * There are two, in the same format. The volatile one lives in the runtime directory (tmpfs): it is
 * not synced, and its memory is reserved beforehand (fallocate(2)), so that a full tmpfs is an
 * error here and never a SIGBUS. The durable one lives in the state directory and every commit is
 * on disk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum registry_table {
    REGISTRY_META,     /* format version, instance, next id */
    REGISTRY_REGIONS,  /* by id */
    REGISTRY_HOLDERS,  /* by client id and attachment id */
    REGISTRY_STAGES,   /* by client id and stage id */
    REGISTRY_SESSIONS, /* by client id */
    REGISTRY_TABLE_COUNT,
};

struct registry;

/*
 * Opens (or makes) the registry in @directory/registry.
 *
 * A file that is damaged or no registry is set aside as @directory/quarantine/registry.N, logged,
 * and a new one made; for one that is gone from its directory, that file is empty. -EBUSY: another process has it open (flock(2) on @directory/registry/owner).
 * -ENOTSUP: a newer shmregd wrote it, and it was left as it is.
 */
int registry_open(const char *directory, bool durable, struct registry **ret, struct error *error);
/*
 * Opens one that is there for reading, and changes nothing. The lock is taken, too. -ENOENT: there is
 * none. -EUCLEAN: it is damaged: then *ret is all the same a registry, which is locked and has no
 * records.
 */
int registry_inspect(const char *directory, bool durable, struct registry **ret,
                     struct error *error);
/* From now on it can be written to: what registry_open() would have done is done. */
int registry_begin_repair(struct registry *registry, struct error *error);

/*
 * The format of its records. One of an older format is used as it is, and is not written to by what
 * opens it, until whoever knows the records has brought them to REGISTRY_FORMAT and says so. Until
 * then, tables that came later are empty.
 */
#define REGISTRY_FORMAT 4u
unsigned registry_format(const struct registry *registry);
int registry_set_format(struct registry *registry, struct error *error);
const char *registry_path(const struct registry *registry);

void registry_close(struct registry *registry);
DEFINE_CLEANUP(struct registry *, registry_close);

/* 0, or -ENOSPC, -ENOMEM, -EIO: then nothing has changed. Grows the registry as needed. */
int registry_put(struct registry *registry, enum registry_table table, const char *key,
                 const char *value, struct error *error);

/* 0 also when there was no such record. A full file system does not keep it from deleting: space for
 * that is reserved. */
int registry_delete(struct registry *registry, enum registry_table table, const char *key,
                    struct error *error);

/* What registry_put() and registry_delete() (@value NULL) do to one record. */
struct registry_change {
    enum registry_table table;
    const char *key, *value;
};

/* Makes all the changes in one transaction, or none of them; else as registry_put(), and as
 * registry_delete() if that is the first one. */
int registry_commit(struct registry *registry, const struct registry_change *changes, size_t count,
                    struct error *error);

/* The value, to be freed by the caller; -ENOENT. */
int registry_get(struct registry *registry, enum registry_table table, const char *key,
                 char **ret_value);

/* Calls @each for every record in order of key, until it returns something other than 0, which is
 * then returned. @each may not change the registry. */
int registry_each(struct registry *registry, enum registry_table table,
                  int (*each)(void *data, const char *key, const char *value), void *data);

/* Sets one record aside: moves it to @directory/quarantine/TABLE.KEY.json and deletes it here. */
int registry_quarantine(struct registry *registry, enum registry_table table, const char *key,
                        const char *why);

/* True if a record of that key may be in quarantine: it was set aside, or the whole registry was or
 * will be (or nobody can tell). */
bool registry_may_have_quarantined(const struct registry *registry, enum registry_table table,
                                   const char *key);
