/*
 * Segment: the memory of one version of a region
 *
 * A POSIX shm object, a memfd or a file, mode 0600 and owned by the daemon's user, behind one small
 * table of functions: segment-named.c has the shm object and the file, which differ in their
 * directory only, segment-memfd.c the memfd; and memory that somebody else made: adopted.h. A segment
 * is kept by references: one of its region while it is the current version, one of each attachment.
 * With the last one its charge is released; its name is removed earlier, by segment_remove().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "daemon/core/quota.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/words.h"

#define SEGMENT_NAME_MAX 96
#define SEGMENT_MODE 0600

/* Where segments live: descriptors of directories, and the FD store for memfds. */
struct segment_places {
    const char
        *instance;      /* in every segment's name, so that daemons keep out of each other's way */
    sd_id128_t secret;  /* what suffixes of names are made with */
    int shm_directory;  /* /dev/shm */
    int file_directory; /* segments/ in the state directory */
    struct removals *removals;
    struct kept *kept; /* what the service manager keeps */
    struct disk *disk; /* NULL: nobody else waits for it */
};

struct segment {
    unsigned references;
    const struct segment_ops *ops;
    const struct segment_places *places;
    enum backing backing;
    enum huge_pages huge_pages; /* of a memfd; 0: none */
    uint64_t id;                /* of the region, or of the stage it began as */
    uint32_t version;           /* of the region */
    uint64_t suffix;            /* of its name in /dev/shm; 0: none */
    uint64_t size;
    uint64_t max_size;
    int fd;           /* memfd, adopted: the one descriptor that keeps it; else -1 */
    bool named;       /* to be removed: by name, or from the FD store */
    bool sealed;      /* nobody writes to it any more */
    bool kept;        /* in the FD store under its name, */
    bool is_left_out; /* or not, for lack of room */
    bool synced;      /* the content that is to become a version is on disk */
    struct charge *charge;
    STAILQ_ENTRY(segment) removal; /* while it waits for that */
    TAILQ_ENTRY(segment) left_out;
};

/* One backing. Functions return 0 or a negative errno. */
struct segment_ops {
    int (*create)(struct segment *segment);                /* makes the object; nothing on error */
    int (*open)(const struct segment *segment, int flags); /* a new open file description */
    int (*rename)(struct segment *segment,
                  const char *from); /* to segment_name(), now the new one */
    /* To at least so many bytes; NULL: it has max_size from the start. */
    int (*grow)(const struct segment *segment, uint64_t size);
    int (*seal)(const struct segment *segment);               /* NULL: the kernel cannot */
    int (*sync)(const struct segment *segment, bool content); /* name on disk, and content */
    int (*remove)(struct segment *segment);                   /* takes the name */
    /* Sets its access time, futimens(2); NULL: somebody else does. */
    int (*set_times)(const struct segment *segment, const struct timespec times[2]);
};

extern const struct segment_ops segment_named_ops, segment_memfd_ops, segment_adopted_ops;

/* Segments of that backing have no name: they end with the last descriptor. */
static inline bool backing_is_nameless(enum backing backing) {
    return backing == BACKING_MEMFD || backing == BACKING_ADOPTED;
}

/* Another open file description of what @fd leads to. */
int segment_open_anew(int fd, int flags);

/* Gives it the name of that version, a new object's, or the one that an object of the daemon's has
 * already. 0, or a negative errno when the kernel does not tell which boot this is. */
int segment_set_name(struct segment *segment, uint64_t id, uint32_t version);
int segment_find_name(struct segment *segment, uint64_t id, uint32_t version);

/* "shmreg.INSTANCE.ID.VERSION", with ".SUFFIX" in /dev/shm */
void segment_name(const struct segment *segment, char ret[static SEGMENT_NAME_MAX]);

/* Takes such a name apart: id, version, and suffix; false if it is not one of this instance and
 * backing. */
bool segment_name_parse(const struct segment_places *places, enum backing backing, const char *name,
                        struct segment *ret);

/*
 * Makes a segment of @size zero bytes that may grow to @max_size, of which whole pages are made.
 * @charge becomes the segment's
 * own. -ENOSPC, -EMFILE, -ENFILE, -ENOMEM, -EEXIST: then nothing is left of it, and the charge is
 * released.
 */
int segment_new(const struct segment_places *places, enum backing backing,
                enum huge_pages huge_pages, uint64_t id, uint32_t version, uint64_t size,
                uint64_t max_size, struct charge *charge, struct segment **ret,
                struct error *error);

/* The size of such pages in bytes, 1 for none. */
uint64_t huge_pages_size(enum huge_pages huge_pages);

/* The object of a segment that exists already; @fd is that of a nameless one, which becomes the
 * segment's own. */
int segment_new_existing(const struct segment_places *places, enum backing backing, uint64_t id,
                         uint32_t version, uint64_t size, uint64_t max_size, int fd,
                         struct segment **ret);

struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment);
DEFINE_CLEANUP(struct segment *, segment_unref);

/* Files are made, named, written, enlarged, synced and removed while the disk answers: else, the
 * functions for it return -EINPROGRESS, and one is removed later. */

/* A new open file description of the segment, O_RDONLY or O_RDWR: never a copy of another. */
int segment_open(const struct segment *segment, int flags, struct error *error);

/* Copies bytes in or out, whole or not at all (pwrite(2), pread(2): a full disk is an error here,
 * not a SIGBUS). -EOPNOTSUPP: huge pages cannot be written to like that. */
int segment_write(const struct segment *segment, uint64_t offset, const void *data, size_t size,
                  struct error *error);
int segment_read(const struct segment *segment, uint64_t offset, void *buffer, size_t size,
                 struct error *error);

/* As segment_read(), from a descriptor of segment_open(): goes on after the segment is removed. */
int segment_read_from(const struct segment *segment, int fd, uint64_t offset, void *buffer,
                      size_t size, struct error *error);

/* Makes room for @size bytes, at most max_size; segment->size is the caller's to change. */
int segment_grow(const struct segment *segment, uint64_t size, struct error *error);

/* Has the kernel refuse writers if it can (F_SEAL_WRITE, fcntl(2)); again is no error. -EBUSY:
 * somebody still has a memfd mapped for writing. segment->sealed is the caller's to change. */
int segment_seal(const struct segment *segment, struct error *error);

/* Puts a file's name on disk, and its @content, too (fsync(2)); the others have no disk. */
int segment_sync(const struct segment *segment, bool content, struct error *error);

/* When it was used last, in microseconds since 1970: kept as its access time, for whatever that is worth
 * (0: it is not known). Whether it has any memory yet. */
void segment_set_used(const struct segment *segment, uint64_t usec);
uint64_t segment_used(const struct segment *segment);
bool segment_has_pages(const struct segment *segment);

/* Makes it the given version of the given region. -EBUSY: something else has its name. */
int segment_rename(struct segment *segment, uint64_t id, uint32_t version, struct error *error);

/* Takes its name, so that the kernel frees the memory with the last mapping. */
void segment_remove(struct segment *segment);

/* 0 if the object is there as it was made; -ENOENT; -EUCLEAN if only its size is another one (a
 * writer's doing); -EPERM if it is of another type, owner or mode, so not the daemon's. Adopted
 * memory is anybody's, and may have grown. */
int segment_check(const struct segment *segment, struct error *error);
