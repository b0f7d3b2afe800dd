/*
 * Record upgrade: see record-upgrade.h.
 */
#include "daemon/core/record-upgrade.h"

#include "daemon/ground/log.h"
#include "proto/cleanup.h"
#include "proto/words.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A record that is to be replaced: a registry is not changed while it is walked. */
struct replacement {
    STAILQ_ENTRY(replacement) link;
    char *key, *text;
};

struct upgrade {
    enum registry_table table;
    STAILQ_HEAD(, replacement) replacements;
};

/* The key's value is taken over; 0 or -1 as jansson has it. */
static int add(json_t *record, const char *key, json_t *value) {
    if (!json_object_get(record, key))
        return json_object_set_new(record, key, value);
    json_decref(value);
    return 0;
}

/* Files have the durability that a new one has, too. */
static int add_to_region(json_t *record) {
    const char *backing = json_string_value(json_object_get(record, "backing"));
    bool file = backing && backing_from_word(backing) == BACKING_FILE;
    const char *durability = durability_to_word(file ? DURABILITY_PUBLISH : DURABILITY_NONE);

    return add(record, "slot_version", json_integer(0)) < 0 ||
                   add(record, "sync_block", json_false()) < 0 ||
                   add(record, "sealed", json_false()) < 0 ||
                   add(record, "durability", json_string(durability)) < 0 ||
                   add(record, "durability_seconds", json_integer(0)) < 0
               ? -1
               : 0;
}

static int add_to_stage(json_t *record) {
    return add(record, "sync_block", json_false()) < 0 ||
                   add(record, "durability", json_integer(0)) < 0 ||
                   add(record, "durability_seconds", json_integer(0)) < 0
               ? -1
               : 0;
}

int record_upgrade(enum registry_table table, const char *text, char **ret) {
    json_t *record = json_loads(text, 0, NULL);
    int r = 0;

    *ret = NULL;
    if (!json_is_object(record))
        *ret = strdup(text);
    else if (table == REGISTRY_REGIONS)
        r = add_to_region(record);
    else if (table == REGISTRY_STAGES)
        r = add_to_stage(record);
    if (r == 0 && !*ret)
        *ret = json_dumps(record, JSON_COMPACT);
    json_decref(record);
    return *ret ? 0 : -ENOMEM;
}

static void free_replacement(struct replacement *replacement) {
    free(replacement->key);
    free(replacement->text);
    free(replacement);
}

static int on_record(void *data, const char *key, const char *value) {
    struct upgrade *upgrade = data;
    struct replacement *replacement = calloc(1, sizeof(*replacement));

    if (!replacement)
        return -ENOMEM;
    replacement->key = strdup(key);
    if (!replacement->key || record_upgrade(upgrade->table, value, &replacement->text) < 0) {
        free_replacement(replacement);
        return -ENOMEM;
    }
    STAILQ_INSERT_TAIL(&upgrade->replacements, replacement, link);
    return 0;
}

static int upgrade_table(struct registry *registry, enum registry_table table,
                         struct error *error) {
    struct upgrade upgrade = {.table = table};
    struct replacement *replacement;
    int r;

    STAILQ_INIT(&upgrade.replacements);
    r = registry_each(registry, table, on_record, &upgrade);
    if (r < 0)
        error_set(error, r, "cannot read registry %s to upgrade it: %s", registry_path(registry),
                  strerror(-r));
    while ((replacement = STAILQ_FIRST(&upgrade.replacements))) {
        STAILQ_REMOVE_HEAD(&upgrade.replacements, link);
        if (r == 0)
            r = registry_put(registry, table, replacement->key, replacement->text, error);
        free_replacement(replacement);
    }
    return r;
}

int registry_upgrade(struct registry *registry, struct error *error) {
    unsigned format = registry_format(registry);
    int r;

    if (format == REGISTRY_FORMAT)
        return 0;
    r = upgrade_table(registry, REGISTRY_REGIONS, error);
    if (r == 0)
        r = upgrade_table(registry, REGISTRY_STAGES, error);
    /* Last, so that a kill before this point begins again. */
    if (r == 0)
        r = registry_set_format(registry, error);
    if (r == 0)
        log_info("registry %s was of format %u, and is of format %u now", registry_path(registry),
                 format, REGISTRY_FORMAT);
    return r;
}
