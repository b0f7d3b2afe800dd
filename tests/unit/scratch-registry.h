/*
 * A registry of a test on its scratch file system: what must not fail does not.
 */
#pragma once

#include "daemon/ground/registry.h"
#include "tests/unit/scratch.h"

#define FILE_PATH SCRATCH "/registry/records.mdb"
#define MiB ((uint64_t)1 << 20)

static inline struct registry *open_registry(bool durable) {
    struct registry *registry;
    struct error error = {0};
    int r = registry_open(SCRATCH, durable, &registry, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    return registry;
}

static inline void put(struct registry *registry, enum registry_table table, const char *key,
                       const char *value) {
    struct error error = {0};
    int r = registry_put(registry, table, key, value, &error);

    ck_assert_msg(r == 0, "%s", error.text);
}

static inline void delete_record(struct registry *registry, enum registry_table table,
                                 const char *key) {
    struct error error = {0};
    int r = registry_delete(registry, table, key, &error);

    ck_assert_msg(r == 0, "%s", error.text);
}

static inline void expect(struct registry *registry, enum registry_table table, const char *key,
                          const char *value) {
    _cleanup_free_ char *found = NULL;
    int r = registry_get(registry, table, key, &found);

    ck_assert_int_eq(r, value ? 0 : -ENOENT);
    if (value)
        ck_assert_str_eq(found, value);
}

static inline int count_record(void *data, const char *key, const char *value) {
    (void)key;
    (void)value;
    (*(unsigned *)data)++;
    return 0;
}

static inline unsigned count_records(struct registry *registry, enum registry_table table) {
    unsigned count = 0;

    ck_assert_int_eq(registry_each(registry, table, count_record, &count), 0);
    return count;
}
