/*
 * libshmreg: named shared memory with an owner
 *
 * The daemon shmregd creates regions (a name with an owner, rights, a lifetime and memory), checks
 * who may map them and removes them when the rule that keeps them ends. This library asks the
 * daemon for descriptors over a Unix socket and maps them; after that, reading and writing cost
 * what memory costs, and the mapping outlives even a crash of the daemon.
 *
 *     shmreg_conn *conn;
 *     shmreg_region *region;
 *
 *     if (shmreg_connect(NULL, &conn) < 0 ||
 *         shmreg_create(conn, "feed/prices", 1 << 20, NULL, &region) < 0)
 *         errx(1, "%s", shmreg_error_message());
 *     memcpy(shmreg_data(region), prices, sizeof(prices));
 *
 * Errors. Functions that return int return 0 or a negative errno, unless they say what else;
 * shmreg_error_message() has the sentence that says which name, which limit, which right. Besides
 * the codes named at each function, every function that talks to the daemon may return
 *     -ENOMEM     no memory for the request
 *     -EMFILE     the process has no free descriptor (getrlimit(2), RLIMIT_NOFILE), or the daemon
 *                 has none; the message says which
 *     -ENOENT, -ECONNREFUSED, -EACCES
 *                 the daemon's socket cannot be reached (connect(2)); -ENOENT also when the region
 *                 named does not exist
 *     -ETIMEDOUT  the daemon went away, or stopped answering as the library connected, and did not
 *                 come back within five seconds
 *     -EPROTO     the other end of the socket does not speak this protocol
 *
 * Threads. A connection and its regions may be used by any number of threads at once, except that
 * shmreg_disconnect() must be the last call on a connection and shmreg_close() the last on that
 * handle, and shmreg_drop_old() on a handle must not run beside any other call on it but
 * shmreg_wait() and shmreg_wait_event(). A call that asks the daemon waits for such calls of other threads on the same
 * connection; shmreg_close() and an open that shares a mapping wait for nobody. No function here
 * may be called from a signal handler, and none but shmreg_guard() installs one.
 *
 * fork(2). Mappings are inherited as usual. The child may go on using connection and regions, and
 * its shmreg_close() and shmreg_disconnect() leave the parent's alone. Its first call that asks the
 * daemon opens a connection of its own; from then on what it holds counts as its own, too (as far
 * as it may still be opened: not a version that was replaced meanwhile). In a child made without
 * fork(2), by vfork(2), _Fork(3) or clone(2), nothing here may be called.
 *
 * A daemon that goes away. The call that notices, or the next one, connects again (for up to five
 * seconds), restores what was held, and asks once more; a request that had taken effect is not
 * carried out twice, except that a shmreg_put() may make the same content a new version once more.
 * Data already mapped is never affected, not even that of a region which is gone when the daemon
 * is back. Programs that call nothing notice nothing.
 *
 * Descriptors. One for each connection, two more for shmreg_conn_fd(), and one for each region that
 * is mapped, all close-on-exec.
 */
#ifndef SHMREG_H
#define SHMREG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* One connection to a daemon; a handle to one region that is mapped through it. */
typedef struct shmreg_conn shmreg_conn;
typedef struct shmreg_region shmreg_region;

/* What the memory of a region is made of. */
enum shmreg_backing {
    SHMREG_BACKING_DEFAULT = 0, /* as the daemon is configured: shm unless changed */
    SHMREG_SHM = 1,     /* POSIX shared memory, shm_overview(7): survives the daemon by name */
    SHMREG_MEMFD = 2,   /* memfd_create(2), sealed: no writer can resize it under a reader */
    SHMREG_FILE = 3,    /* a file in the daemon's state directory: survives a reboot */
    SHMREG_ADOPTED = 4, /* somebody's own, handed over by shmreg_adopt(); not for shmreg_create() */
};

/* The rule that ends a region. */
enum shmreg_lifetime {
    SHMREG_PERSISTENT = 1, /* until destroyed */
    SHMREG_ATTACHED = 2,   /* until `seconds` after its last attachment ended */
    SHMREG_OWNER = 3,      /* until the process that created it exits, however it exits */
    SHMREG_LEASE = 4,      /* until `seconds` pass without shmreg_renew() */
    SHMREG_CACHE = 5, /* until space is wanted: under a limit, on a full file system, or when the
                            * host is short of memory. Never while anybody is attached to it or stages a
                            * version; those not used for longest go first. Be ready for -ENOENT. */
};

/* When the content of a SHMREG_FILE region is on disk. shmreg_flush() puts it there at any time. */
enum shmreg_durability {
    SHMREG_DURABILITY_DEFAULT = 0,  /* PUBLISH for a file; other backings have no disk: NONE */
    SHMREG_DURABILITY_NONE = 1,     /* whenever the kernel comes to it */
    SHMREG_DURABILITY_INTERVAL = 2, /* every `durability_seconds` while it may have changed */
    SHMREG_DURABILITY_PUBLISH = 3,  /* a version is on disk before anyone sees it */
};

