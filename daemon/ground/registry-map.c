/*
 * The registry's file and its map
 *
 * A new file is made complete under another name and renamed, so whatever bears the right name was
 * whole once. The map never reaches beyond what is reserved in the file (fallocate(2)), so that a
 * full file system is an error when the map grows and not a SIGBUS when it is written. LMDB needs a
 * few free pages even to delete; spare space behind the map sees that it always has them.
 */
#include "daemon/ground/registry-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NEW_FILE REGISTRY_FILE ".new"
#define SIZE_MIN ((size_t)1 << 20)
#define GROW_MIN ((size_t)1 << 18)
#define SPARE ((size_t)1 << 17)

#define FORMAT_KEY "format"

static int reserve(const struct registry *registry, int mode, size_t offset, size_t size) {
    int r;

    do
        r = fallocate(registry->file, mode, (off_t)offset, (off_t)size);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    /* The durable one is not written through its map: there, write(2) says when the disk is full.
     */
    return errno == EOPNOTSUPP && registry->durable ? 0 : -errno;
}

int registry_keep_spare(struct registry *registry) {
    int r;

    if (registry->has_spare)
        return 0;
    r = reserve(registry, FALLOC_FL_KEEP_SIZE, registry->size, SPARE);
    registry->has_spare = r == 0;
    return r;
}

