/*
 * Mappings: attaching, mapping, sharing, and giving back: see mapping.h.
 */
#include "client/mapping.h"

#include "client/advice.h"
#include "client/block.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/huge.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mapping *mapping_new(struct shmreg_conn *conn, const char *name, uint32_t access) {
    size_t name_size = strlen(name) + 1;
    struct mapping *mapping = calloc(1, sizeof(*mapping) + name_size);

    if (!mapping) {
        fail(-ENOMEM, "no memory for region '%s'", name);
        return NULL;
    }
    mapping->conn = conn;
    mapping->access = access;
    mapping->fd = -1;
    mapping->name = memcpy(mapping + 1, name, name_size);
    mapping->hash = mapping_name_hash(name);
    return mapping;
}

void mapping_free(struct mapping *mapping) {
    struct shmreg_conn *conn = mapping->conn;

    /* First let go, then tell: the daemon's books never say less than what is mapped. */
    if (mapping->data)
        munmap(mapping->data, mapping->length);
    block_detach(mapping);
    close_fd(&mapping->fd);

    pthread_mutex_lock(&conn->state);
    if (mapping->attachment_id != 0 && !conn->inherited) {
        TAILQ_INSERT_TAIL(&conn->detaches, mapping, link);
        if (!conn->next_detach)
            conn->next_detach = mapping;
        connection_flush_detaches(conn);
        mapping = NULL;
    }
    pthread_mutex_unlock(&conn->state);
    free(mapping);
}

/* What nobody can replace is always current. */
static const struct status_slot stage_slot;

/* The flags that belong to the slot's version: if it has moved since, what they must have been. */
static uint32_t flags_at(const struct mapping *mapping, bool sealed) {
    struct status_words words = status_slot_read(mapping->slot);

    if (words.version == mapping->slot_version)
        return words.flags;
    return SLOT_LIVE | (sealed ? SLOT_SEALED : 0) | (words.flags & SLOT_TURN_MASK) |
           mapping->version << SLOT_REGION_VERSION_SHIFT;
}

int mapping_attach(struct mapping *mapping, const struct wire_attachment *attachment) {
    const struct page *page = mapping->conn->page;

    mapping->attachment_id = attachment->attachment_id;
    if (attachment->attachment_id == 0 || attachment->access != mapping_right(mapping) ||
        attachment->max_size == 0 || attachment->max_size < attachment->size ||
        attachment->max_size > INT64_MAX || attachment->slot >= page->n_slots)
        return fail(-EPROTO, "region '%s': the daemon's answer contradicts itself", mapping->name);

    mapping->id = attachment->region_id;
    mapping->version = attachment->version;
    mapping->size = attachment->size;
    mapping->slot = mapping->staged ? &stage_slot : &page->slots[attachment->slot];
    mapping->slot_version = attachment->slot_version;
    mapping->slot_flags = flags_at(mapping, attachment->flags & WIRE_ATTACHMENT_SEALED);
    mapping->fresh = true;
    return 0;
}

/* A memfd is sealed at max_size. Any other memory can be cut by its writers, and to map what is not
 * there would be a SIGBUS later. (That the descriptor allows the access, mmap(2) sees.) */