/* Access, for shmreg_open() and shmreg_open_many(): one of these two, */
#define SHMREG_READ 1u  /* the descriptor is O_RDONLY: the kernel refuses a writable mapping */
#define SHMREG_WRITE 2u /* read and write */

/*
 * and options of the mapping, which shmreg_create() takes as options.map_flags. Only handles that
 * were opened with the same ones share a mapping. An option that the host cannot fulfil is an error
 * of the open, with nothing left mapped; libshmreg(3) has a table of what each one needs.
 *
 * PRIVATE     with SHMREG_READ: copy on write. What is written stays in this process, as copies of
 *             the pages written to; pages that were not still show what others write. Handles that
 *             share the mapping share the copies.
 * POPULATE    every page is there before the open returns (madvise(2): MADV_POPULATE_WRITE, for
 *             readers MADV_POPULATE_READ): no space is -ENOSPC now, not a SIGBUS later. What a
 *             region grows by later is not populated. Other requests on the connection wait.
 * HUGE        transparent huge pages (MADV_HUGEPAGE); -EOPNOTSUPP where the host's policy forbids it
 * SEQUENTIAL  read ahead far (MADV_SEQUENTIAL)
 * RANDOM      do not read ahead (MADV_RANDOM)
 * WILLNEED    begin to read it in (MADV_WILLNEED)
 * LOCK        populated, and never swapped (mlock(2)); over RLIMIT_MEMLOCK -ENOMEM, or -EPERM if
 *             that is 0. What it grows by later is not locked.
 * NO_DUMP     not in core dumps (MADV_DONTDUMP)
 * NO_FORK     not in the child of a fork(2) (MADV_DONTFORK): there shmreg_data() is NULL and the
 *             handle is not current, and shmreg_refresh() maps the region anew
 */
#define SHMREG_PRIVATE 0x10u
#define SHMREG_POPULATE 0x20u
#define SHMREG_HUGE 0x40u
#define SHMREG_SEQUENTIAL 0x80u
#define SHMREG_RANDOM 0x100u
#define SHMREG_WILLNEED 0x200u
#define SHMREG_LOCK 0x400u
#define SHMREG_NO_DUMP 0x800u
#define SHMREG_NO_FORK 0x1000u

/* Flags of shmreg_create(). */
#define SHMREG_EXISTING_OK 1u /* if the region exists already, take it as it is */
#define SHMREG_DETACHED 2u    /* create only: nothing is mapped, *ret becomes NULL (ret may be) */
#define SHMREG_SYNC_BLOCK 4u  /* with a sync block: lock, sequence and event, see shmreg_lock() */
#define SHMREG_HUGE_2M 16u    /* a memfd of huge pages of 2 MiB that the host has set aside */
#define SHMREG_HUGE_1G 32u    /* the same, of 1 GiB */

/* As a mode where a region is created: 0600. Where rights are changed: the mode as it is. */
#define SHMREG_MODE_DEFAULT UINT32_MAX

/* The largest value of shmreg_put() and shmreg_get(), in bytes; the longest attributes; the most
 * regions of one shmreg_open_many(). */
#define SHMREG_VALUE_MAX 61440u
#define SHMREG_ATTRIBUTES_MAX 4096u
#define SHMREG_OPEN_MAX 64u

/* What shmreg_create() may be told. Fill it through SHMREG_OPTIONS(.mode = 0640, ...), which
 * leaves the rest at its default and keeps programs working when the struct grows. In C++ and
 * other languages, zero it and set struct_size to its size. */
struct shmreg_options {
    size_t struct_size;     /* set by SHMREG_OPTIONS() */
    uint32_t flags;         /* SHMREG_EXISTING_OK, SHMREG_DETACHED, SHMREG_HUGE_2M... */
    uint32_t backing;       /* enum shmreg_backing */
    uint32_t lifetime;      /* enum shmreg_lifetime; 0 is SHMREG_PERSISTENT */
    uint32_t seconds;       /* the linger of SHMREG_ATTACHED, the duration of SHMREG_LEASE */
    uint32_t mode;          /* r and w for owner, group, others, at most 0666. 0 is 0600: the owner
                               has every right anyway */
    uint32_t map_flags;     /* SHMREG_POPULATE and the other options of a mapping */
    uint64_t max_size;      /* bytes the region may ever have, and what quotas count; 0: its size */
    const char *acl;        /* further rules, "user:alice:rw,unit:nginx.service:r"; NULL for none */
    const char *attributes; /* a JSON object of at most SHMREG_ATTRIBUTES_MAX bytes; NULL for {} */
    uint32_t durability;    /* enum shmreg_durability */
    uint32_t durability_seconds; /* between two syncs of SHMREG_DURABILITY_INTERVAL */
};

/* On which NUMA nodes pages come to be. */
enum shmreg_numa_policy {
    SHMREG_NUMA_DEFAULT = 0,    /* on that of the thread that touches them first */
    SHMREG_NUMA_BIND = 2,       /* on the nodes given and on no other */
    SHMREG_NUMA_INTERLEAVE = 3, /* on the nodes given, page by page in turn */
};

