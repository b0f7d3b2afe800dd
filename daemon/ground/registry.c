/*
 * Registry, the records: see registry.h.
 *
 * A volatile put or delete is no system call at all: the map is written in place, and one commit
 * is one store of a transaction number after everything else.
 */
#include "daemon/ground/registry-private.h"

#include <errno.h>
#include <string.h>

const char *registry_table_name(enum registry_table table) {
    static const char *const names[] = {
        [REGISTRY_META] = "meta",         [REGISTRY_REGIONS] = "regions",
        [REGISTRY_HOLDERS] = "holders",   [REGISTRY_STAGES] = "stages",
        [REGISTRY_SESSIONS] = "sessions",
    };

    return names[table];
}

int registry_errno(int rc) {
    switch (rc) {
    case MDB_MAP_FULL:
        return -ENOSPC;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    default:
        return rc >= 0 ? -rc : -EIO;
    }
}

static MDB_val text_value(const char *text) {
    return (MDB_val){.mv_data = (void *)text, .mv_size = strlen(text)};
}

/* Stores the value, or deletes the record, which need not be there. */
static int change_one(struct registry *registry, MDB_txn *txn,
                      const struct registry_change *change) {
    MDB_val key = text_value(change->key), data;
    int rc;

    if (change->value) {
        data = text_value(change->value);
        return mdb_put(txn, registry->tables[change->table], &key, &data, 0);
    }
    rc = mdb_del(txn, registry->tables[change->table], &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int commit_once(struct registry *registry, const struct registry_change *changes,
                       size_t count) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(registry->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = change_one(registry, txn, &changes[i]);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

int registry_commit(struct registry *registry, const struct registry_change *changes, size_t count,
                    struct error *error) {
    bool deletes = !changes[0].value;
    int r = registry_map(registry, error), rc;

    if (r < 0)
        return r;
    /* The spare space was used to delete in a full file system: it comes first. */
    r = deletes ? 0 : registry_keep_spare(registry);
    if (r < 0)
        return error_set(error, r, "no space for registry %s", registry->path);

    rc = commit_once(registry, changes, count);
    while (rc == MDB_MAP_FULL) {
        r = registry_grow(registry, deletes, error);
        if (r < 0)
            return r;
        rc = commit_once(registry, changes, count);
    }
    if (rc == 0)
        return 0;
    /* LMDB refuses everything after some errors; the next call maps the file anew. */
    if (rc != MDB_BAD_VALSIZE)
        registry_unmap(registry);
    return error_set(error, registry_errno(rc), "cannot write registry %s: %s", registry->path,
                     mdb_strerror(rc));
}

int registry_put(struct registry *registry, enum registry_table table, const char *key,
                 const char *value, struct error *error) {
    return registry_commit(registry, &(struct registry_change){table, key, value}, 1, error);
}

int registry_delete(struct registry *registry, enum registry_table table, const char *key,
                    struct error *error) {
    return registry_commit(registry, &(struct registry_change){table, key, NULL}, 1, error);
}

static int begin_read(struct registry *registry, MDB_txn **ret) {
    int r = registry_map(registry, NULL);

    return r < 0 ? r : registry_errno(mdb_txn_begin(registry->env, NULL, MDB_RDONLY, ret));
}

int registry_get(struct registry *registry, enum registry_table table, const char *key,
                 char **ret_value) {
    MDB_val key_value = text_value(key), data;
    MDB_txn *txn;
    int r = begin_read(registry, &txn);

    if (r < 0)
        return r;
    r = registry->tables[table] == NO_TABLE
            ? -ENOENT
            : registry_errno(mdb_get(txn, registry->tables[table], &key_value, &data));
    if (r == 0) {
        *ret_value = strndup(data.mv_data, data.mv_size);
        if (!*ret_value)
            r = -ENOMEM;
    }
    mdb_txn_abort(txn);
    return r;
}

/* Gives one record to @each, as texts. */
static int give(const MDB_val *key, const MDB_val *data,
                int (*each)(void *data, const char *key, const char *value), void *userdata) {
    _cleanup_free_ char *key_text = strndup(key->mv_data, key->mv_size);
    _cleanup_free_ char *value_text = strndup(data->mv_data, data->mv_size);

    if (!key_text || !value_text)
        return -ENOMEM;
    return each(userdata, key_text, value_text);
}

int registry_each(struct registry *registry, enum registry_table table,
                  int (*each)(void *data, const char *key, const char *value), void *data) {
    MDB_val key, value;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int r = begin_read(registry, &txn), rc;

    if (r < 0)
        return r;
    if (registry->tables[table] == NO_TABLE) {
        mdb_txn_abort(txn);
        return 0;
    }
    rc = mdb_cursor_open(txn, registry->tables[table], &cursor);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return registry_errno(rc);
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0 && r == 0;) {
        r = give(&key, &value, each, data);
        if (r == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return r != 0 || rc == MDB_NOTFOUND ? r : registry_errno(rc);
}