static int check_descriptor(const struct mapping *mapping, const struct wire_attachment *attachment,
                            int fd) {
    uint64_t promised =
        attachment->backing == SHMREG_MEMFD ? attachment->max_size : attachment->size;
    struct stat status;

    if (fstat(fd, &status) < 0)
        return fail(-errno, "region '%s': its descriptor: %s", mapping->name, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(-EPROTO, "region '%s': the daemon sent a descriptor that is no memory",
                    mapping->name);
    if ((uint64_t)status.st_size >= promised)
        return 0;
    if (attachment->backing == SHMREG_MEMFD)
        return fail(-EPROTO, "region '%s': its memory is smaller than the daemon says",
                    mapping->name);
    return fail(-EIO, "region '%s': a writer cut its memory from %" PRIu64 " to %jd bytes",
                mapping->name, attachment->size, (intmax_t)status.st_size);
}

static int map_memory(struct mapping *mapping, uint64_t length) {
    bool writes = mapping->access & (SHMREG_WRITE | SHMREG_PRIVATE);
    int sharing = mapping->access & SHMREG_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
    void *data;

    if (length > PTRDIFF_MAX)
        return fail(-ENOMEM, "region '%s': %" PRIu64 " bytes do not fit into the address space",
                    mapping->name, length);
    data = mmap(NULL, (size_t)length, writes ? PROT_READ | PROT_WRITE : PROT_READ, sharing,
                mapping->fd, 0);
    if (data == MAP_FAILED && mapping->page_size > (size_t)sysconf(_SC_PAGESIZE))
        return huge_fail_mapping(mapping, length, -errno);
    if (data == MAP_FAILED)
        return fail(errno == EACCES ? -EPROTO : -errno,
                    "region '%s': cannot map %" PRIu64 " bytes: %s", mapping->name, length,
                    strerror(errno));
    mapping->data = data;
    mapping->length = (size_t)length;
    return 0;
}

static uint64_t page_size_of(const struct wire_attachment *attachment) {
    if (attachment->flags & WIRE_ATTACHMENT_HUGE_2M)
        return UINT64_C(1) << 21;
    if (attachment->flags & WIRE_ATTACHMENT_HUGE_1G)
        return UINT64_C(1) << 30;
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

int mapping_map(struct mapping *mapping, const struct wire_attachment *attachment, int fd) {
    uint64_t page_size = page_size_of(attachment);
    uint64_t length = (attachment->max_size + page_size - 1) / page_size * page_size;
    int r;

    mapping->fd = fd;
    mapping->page_size = page_size;
    mapping->backing = attachment->backing;
    r = check_descriptor(mapping, attachment, fd);
    if (r == 0)
        r = map_memory(mapping, length);
    return r < 0 ? r : advice_apply(mapping);
}

bool mapping_take_over(struct mapping *mapping, struct mapping *newer) {
    uint64_t unneeded = mapping->attachment_id;

    if (mapping->id != newer->id || mapping->version != newer->version ||
        mapping->length < newer->size)
        return false;
    if (mapping->slot != newer->slot)
        mapping_lose(mapping);
    mapping->attachment_id = newer->attachment_id;
    mapping->size = newer->size;
    mapping->slot = newer->slot;
    mapping->slot_version = newer->slot_version;
    mapping->slot_flags = newer->slot_flags;
    mapping->fresh = true;
    newer->attachment_id = unneeded;
    return true;
}

void mapping_lose(struct mapping *mapping) {
    if (mapping->staged)
        return;
    mapping->losses++;
    mapping->fresh = false;
}

void mapping_forget_memory(struct mapping *mapping) {
    mapping->data = NULL;
    mapping->length = 0;
    mapping_table_remove(&mapping->conn->table, mapping);
    mapping_lose(mapping);
}

static void share(struct mapping *mapping, struct mapping *held) {
    if (held)
        mapping_table_remove(&mapping->conn->table, held);
    mapping_table_insert(&mapping->conn->table, mapping);
}

struct mapping *mapping_install(struct mapping *newer) {
    struct shmreg_conn *conn = newer->conn;
    struct mapping *held = mapping_table_find(&conn->table, newer->name, newer->access);

    if (!newer->staged) {
        if (held && mapping_take_over(held, newer))
            return held;
        share(newer, held);
    }
    TAILQ_INSERT_TAIL(&conn->mappings, newer, link);
    return newer;
}

int mapping_publish(struct mapping *mapping, const struct wire_attachment *attachment) {
    int r;

    mapping->staged = false;
    r = mapping_attach(mapping, attachment);
    if (r < 0)
        return r;
    share(mapping, mapping_table_find(&mapping->conn->table, mapping->name, mapping->access));
    return 0;
}

struct mapping *mapping_find_current(const struct shmreg_conn *conn, const char *name,
                                     uint32_t access) {
    struct mapping *mapping = mapping_table_find(&conn->table, name, access);

    if (!conn->linked || !mapping || !mapping->fresh ||
        atomic_load_explicit(&mapping->slot->version, memory_order_acquire) !=
            mapping->slot_version)
        return NULL;
    return mapping;
}

bool mapping_release(struct mapping *mapping) {
    if (--mapping->references > 0)
        return false;
    mapping_table_remove(&mapping->conn->table, mapping);
    TAILQ_REMOVE(&mapping->conn->mappings, mapping, link);
    return true;
}

void mapping_unref(struct mapping *mapping) {
    struct shmreg_conn *conn = mapping->conn;
    bool last;

    pthread_mutex_lock(&conn->state);
    last = mapping_release(mapping);
    pthread_mutex_unlock(&conn->state);
    if (last)
        mapping_free(mapping);
}