static int open_tables(struct registry *registry, unsigned flags) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(registry->env, NULL, flags & MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    for (enum registry_table table = 0; rc == 0 && table < REGISTRY_TABLE_COUNT; table++) {
        rc = mdb_dbi_open(txn, registry_table_name(table), flags & MDB_CREATE,
                          &registry->tables[table]);
        if (rc == MDB_NOTFOUND && registry->format < REGISTRY_FORMAT) {
            registry->tables[table] = NO_TABLE;
            rc = 0;
        }
    }
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* LMDB leaves one of its descriptors open to programs that are executed. */
static void close_on_exec(const struct registry *registry) {
    int fd;

    if (mdb_env_get_fd(registry->env, &fd) == 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Maps the file at @path; returns what LMDB returned. */
static int open_environment(struct registry *registry, const char *path, unsigned flags) {
    int rc = mdb_env_create(&registry->env);

    if (rc != 0) {
        registry->env = NULL;
        return rc;
    }
    rc = mdb_env_set_maxdbs(registry->env, REGISTRY_TABLE_COUNT);
    if (rc == 0)
        rc = mdb_env_set_mapsize(registry->env, registry->size);
    if (rc == 0)
        rc = mdb_env_open(registry->env, path, flags & ~(unsigned)MDB_CREATE, 0600);
    if (rc == 0) {
        close_on_exec(registry);
        rc = open_tables(registry, flags);
    }
    if (rc != 0)
        registry_unmap(registry);
    return rc;
}

/* No lock file: there is one process with one thread, and the owner file is locked. */
#define COMMON_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK)

int registry_map(struct registry *registry, struct error *error) {
    unsigned flags = registry->durable ? 0 : MDB_WRITEMAP | MDB_NOSYNC;
    int rc;

    if (registry->env)
        return 0;
    if (registry->damaged)
        return error_set(error, -EUCLEAN, "registry %s is damaged", registry->path);
    if (registry->read_only)
        flags = MDB_RDONLY;
    rc = open_environment(registry, registry->path, COMMON_FLAGS | flags);
    if (rc != 0)
        return error_set(error, registry_errno(rc), "cannot map registry %s: %s", registry->path,
                         mdb_strerror(rc));
    if (registry->read_only)
        return 0;
    /* LMDB has cut off what was behind the map. */
    registry->has_spare = false;
    registry_keep_spare(registry);
    return 0;
}

void registry_unmap(struct registry *registry) {
    if (registry->env)
        mdb_env_close(registry->env);
    registry->env = NULL;
}

int registry_grow(struct registry *registry, bool spare, struct error *error) {
    size_t step = registry->size;
    int r;

    r = reserve(registry, 0, 0, registry->size + step);
    while (r == -ENOSPC && step > GROW_MIN) {
        step /= 2;
        r = reserve(registry, 0, 0, registry->size + step);
    }
    if (r == -ENOSPC && spare && registry->has_spare) {
        step = SPARE;
        r = reserve(registry, 0, 0, registry->size + step);
    }
    if (r < 0)
        return error_set(error, r, "cannot enlarge registry %s: %s", registry->path, strerror(-r));
    registry_unmap(registry);
    registry->size += step;
    return registry_map(registry, error);
}

static int write_format(struct registry *registry, struct error *error) {
    char text[16];

    snprintf(text, sizeof(text), "%u", REGISTRY_FORMAT);
    return registry_put(registry, REGISTRY_META, FORMAT_KEY, text, error);
}

int registry_set_format(struct registry *registry, struct error *error) {
    int r = registry_map(registry, error), rc;

    if (r < 0)
        return r;
    rc = open_tables(registry, MDB_CREATE);
    while (rc == MDB_MAP_FULL) {
        r = registry_grow(registry, false, error);
        if (r < 0)
            return r;
        rc = open_tables(registry, MDB_CREATE);
    }
    if (rc != 0)
        return error_set(error, registry_errno(rc), "cannot make the tables of registry %s: %s",
                         registry->path, mdb_strerror(rc));
    r = write_format(registry, error);
    if (r == 0)
        registry->format = REGISTRY_FORMAT;
    return r;
}

unsigned registry_format(const struct registry *registry) {
    return registry->format;
}

const char *registry_path(const struct registry *registry) {
    return registry->path;
}

/* Makes the file at NEW_FILE, whole and on disk if it has to be. */
static int make_new(struct registry *registry, const char *path) {
    unsigned flags = COMMON_FLAGS | MDB_CREATE | (registry->durable ? 0 : (unsigned)MDB_NOSYNC);
    int r;

    registry->size = SIZE_MIN;
    registry->format = REGISTRY_FORMAT;
    registry->file = openat(registry->home, NEW_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (registry->file < 0)
        return -errno;
    r = registry_errno(open_environment(registry, path, flags));
    if (r == 0)
        r = write_format(registry, NULL);
    registry_unmap(registry);
    registry->has_spare = false;
    if (r == 0)
        r = reserve(registry, 0, 0, registry->size);
    if (r == 0 && ftruncate(registry->file, (off_t)registry->size) < 0)
        r = -errno;
    if (r == 0 && registry->durable && fsync(registry->file) < 0)
        r = -errno;
    close_fd(&registry->file);
    return r;
}

static int create_file(struct registry *registry, struct error *error) {
    _cleanup_free_ char *path = NULL;
    int r;

    if (asprintf(&path, "%s.new", registry->path) < 0) {
        path = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    unlinkat(registry->home, NEW_FILE, 0);
    r = make_new(registry, path);
    if (r == 0 && renameat(registry->home, NEW_FILE, registry->home, REGISTRY_FILE) < 0)
        r = -errno;
    if (r == 0 && registry->durable &&
        (fsync(registry->home) < 0 || fsync(registry->directory) < 0))
        r = -errno;
    if (r < 0) {
        unlinkat(registry->home, NEW_FILE, 0);
        return error_set(error, r, "cannot make registry %s: %s", registry->path, strerror(-r));
    }
    return 0;
}

/* The map is as large as the file, whatever the file itself says. */
static int measure(struct registry *registry) {
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    struct stat status;

    if (fstatat(registry->home, REGISTRY_FILE, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    registry->size = ((size_t)status.st_size + page_size - 1) / page_size * page_size;
    if (registry->size < SIZE_MIN)
        registry->size = SIZE_MIN;
    return 0;
}

static bool lacks_table(const struct registry *registry) {
    for (enum registry_table table = 0; table < REGISTRY_TABLE_COUNT; table++)
        if (registry->tables[table] == NO_TABLE)
            return true;
    return false;
}

/* Reads the format in a file that was checked, without writing to it. */
static int check_format(struct registry *registry, struct error *error) {
    _cleanup_free_ char *text = NULL;
    char *end = NULL;
    long version;
    int r = measure(registry), rc = 0;

    if (r == 0)
        rc = open_environment(registry, registry->path, COMMON_FLAGS | MDB_RDONLY);
    /* What the system refuses says nothing of the file; what LMDB refuses does. */
    if (r < 0 || rc > 0)
        return error_set(error, r < 0 ? r : -rc, "cannot map it: %s", strerror(r < 0 ? -r : rc));
    r = rc == 0 ? registry_get(registry, REGISTRY_META, FORMAT_KEY, &text) : -EUCLEAN;
    registry_unmap(registry);
    if (r < 0 && r != -ENOENT && r != -EIO && r != -EUCLEAN)
        return error_set(error, r, "cannot read it: %s", strerror(-r));
    version = r == 0 ? strtol(text, &end, 10) : 0;
    if (version < 1 || *end)
        return error_set(error, -EUCLEAN, "it has no format version");
    if (version > REGISTRY_FORMAT)
        return error_set(error, -ENOTSUP,
                         "it has format version %ld and this shmregd knows %u: a newer shmregd is "
                         "needed",
                         version, REGISTRY_FORMAT);
    if (version == REGISTRY_FORMAT && lacks_table(registry))
        return error_set(error, -EUCLEAN, "it lacks a table");
    registry->format = (unsigned)version;
    return 0;
}

/* -ENOENT: there never was one. */
static int examine_file(struct registry *registry, struct error *fault) {
    int r = registry_check_file(registry->home, REGISTRY_FILE, fault);

    if (r == -ENOENT && registry_had_file(registry))
        return error_set(fault, -EUCLEAN, "it is gone");
    return r == 0 ? check_format(registry, fault) : r;
}

/* Sees that there is a file that can be used: the one that is there, or a new one. */
static int find_file(struct registry *registry, struct error *error) {
    struct error fault = {0};
    int r = examine_file(registry, &fault);

    if (r == -EUCLEAN) {
        r = registry_quarantine_file(registry, fault.text, error);
        if (r < 0)
            return r;
        r = -ENOENT;
    }
    if (r == -ENOENT)
        return create_file(registry, error);
    if (r < 0)
        return error_set(error, r, "cannot use registry %s: %s", registry->path, fault.text);
    return 0;
}

static int open_file(struct registry *registry, struct error *error) {
    int r;

    registry->file = openat(registry->home, REGISTRY_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (registry->file < 0)
        return error_set(error, -errno, "cannot open registry %s: %s", registry->path,
                         strerror(errno));
    r = measure(registry);
    if (r == 0)
        r = reserve(registry, 0, 0, registry->size);
    if (r < 0)
        return error_set(error, r, "cannot reserve the space of registry %s: %s", registry->path,
                         strerror(-r));
    return registry_map(registry, error);
}

/* Its object, locked. */
static int new_registry(const char *directory, bool durable, bool read_only, struct registry **ret,
                        struct error *error) {
    _cleanup_(cleanup_registry_close) struct registry *registry = calloc(1, sizeof(*registry));
    int r;

    if (!registry)
        return error_set(error, -ENOMEM, "no memory");
    registry->directory = registry->home = registry->owner = registry->file = -1;
    registry->durable = durable;
    registry->read_only = read_only;
    if (asprintf(&registry->path, "%s/registry/%s", directory, REGISTRY_FILE) < 0) {
        registry->path = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    r = registry_lock(registry, directory, error);
    if (r == 0)
        *ret = steal_pointer(registry);
    return r;
}

static int open_for_writing(struct registry *registry, struct error *error) {
    int r = find_file(registry, error);

    if (r == 0)
        r = open_file(registry, error);
    if (r == 0)
        registry_note_file(registry);
    return r;
}

int registry_begin_repair(struct registry *registry, struct error *error) {
    registry_unmap(registry);
    registry->read_only = registry->damaged = false;
    return open_for_writing(registry, error);
}

int registry_open(const char *directory, bool durable, struct registry **ret, struct error *error) {
    _cleanup_(cleanup_registry_close) struct registry *registry = NULL;
    int r = new_registry(directory, durable, false, &registry, error);

    if (r == 0)
        r = open_for_writing(registry, error);
    if (r == 0)
        *ret = steal_pointer(registry);
    return r;
}

int registry_inspect(const char *directory, bool durable, struct registry **ret,
                     struct error *error) {
    _cleanup_(cleanup_registry_close) struct registry *registry = NULL;
    struct error fault = {0};
    int r = new_registry(directory, durable, true, &registry, error);

    if (r != 0)
        return r;
    r = examine_file(registry, &fault);
    registry->damaged = r == -EUCLEAN;
    if (r < 0)
        error_set(error, r, "registry %s: %s", registry->path,
                  r == -ENOENT ? "there is none" : fault.text);
    else
        r = registry_map(registry, error);
    if (r == 0 || r == -EUCLEAN)
        *ret = steal_pointer(registry);
    return r;
}

void registry_close(struct registry *registry) {
    registry_unmap(registry);
    close_fd(&registry->file);
    close_fd(&registry->owner);
    close_fd(&registry->home);
    close_fd(&registry->directory);
    free(registry->path);
    free(registry);
}
