/*
 * The table of mappings that an open may share
 *
 * A hash table with chains, so that a second open costs a few dozen nanoseconds however many
 * regions are held. It doubles when it is full; if there is no memory for that, its chains get
 * longer instead.
 */
#include "client/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHAINS 64u

int mapping_table_init(struct mapping_table *table) {
    *table = (struct mapping_table){.n_chains = FIRST_CHAINS};
    table->chains = calloc(table->n_chains, sizeof(*table->chains));
    return table->chains ? 0 : -ENOMEM;
}

void mapping_table_deinit(struct mapping_table *table) {
    free(table->chains);
}

/* FNV-1a: names are short, and nobody but the caller chooses them. */
uint32_t mapping_name_hash(const char *name) {
    uint32_t hash = 2166136261u;

    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash;
}

static struct mapping_chain *chain_of(const struct mapping_table *table, uint32_t hash) {
    return &table->chains[hash & (table->n_chains - 1)];
}

struct mapping *mapping_table_find(const struct mapping_table *table, const char *name,
                                   uint32_t access) {
    uint32_t hash = mapping_name_hash(name);
    struct mapping *mapping;

    LIST_FOREACH (mapping, chain_of(table, hash), chain)
        if (mapping->hash == hash && mapping->access == access && strcmp(mapping->name, name) == 0)
            return mapping;
    return NULL;
}

static void grow(struct mapping_table *table) {
    struct mapping_table larger = {.n_chains = table->n_chains * 2, .count = table->count};

    larger.chains = calloc(larger.n_chains, sizeof(*larger.chains));
    if (!larger.chains)
        return;
    for (size_t i = 0; i < table->n_chains; i++) {
        struct mapping *mapping;

        while ((mapping = LIST_FIRST(&table->chains[i]))) {
            LIST_REMOVE(mapping, chain);
            LIST_INSERT_HEAD(chain_of(&larger, mapping->hash), mapping, chain);
        }
    }
    free(table->chains);
    *table = larger;
}

void mapping_table_insert(struct mapping_table *table, struct mapping *mapping) {
    if (table->count >= table->n_chains)
        grow(table);
    LIST_INSERT_HEAD(chain_of(table, mapping->hash), mapping, chain);
    mapping->in_table = true;
    table->count++;
}

void mapping_table_remove(struct mapping_table *table, struct mapping *mapping) {
    if (!mapping->in_table)
        return;
    LIST_REMOVE(mapping, chain);
    mapping->in_table = false;
    table->count--;
}
