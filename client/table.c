/*
 * The table of regions that an open may share
 *
 * A hash table with chains, so that a second open costs a few dozen nanoseconds however many
 * regions are held. It doubles when it is full; if there is no memory for that, its chains get
 * longer instead.
 */
#include "client/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHAINS 64u

int region_table_init(struct region_table *table) {
    *table = (struct region_table){.n_chains = FIRST_CHAINS};
    table->chains = calloc(table->n_chains, sizeof(*table->chains));
    return table->chains ? 0 : -ENOMEM;
}

void region_table_deinit(struct region_table *table) {
    free(table->chains);
}

/* FNV-1a: names are short, and nobody but the caller chooses them. */
uint32_t region_name_hash(const char *name) {
    uint32_t hash = 2166136261u;

    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash;
}

static struct region_chain *chain_of(const struct region_table *table, uint32_t hash) {
    return &table->chains[hash & (table->n_chains - 1)];
}

struct shmreg_region *region_table_find(const struct region_table *table, const char *name,
                                        uint32_t access) {
    uint32_t hash = region_name_hash(name);
    struct shmreg_region *region;

    LIST_FOREACH (region, chain_of(table, hash), chain)
        if (region->hash == hash && region->access == access && strcmp(region->name, name) == 0)
            return region;
    return NULL;
}

static void grow(struct region_table *table) {
    struct region_table larger = {.n_chains = table->n_chains * 2, .count = table->count};

    larger.chains = calloc(larger.n_chains, sizeof(*larger.chains));
    if (!larger.chains)
        return;
    for (size_t i = 0; i < table->n_chains; i++) {
        struct shmreg_region *region;

        while ((region = LIST_FIRST(&table->chains[i]))) {
            LIST_REMOVE(region, chain);
            LIST_INSERT_HEAD(chain_of(&larger, region->hash), region, chain);
        }
    }
    free(table->chains);
    *table = larger;
}

void region_table_insert(struct region_table *table, struct shmreg_region *region) {
    if (table->count >= table->n_chains)
        grow(table);
    LIST_INSERT_HEAD(chain_of(table, region->hash), region, chain);
    region->in_table = true;
    table->count++;
}

void region_table_remove(struct region_table *table, struct shmreg_region *region) {
    if (!region->in_table)
        return;
    LIST_REMOVE(region, chain);
    region->in_table = false;
    table->count--;
}
