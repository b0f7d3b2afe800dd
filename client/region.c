/*
 * Regions: attaching, mapping, sharing, and giving back: see region.h.
 */
#include "client/region.h"

#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct shmreg_region *region_new(struct shmreg_conn *conn, const char *name, uint32_t access) {
    size_t name_size = strlen(name) + 1;
    struct shmreg_region *region = calloc(1, sizeof(*region) + name_size);

    if (!region) {
        fail(-ENOMEM, "no memory for region '%s'", name);
        return NULL;
    }
    region->conn = conn;
    region->access = access;
    region->fd = -1;
    region->name = memcpy(region + 1, name, name_size);
    region->hash = region_name_hash(name);
    return region;
}

void region_free(struct shmreg_region *region) {
    struct shmreg_conn *conn = region->conn;

    /* First let go, then tell: the daemon's books never say less than what is mapped. */
    if (region->data)
        munmap(region->data, region->length);
    close_fd(&region->fd);

    pthread_mutex_lock(&conn->state);
    if (region->attachment_id != 0 && !conn->inherited) {
        TAILQ_INSERT_TAIL(&conn->detaches, region, link);
        if (!conn->next_detach)
            conn->next_detach = region;
        connection_flush_detaches(conn);
        region = NULL;
    }
    pthread_mutex_unlock(&conn->state);
    free(region);
}

int region_attach(struct shmreg_region *region, const struct wire_attachment *attachment) {
    region->attachment_id = attachment->attachment_id;
    region->id = attachment->region_id;
    region->version = attachment->version;
    region->size = attachment->size;
    region->slot = attachment->slot;
    region->slot_version = attachment->slot_version;
    region->fresh = true;

    if (attachment->attachment_id == 0 || attachment->access != region->access ||
        attachment->size == 0 || attachment->max_size < attachment->size ||
        attachment->max_size > INT64_MAX || attachment->slot >= region->conn->n_slots)
        return fail(-EPROTO, "region '%s': the daemon's answer contradicts itself", region->name);
    return 0;
}

/* A memfd is sealed at max_size. Any other memory can be cut by its writers, and to map what is not
 * there would be a SIGBUS later. */
static int check_descriptor(const struct shmreg_region *region,
                            const struct wire_attachment *attachment, int fd) {
    uint64_t promised =
        attachment->backing == SHMREG_MEMFD ? attachment->max_size : attachment->size;
    int mode = region->access == SHMREG_WRITE ? O_RDWR : O_RDONLY;
    int flags = fcntl(fd, F_GETFL);
    struct stat status;

    if (flags < 0 || fstat(fd, &status) < 0)
        return fail(-errno, "region '%s': its descriptor: %s", region->name, strerror(errno));
    if ((flags & O_ACCMODE) != mode || !S_ISREG(status.st_mode))
        return fail(-EPROTO, "region '%s': the daemon sent another descriptor than was asked for",
                    region->name);
    if ((uint64_t)status.st_size >= promised)
        return 0;
    if (attachment->backing == SHMREG_MEMFD)
        return fail(-EPROTO, "region '%s': its memory is smaller than the daemon says",
                    region->name);
    return fail(-EIO, "region '%s': a writer cut its memory from %" PRIu64 " to %jd bytes",
                region->name, attachment->size, (intmax_t)status.st_size);
}

int region_map(struct shmreg_region *region, const struct wire_attachment *attachment, int fd_) {
    _cleanup_close_ int fd = fd_;
    int protection = region->access == SHMREG_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t length = (attachment->max_size + page - 1) / page * page;
    void *data;
    int r = check_descriptor(region, attachment, fd);

    if (r < 0)
        return r;
    if (length > PTRDIFF_MAX)
        return fail(-ENOMEM, "region '%s': %" PRIu64 " bytes do not fit into the address space",
                    region->name, length);
    data = mmap(NULL, (size_t)length, protection, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return fail(-errno, "region '%s': cannot map %" PRIu64 " bytes: %s", region->name, length,
                    strerror(errno));
    region->data = data;
    region->length = (size_t)length;
    region->fd = steal_fd(&fd);
    return 0;
}

bool region_take_over(struct shmreg_region *region, struct shmreg_region *newer) {
    uint64_t unneeded = region->attachment_id;

    if (region->id != newer->id || region->version != newer->version)
        return false;
    region->attachment_id = newer->attachment_id;
    region->slot = newer->slot;
    region->slot_version = newer->slot_version;
    region->fresh = true;
    newer->attachment_id = unneeded;
    return true;
}

static bool is_current(const struct shmreg_conn *conn, const struct shmreg_region *region) {
    return conn->linked && region->fresh &&
           atomic_load_explicit(&conn->page[region->slot].version, memory_order_acquire) ==
               region->slot_version;
}

struct shmreg_region *region_share(struct shmreg_conn *conn, const char *name, uint32_t access) {
    struct shmreg_region *region;

    pthread_mutex_lock(&conn->state);
    region = region_table_find(&conn->table, name, access);
    if (region && is_current(conn, region))
        region->references++;
    else
        region = NULL;
    pthread_mutex_unlock(&conn->state);
    return region;
}

void region_unref(struct shmreg_region *region) {
    struct shmreg_conn *conn = region->conn;
    bool last;

    pthread_mutex_lock(&conn->state);
    last = --region->references == 0;
    if (last) {
        region_table_remove(&conn->table, region);
        TAILQ_REMOVE(&conn->regions, region, link);
    }
    pthread_mutex_unlock(&conn->state);
    if (last)
        region_free(region);
}

void shmreg_close(shmreg_region *region) {
    if (region)
        region_unref(region);
}

void *shmreg_data(const shmreg_region *region) {
    return region->data;
}

uint64_t shmreg_size(const shmreg_region *region) {
    return region->size;
}

int shmreg_fd(const shmreg_region *region) {
    return region->fd;
}

uint32_t shmreg_version(const shmreg_region *region) {
    return region->version;
}