#define SHMREG_OPTIONS(...)                                                                        \
    (&(struct shmreg_options){.struct_size = sizeof(struct shmreg_options), ##__VA_ARGS__})

/* What a region is, from shmreg_describe(). Strings live as long as the struct. */
struct shmreg_description {
    const char *name;
    const char *acl;        /* rules with commas between, "" for none */
    const char *attributes; /* JSON object */
    uint64_t id;            /* never used for another region of this daemon */
    uint64_t size;          /* bytes */
    uint64_t max_size;      /* bytes */
    int64_t created_usec;   /* microseconds since 1970, CLOCK_REALTIME */
    int64_t changed_usec;   /* the same, of the newest version */
    uint32_t version;       /* 1 at creation, one more with every replacement of the content */
    uint32_t backing;       /* enum shmreg_backing */
    uint32_t lifetime;      /* enum shmreg_lifetime */
    uint32_t seconds;       /* linger or lease duration */
    uint32_t
        remaining_seconds; /* until the lease or linger ends; UINT32_MAX when none is running */
    uint32_t mode;
    uint32_t owner_uid;
    uint32_t owner_gid;
    uint32_t rights;     /* the caller's: 1 read, 2 write, 4 manage */
    uint32_t readers;    /* attachments for reading */
    uint32_t writers;    /* attachments for writing */
    uint32_t flags;      /* SHMREG_SYNC_BLOCK, SHMREG_HUGE_2M, SHMREG_HUGE_1G */
    uint32_t durability; /* enum shmreg_durability */
    uint32_t durability_seconds;
    bool sealed; /* shmreg_seal() was called for this version */
};

/*
 * Connects to a daemon.
 *
 * @path: of its client socket; NULL for $SHMREG_SOCKET or, without that, the default: for root
 *        /run/shmregd/client.sock, for others $XDG_RUNTIME_DIR/shmregd/client.sock if it is there,
 *        else the former.
 * @ret:  receives the connection, which shmreg_disconnect() frees.
 *
 * -ENOENT, -ECONNREFUSED  no daemon listens there
 * -ECONNRESET             it ended before it answered
 * -EACCES                 the socket's directory is closed to the caller
 * -EDQUOT                 the daemon's limit on connections of this user, or in all, is reached
 * -ENAMETOOLONG           @path is longer than a socket address (unix(7))
 */
int shmreg_connect(const char *path, shmreg_conn **ret);

/* Ends the connection, unmaps and frees every region still open on it. NULL is allowed. Never waits
 * for the daemon. */
void shmreg_disconnect(shmreg_conn *conn);

/*
 * Creates a region, filled with zeroes, and maps it for reading and writing.
 *
 * @name:    1 to 200 bytes, components separated by '/', each [A-Za-z0-9_][A-Za-z0-9_.@:+-]*; below
 *           "user/UID/" or "user/NAME/" of the caller, or where a namespace lets him (shmregd.json(5))
 * @size:    bytes; the mapping is rounded up to whole pages. 0 only with a max_size, for shm and files:
 *           no byte of it may be touched until shmreg_resize()
 * @options: NULL for a persistent region of the default backing with mode 0600
 * @ret:     receives the region, which shmreg_close() frees
 *
 * The region is recorded before the call returns: a daemon killed afterwards still has it. Memory
 * is taken page by page on first use: a full /dev/shm shows as SIGBUS on first touch (mmap(2)),
 * or with SHMREG_POPULATE in options.map_flags as -ENOSPC here.
 *
 * With SHMREG_HUGE_2M or _1G, max_size is rounded up to whole huge pages, and all of them are taken
 * from those that the host has set aside as the region is mapped: -ENOMEM here or at an open if there
 * are too few, and no SIGBUS later. Values cannot be put into such a region.
 *
 * -EEXIST     the name is taken (without SHMREG_EXISTING_OK)
 * -EINVAL     name, size, mode, rule, attributes, or a combination of options is not valid
 * -EACCES     the caller may not create that name, or (SHMREG_EXISTING_OK) not write to the region
 * -EDQUOT     a limit of the caller is reached; the message names it
 * -ENOSPC     a limit of the whole daemon is reached, or its disk is full
 * -ENFILE     the system is out of descriptors
 * -ENOENT     the daemon was restarted before it could answer, and by then somebody has destroyed the
 *             region that this call had made
 *
 * Where the region can be created but not mapped (-ENOMEM, -EMFILE, or an option that cannot be
 * fulfilled, as with shmreg_open()), it is destroyed again. With SHMREG_EXISTING_OK the size is
 * shmreg_size(), which may be another than @size.
 */
int shmreg_create(shmreg_conn *conn, const char *name, uint64_t size,
                  const struct shmreg_options *options, shmreg_region **ret);

/*
 * Makes a region of memory that the caller has already: a memfd, a shm object or a regular file, all
 * of it. Nothing is copied. The region has an owner, rights, a lifetime and quotas as any other.
 *
 * @fd:      leads to the memory, and stays the caller's
 * @options: as for shmreg_create(); of the flags, only SHMREG_SYNC_BLOCK; no backing, no max_size
 * @ret:     receives a handle as shmreg_open() gives it, for writing if the descriptor is open for
 *           writing and no seal forbids it, else for reading; NULL: none is wanted
 *
 * The region never offers more than @fd itself carries: opened O_RDONLY, nobody gets to write, the
 * owner neither. And the daemon's user needs those rights by the mode of the file: it opens it anew
 * for each attachment. A memfd is open to everyone (mode 0777), so that who can read it may also
 * open its descriptor anew for writing; who does not want that seals it (F_SEAL_WRITE) or gives it
 * another mode with fchmod(2), 0644 for a region that is only read. Of other files, the system's
 * daemon opens only those in /dev/shm for writing, where the kernel has Landlock (shmregd(8)).
 *
 * The memory stays what it was: who can write to it elsewhere may change it or cut it, which readers
 * meet as -EIO of an open or as SIGBUS (shmreg_guard()). A memfd that is sealed against shrinking
 * cannot be cut. The daemon itself never writes to it, resizes or removes it. There is one version
 * only: put, stage and publish are -EOPNOTSUPP. Such a region ends with the daemon, unless the
 * service manager keeps its descriptor over the restart, as it does those of memfds.
 *
 * -EACCES      the descriptor is open for writing only or with O_PATH, or the daemon's user may not
 *              open what it leads to; with @ret, may not open it for writing
 * -EINVAL      it is no memory (a pipe, a device, a directory), or empty; or as shmreg_create()
 * -EOPNOTSUPP  its file system is none of tmpfs, hugetlbfs, ext4, xfs, btrfs, f2fs, zfs and overlay,
 *              or is not mounted on the host but in a namespace of the caller's
 * -EAGAIN      somebody has a lease on the file (fcntl(2), F_SETLEASE)
 * otherwise as shmreg_create()
 */
int shmreg_adopt(shmreg_conn *conn, const char *name, int fd, const struct shmreg_options *options,
                 shmreg_region **ret);

/*
 * Opens a region and maps it: SHMREG_READ read-only, SHMREG_WRITE readable and writable, with
 * options as above.
 *
 * A second open of the same region with the same access on this connection shares the mapping and
 * asks nobody, as long as the region has not changed. Each open gives a handle of its own, which
 * needs its own shmreg_close(). What was replaced is mapped anew by the next open, and the handles
 * to the old version keep the old one until each is refreshed.
 *
 * -ENOENT     there is no such region
 * -EACCES     the caller lacks the right to it; the message names the right
 * -EINVAL     the name or @access is not valid
 * -EDQUOT, -ENOSPC  the limit on attachments is reached
 * -EPERM      @access is SHMREG_WRITE, and the version is sealed: shmreg_seal()
 * -ENOSPC, -ENOMEM, -EPERM, -EOPNOTSUPP  an option cannot be fulfilled; the message says why
 * -EIO        a writer cut the region's memory short, so that it is not there to be mapped
 *             (shm and file only; a memfd is sealed against it)
 */
int shmreg_open(shmreg_conn *conn, const char *name, uint32_t access, shmreg_region **ret);

/*
 * Opens up to SHMREG_OPEN_MAX regions in one round trip: all of them, or none. @ret has room for
 * @count handles, which are stored only if all could be opened. Errors as shmreg_open(); the
 * message names the region that failed.
 */
int shmreg_open_many(shmreg_conn *conn, const char *const names[], size_t count, uint32_t access,
                     shmreg_region *ret[]);

/*
 * Puts @length bytes from @offset on disk (msync(2), rounded out to whole pages) and returns when
 * they are there: they survive a power cut. For file regions opened for writing; asks nobody.
 *
 * -EINVAL      the range is not within the region
 * -EBADF       the region is opened for reading
 * -EOPNOTSUPP  the region is no file: there is no disk behind it
 * -EIO         the disk failed
 */
int shmreg_flush(shmreg_region *region, uint64_t offset, uint64_t length);

/*
 * Makes a new region with the present content of another. Nothing is mapped; shmreg_open() does
 * that. Memory that a file system can share is shared until either side writes (ioctl_ficlone(2)),
 * else the daemon copies it, while it goes on serving others; requests of other threads on @conn
 * wait, so use a connection of its own for what is large. Needs the right to read the source.
 *
 * The content is that of one moment only if nobody writes meanwhile: take the snapshot while
 * holding a lock that all writers take, or of a version that is sealed. Otherwise what is written
 * meanwhile may be in it or not, byte by byte.
 *
 * @options:  as for shmreg_create(), without flags; backing and max_size are by default the
 *            source's. The other defaults are those of a new region: rights, lifetime, attributes
 *            of the source are not taken over.
 * @progress: called from time to time with the bytes copied and their number in all, and once at
 *            the end; it may not use @conn. NULL for none.
 *
 * Nothing is left of a snapshot that fails, or whose process ends.
 *
 * -ENOENT, -EACCES  there is no such source, or the caller may not read it
 * -EEXIST           @name is taken, or was taken by the time the content was copied
 * -EUCLEAN          a writer cut the source's memory short
 * otherwise as shmreg_create()
 */
int shmreg_snapshot(shmreg_conn *conn, const char *source, const char *name,
                    const struct shmreg_options *options,
                    void (*progress)(void *data, uint64_t done, uint64_t total), void *data);

/*
 * Stages a version: maps memory of zeroes that nobody else sees, to be filled at leisure and then
 * published under @name, whether a region of that name exists or not. Needs the right to read and
 * to write a region that exists.
 *
 * The handle is like any other, but leads to no region yet: shmreg_version() is 0, and it is always
 * current. shmreg_close() discards the stage, and so does the end of the process or of the
 * connection. A daemon that is restarted meanwhile keeps it as it would keep the region.
 *
 * @size, @options: as for shmreg_create(), without SHMREG_EXISTING_OK and SHMREG_DETACHED. Of a
 *                  region that exists only the content is replaced: @size may be any, max_size is
 *                  what the region may have from then on (0: as before, or @size if that is more).
 *                  Attributes that are given take the place of those there are in the same step,
 *                  which needs the right to manage. All else stays as it is.
 *
 * A stage counts as an attachment, and its max_size among the bytes of the region's owner.
 *
 * Errors as shmreg_create(), but no -EEXIST.
 */
int shmreg_stage(shmreg_conn *conn, const char *name, uint64_t size,
                 const struct shmreg_options *options, shmreg_region **ret);

/*
 * Makes a stage the region's current version, in one step: who opens the region from now on gets
 * the whole new content, who has the old one mapped keeps that whole until he lets go, and its
 * memory goes with the last of them. Where there was no region, there is one now.
 *
 * @expected_version: the version that this one may replace; 0: any, or none
 * @ret_version:      receives the version it has become; may be NULL
 *
 * The handle goes on as one opened with SHMREG_WRITE, at the same address. What is written to it
 * from then on is seen at once by those who have it mapped: only what is complete is published. On
 * an error it still is a stage, and may be published again. Must not run beside any other call on
 * that handle.
 *
 * -ESTALE     the region is not at @expected_version: another publisher was first, and the message
 *             says which version it is at; or it was created, or destroyed, since this was staged
 * -EACCES     the caller has lost the right to write since
 * -ENOENT     the stage is not there any more: it was lost with a daemon that could not keep it, or
 *             this process inherited it by fork(2); only who staged it can publish it
 * -EINVAL     this handle is no stage
 * -EDQUOT, -ENOSPC  the limit on regions is reached, or the disk is full
 */
int shmreg_publish(shmreg_region *region, uint32_t expected_version, uint32_t *ret_version);

/* Gives the handle back, with the older versions it keeps; with the last handle that leads to it,
 * memory is unmapped and the daemon told. NULL is allowed. Costs no waiting: no reply is asked for,
 * and a daemon that is away or slow is told with a later call. */
void shmreg_close(shmreg_region *region);

/*
 * Ends a region: its name is free at once, its memory goes with the last mapping, and whoever has
 * it mapped keeps it whole until then. Needs the right to manage.
 * 0 also when the daemon went away while it was asked and knows no such region when it is back.
 *
 * -ENOENT, -EACCES as shmreg_open()
 */
int shmreg_destroy(shmreg_conn *conn, const char *name);

/*
 * Makes @size bytes (1 to SHMREG_VALUE_MAX) the whole content of a region, in one step and one
 * round trip: a new version replaces the old one, and no reader ever sees half of it. Who has the
 * old version mapped keeps it. Needs the right to write. A region that does not exist is created:
 * persistent, of the default backing, with @mode (or SHMREG_MODE_DEFAULT).
 *
 * -EMSGSIZE   @size is over SHMREG_VALUE_MAX
 * -EINVAL     @size is 0, or name or mode is not valid
 * -EACCES     the caller lacks the right to write, or may not create that name
 * -EDQUOT, -ENOSPC  a limit is reached, or memory or disk is full; the old content stays
 */
int shmreg_put(shmreg_conn *conn, const char *name, const void *data, size_t size, uint32_t mode);

/*
 * Copies the content of a region into @buffer, in one round trip and without mapping it.
 *
 * @ret_size: receives the number of bytes; with -EMSGSIZE too, so that the caller can make room.
 *
 * -EMSGSIZE   the content is larger than @capacity or than SHMREG_VALUE_MAX (then open the region)
 * otherwise as shmreg_open()
 */
int shmreg_get(shmreg_conn *conn, const char *name, void *buffer, size_t capacity,
               size_t *ret_size);

/*
 * Grows a region in place to @size bytes, up to the max_size it was created with. Needs the right to
 * manage. Nobody's mapping moves, since each covers max_size from its start; what is new is zeroes,
 * unless a writer has written beyond the old size. Whoever holds the region sees the new size by
 * shmreg_size() after shmreg_refresh(): the caller's own handles, too. A region shrinks only by
 * shmreg_publish() of a smaller version.
 *
 * -EINVAL     @size is less than now, or over max_size
 * -EPERM      the current version is sealed
 * -ENOSPC     the file system is full
 */
int shmreg_resize(shmreg_conn *conn, const char *name, uint64_t size);

/*
 * Seals the current version: nobody opens it for writing any more, and what readers see stays as it
 * is. Needs the right to manage. With a memfd the kernel sees to it (F_SEAL_WRITE, fcntl(2)); with
 * the others the daemon does, and a former writer who has kept the memory mapped could still write,
 * or who has handed adopted memory over. The next version that is published is not sealed. To seal
 * again what is sealed does nothing.
 *
 * -EBUSY      writers are attached, the message names one; or one has kept a memfd mapped
 */
int shmreg_seal(shmreg_conn *conn, const char *name);

/*
 * Lets a lease run for @seconds from now on (0: for the duration it has). Needs the right to
 * manage.
 *
 * -EINVAL     the region has no lease
 */
int shmreg_renew(shmreg_conn *conn, const char *name, uint32_t seconds);

/* Describes a region to whoever has any right to it. The caller frees *ret with
 * shmreg_description_free(). -ENOENT, -EACCES as shmreg_open(). */
int shmreg_describe(shmreg_conn *conn, const char *name, struct shmreg_description **ret);
void shmreg_description_free(struct shmreg_description *description);

/*
 * Replaces the attributes with a JSON object of at most SHMREG_ATTRIBUTES_MAX bytes. By convention
 * media_type, dtype, shape and order describe an array. Needs the right to manage.
 *
 * -EINVAL     @json is no JSON object, or too long
 */
int shmreg_set_attributes(shmreg_conn *conn, const char *name, const char *json);

/*
 * Changes who may map a region from now on; attachments that exist stay. Needs the right to manage.
 *
 * @mode: 0 to 0666, or SHMREG_MODE_DEFAULT to leave it
 * @acl:  the new rules, "" for none, or NULL to leave them
 *
 * -EINVAL     the mode or a rule is not valid, or names a user or group that does not exist
 */
int shmreg_set_access(shmreg_conn *conn, const char *name, uint32_t mode, const char *acl);

/* The memory, page-aligned, at an address that does not change until a shmreg_refresh() finds
 * another version. Valid until shmreg_close(), that of an older version until shmreg_drop_old().
 * Writing to a region opened with SHMREG_READ raises SIGSEGV. */
void *shmreg_data(const shmreg_region *region);

/* Its size in bytes. A region that grows does so in place: the address stays, and the size is
 * larger once any handle to this mapping was opened or refreshed since. */
uint64_t shmreg_size(const shmreg_region *region);

/* The descriptor behind the mapping, O_RDONLY or O_RDWR, for fstat(2), sendfile(2) and the like. It
 * belongs to the region as the memory does: do not close it, and do not resize what it leads to. */
int shmreg_fd(const shmreg_region *region);

/* The version that is mapped; 0 for a stage. */
uint32_t shmreg_version(const shmreg_region *region);

/*
 * Whether the region is still what it was when this handle was opened or last refreshed. False
 * from the moment it is replaced, resized, sealed or destroyed until this handle is refreshed, even
 * if the change was this program's own or another handle was refreshed; false also when a daemon
 * that went away came back and would not give the region again. True while the daemon is away.
 *
 * Costs one load from memory that the daemon writes and a few from the handle: no system call, no
 * lock, a nanosecond or two. True says nothing of the next moment: who reads a version that is
 * replaced meanwhile reads the whole old one. What the caller reads after a false comes after the
 * change.
 */
bool shmreg_is_current(const shmreg_region *region);

/*
 * Sleeps until the region is not current any more: 0, at once if it is not current already.
 *
 * @timeout_msec: how long at most; 0 does not sleep, a negative number is without end
 *
 * Asks nobody, takes no lock while it sleeps (futex(2)), and goes on after a signal handler has
 * run. Any number of threads and processes may sleep on one region. A daemon that is restarted
 * meanwhile wakes nobody unless the region changed; one that has lost its runtime directory cannot
 * wake who slept through it: he finds out within five seconds after another call on the connection
 * has noticed.
 *
 * -ETIMEDOUT  the time has passed, and the region is as it was
 */
int shmreg_wait(shmreg_region *region, int timeout_msec);

/*
 * Moves this handle to what its name leads to now. 0 at once when it is current, and also without
 * asking when another handle of this connection with the same access has been moved there already;
 * else one round trip.
 *
 * A region that was resized or sealed keeps its mapping, and shmreg_size() says the new size. If
 * there is another version, the handle leads to that, and what it led to stays mapped, so that
 * pointers into it stay good, until shmreg_drop_old() or shmreg_close(); the daemon counts it as
 * held until then. A region that was destroyed and created anew is followed, too: then
 * shmreg_version() starts again, and shmreg_describe() has another id. Other handles stay where
 * they are.
 *
 * Errors are those of shmreg_open(): -ENOENT when the name leads nowhere any more, -EACCES when the
 * caller's right has gone. The handle then stays as it is, and its memory too.
 */
int shmreg_refresh(shmreg_region *region);

/* Gives back the older versions that shmreg_refresh() has left mapped: pointers into them end
 * here. Waits for nobody. */
void shmreg_drop_old(shmreg_region *region);

/* What shmreg_process() reports, more than one at once if so much has happened. */
#define SHMREG_NEWS_PUBLISHED 1u /* there is another version, of whatever size */
#define SHMREG_NEWS_RESIZED 2u   /* the same version has another size */
#define SHMREG_NEWS_SEALED 4u    /* nobody writes to the version that is current now any more */
#define SHMREG_NEWS_DESTROYED                                                                      \
    8u /* the region was destroyed or reaped, or a daemon that came back
                                    would not give it again; the last news of this handle, until
                                    a shmreg_refresh() finds a new region of that name */

/*
 * A descriptor for poll(2), epoll(7), libevent and the like: readable when shmreg_process() has
 * something to do. For programs that have an event loop, and many regions; who has one region and a
 * thread to spare sleeps in shmreg_wait().
 *
 * It belongs to the connection, stays the same when the daemon goes away and comes back, and ends
 * with shmreg_disconnect(). Do nothing with it but wait for it to be readable. The first call asks
 * the daemon, and takes two descriptors more (an epoll and a timer descriptor); later ones return
 * the same number. In the child of a fork(2) it is closed: the child asks for its own. A call of
 * another thread does not make it readable.
 *
 * Returns the descriptor or a negative errno.
 */
int shmreg_conn_fd(shmreg_conn *conn);

/*
 * Finds out what has happened to the regions of this connection since it was last said, and calls
 * @news for each handle there is something to say of, with the SHMREG_NEWS_... bits. Call it when
 * shmreg_conn_fd() is readable, or whenever it suits.
 *
 * Nothing is lost: what happens between two calls is reported by the second, once for each handle,
 * however much it was. What a shmreg_refresh() has already led a handle to is not reported. Changes
 * by this very program are, if they are to regions it has open.
 *
 * @news is called by the calling thread and with no lock held, so it may call anything here but
 * shmreg_disconnect(): shmreg_refresh() to go on with what is current, shmreg_close() of this handle
 * or of any other. A handle that another thread closes must not be closed while this runs; one that
 * another thread is just opening may be reported before its open returns.
 *
 * It does not wait: neither for the daemon to answer nor for calls of other threads. If the daemon
 * went away, it looks for it, restores what was held (that asks the daemon, for at most a second
 * without an answer), and goes on; while there is none, it returns the negative errno of
 * shmreg_connect(), and shmreg_conn_fd() becomes readable when it is time to look again (after a
 * millisecond at first, then ever later, up to a second). Regions are reported all the same.
 *
 * Returns the number of handles reported, or a negative errno if there was none.
 */
int shmreg_process(shmreg_conn *conn,
                   void (*news)(void *data, shmreg_region *region, uint32_t what), void *data);

/*
 * Says on which NUMA nodes pages of this version are to be: mbind(2), bit n of @nodes for node n, 0
 * with SHMREG_NUMA_DEFAULT. The policy belongs to the memory, so it holds for every process that
 * has it mapped, except with SHMREG_PRIVATE. Pages that are there already move if no other process
 * has them mapped. Call it before the memory is touched.
 *
 * -EINVAL      the policy is unknown, or a node has no memory or does not exist; the message names it
 * -EOPNOTSUPP  the kernel has no NUMA support, or the region is a file on a disk
 */
int shmreg_numa(shmreg_region *region, enum shmreg_numa_policy policy, uint64_t nodes);

/*
 * Calls @access(@data), and returns 0 when it has returned. If it touches a page of this region's
 * mapping that is not there, because a writer has truncated it or because no space is left for it,
 * @access is left in the middle, and the call returns -EFAULT instead of the process dying of
 * SIGBUS.
 *
 * @ret_offset: receives the offset in the region of the access that failed; NULL is allowed
 *
 * What @access was doing is abandoned as by siglongjmp(3): it should copy or compute, and hold no
 * lock, no memory and no file open meanwhile; variables of it that it changed are lost. The signal
 * mask becomes what it was. Guards nest, for the same or for another region, and each thread has
 * its own. Costs about as much as one system call.
 *
 * The first call installs a handler for SIGBUS, for good. A SIGBUS that is none of a guarded access
 * goes to the handler that was there before, or ends the process if there was none. A program that
 * installs its own handler later takes this one out: then it should hand on to it what it does not
 * know, or guards do not work any more.
 */
int shmreg_guard(const shmreg_region *region, void (*access)(void *data), void *data,
                 uint64_t *ret_offset);

/*
 * The sync block. A region that is created with SHMREG_SYNC_BLOCK has one more page (which counts
 * against the limit on bytes), with a lock, a sequence and an event. It belongs to the region and
 * not to a version: it goes on when the content is replaced, and when the daemon is restarted. A
 * file region's begins anew with each boot.
 *
 * Only handles opened with SHMREG_WRITE may lock, write and notify; all may read the sequence and
 * wait for the event. Writers have the page mapped for writing, so they trust each other with it: a
 * hostile one can break the lock for the others (and, unless the region is a memfd, cut the page
 * off under all, a SIGBUS). Readers trust nobody with their data: what they do is read. All users
 * of a lock have to be in one PID namespace, as it knows its owner by a thread id.
 *
 * Each of these functions, where it returns an int, may return
 *     -EOPNOTSUPP  the region has no sync block
 *     -EACCES      the handle was opened with SHMREG_READ
 */

/*
 * Locks the region, for a single thread of all that use it anywhere. Costs no system call while
 * nobody else wants it, and never asks the daemon. The last handle to the region is not to be
 * closed while it is held.
 *
 * @timeout_msec: how long to wait at most; 0 does not wait, a negative number is without end
 *
 * -EOWNERDEAD      the last owner died (or its thread ended) with the lock. The lock is now held by
 *                  this thread, but the data may be half changed: make it whole, call
 *                  shmreg_lock_recovered(), go on.
 * -ETIMEDOUT       somebody else has it
 * -EDEADLK         this thread has it
 * -ENOTRECOVERABLE an owner after the dead one unlocked without shmreg_lock_recovered(): the lock of
 *                  this region is of no use any more, a new region has to take its place
 */
int shmreg_lock(shmreg_region *region, int timeout_msec);

/* After -EOWNERDEAD: the data is whole again. A sequence that the dead one left at writing is at
 * rest again. -EPERM if this thread does not have the lock, -EINVAL if nobody died. */
int shmreg_lock_recovered(shmreg_region *region);

/* Unlocks, and ends what shmreg_write_begin() began. -EPERM if this thread does not have the lock
 * through this handle or one that shares its block. */
int shmreg_unlock(shmreg_region *region);

/*
 * The sequence lets readers read without a lock, and know afterwards whether they saw the data
 * whole:
 *
 *     do {
 *         if (shmreg_read_begin(region, 1000, &begun) < 0)
 *             ...
 *         memcpy(mine, shmreg_data(region), size);
 *     } while (shmreg_read_retry(region, begun));
 *
 * What is read before shmreg_read_retry() said false may be any mixture: copy it, and follow no
 * pointer or index in it. To the C language it is a data race unless the accesses are atomic.
 *
 * read_begin waits while a writer writes (it spins, then yields, then naps), for at most
 * @timeout_msec, negative for without end: a writer that died while it wrote leaves the sequence
 * at writing until the next owner of the lock has recovered. No system call when nobody writes.
 *
 * -ETIMEDOUT  a writer was writing all the time, or died at it
 */
int shmreg_read_begin(const shmreg_region *region, int timeout_msec, uint64_t *ret);
bool shmreg_read_retry(const shmreg_region *region, uint64_t begun);

/* Around the changes of a writer who has the lock. After a writer that died, begin also takes over
 * the sequence it left. -EPERM if this thread does not have the lock, -EALREADY for a begin after
 * a begin, or an end without one. */
int shmreg_write_begin(shmreg_region *region);
int shmreg_write_end(shmreg_region *region);

/* Adds one to the region's event and wakes all who wait for it. Needs no lock. One system call. */
int shmreg_notify(shmreg_region *region);

/*
 * Sleeps until the event is another than @last: 0, at once if it is another already. What the
 * caller reads then comes after what the notifier wrote before.
 *
 * @timeout_msec: how long at most; 0 does not sleep, a negative number is without end
 * @ret: receives the event as it is, also with -ETIMEDOUT: it is @last of the next call
 *
 * -ETIMEDOUT  nobody has notified
 */
int shmreg_wait_event(shmreg_region *region, uint32_t last, int timeout_msec, uint32_t *ret);

/*
 * Locks a range of bytes against others: an open-file-description lock (fcntl(2), F_OFD_SETLK) on
 * shmreg_fd(), which programs in any language can take. Any region has it. The lock is advisory, on
 * the version that is mapped, and belongs to the mapping: handles that share one (and a forked
 * child) share its locks and do not exclude each other. It goes when it is unlocked, when the
 * mapping is unmapped, or when the last process that has it ends, however it ends. One system call.
 *
 * @length: 0 for everything from @offset on
 * @exclusive: against all others, needs SHMREG_WRITE; else only against exclusive ones
 * @wait: until it is free, without end: the kernel sees no deadlock of such locks
 *
 * -EAGAIN  somebody else has locked some of it (without @wait)
 * -EACCES  an exclusive lock through a handle opened with SHMREG_READ
 * -EINVAL  the range is none
 */
int shmreg_lock_range(shmreg_region *region, uint64_t offset, uint64_t length, bool exclusive,
                      bool wait);
int shmreg_unlock_range(shmreg_region *region, uint64_t offset, uint64_t length);

/* What went wrong in the last failed call of the calling thread, as a sentence; "" before any.
 * Valid until that thread's next call into the library. */
const char *shmreg_error_message(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
