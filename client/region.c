/*
 * Regions: making handles, looking through them, and giving them back: see region.h.
 */
#include "client/region.h"

#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <stdlib.h>

struct shmreg_region *region_new(struct shmreg_conn *conn, const char *name, uint32_t access) {
    _cleanup_free_ struct shmreg_region *region = calloc(1, sizeof(*region));

    if (!region) {
        fail(-ENOMEM, "no memory for a handle to region '%s'", name);
        return NULL;
    }
    region->conn = conn;
    region->mapping = mapping_new(conn, name, access);
    return region->mapping ? steal_pointer(region) : NULL;
}

void region_free(struct shmreg_region *region) {
    mapping_free(region->mapping);
    free(region);
}

void region_lead_to(struct shmreg_region *region, struct mapping *mapping) {
    atomic_store_explicit(&region->slot, mapping->slot, memory_order_release);
    atomic_store_explicit(&region->seen, mapping->slot_version, memory_order_release);
    atomic_store_explicit(&region->losses, mapping->losses, memory_order_release);
    region->told = (struct status_words){mapping->slot_version, mapping->slot_flags};
    region->told_losses = mapping->losses;
    atomic_store_explicit(&region->mapping, mapping, memory_order_release);
}

/* With `state` held. */
static void add_handle(struct shmreg_region *region, struct mapping *mapping) {
    mapping->references++;
    region_lead_to(region, mapping);
    LIST_INSERT_HEAD(&region->conn->regions, region, link);
}

void region_install(struct shmreg_region *region) {
    struct shmreg_conn *conn = region->conn;
    struct mapping *newer = region->mapping, *mapping;

    pthread_mutex_lock(&conn->state);
    mapping = mapping_install(newer);
    add_handle(region, mapping);
    pthread_mutex_unlock(&conn->state);
    if (mapping != newer)
        mapping_free(newer);
}

struct shmreg_region *region_share(struct shmreg_conn *conn, const char *name, uint32_t access,
                                   bool silent) {
    _cleanup_free_ struct shmreg_region *region = calloc(1, sizeof(*region));
    struct mapping *mapping;

    if (!region)
        return NULL;
    region->conn = conn;
    region->silent = silent;
    pthread_mutex_lock(&conn->state);
    mapping = mapping_find_current(conn, name, access);
    if (mapping)
        add_handle(region, mapping);
    pthread_mutex_unlock(&conn->state);
    return mapping ? steal_pointer(region) : NULL;
}

static void give_back(struct shmreg_region *region) {
    struct shmreg_conn *conn = region->conn;
    struct mapping *mapping = region->mapping;
    bool last;

    pthread_mutex_lock(&conn->state);
    LIST_REMOVE(region, link);
    if (region->news != 0)
        TAILQ_REMOVE(&conn->news, region, news_link);
    last = mapping_release(mapping);
    pthread_mutex_unlock(&conn->state);
    free(region);
    if (last)
        mapping_free(mapping);
}

void shmreg_drop_old(shmreg_region *region) {
    struct shmreg_region *older;

    while ((older = region->older)) {
        region->older = older->older;
        give_back(older);
    }
}

void shmreg_close(shmreg_region *region) {
    if (!region)
        return;
    shmreg_drop_old(region);
    give_back(region);
}

void *shmreg_data(const shmreg_region *region) {
    return region_mapping(region)->data;
}

uint64_t shmreg_size(const shmreg_region *region) {
    return atomic_load_explicit(&region_mapping(region)->size, memory_order_acquire);
}

int shmreg_fd(const shmreg_region *region) {
    return region_mapping(region)->fd;
}

uint32_t shmreg_version(const shmreg_region *region) {
    return region_mapping(region)->version;
}
