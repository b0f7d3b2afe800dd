/*
 * libshmreg-posix: shm_open(3) of a program that knows nothing of shmregd
 *
 * Preloaded, it puts itself before shm_open, shm_unlink, ftruncate and posix_fallocate. A name that
 * it maps becomes a region of this process, which holds it until the region is gone or the process
 * ends: a program may close the descriptor and keep the memory mapped, so closing says nothing.
 * Descriptors are known again by the file they lead to, as the program closes them without telling.
 */
#include "client/shim/settings.h"
#include "client/shmreg.h"
#include "proto/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>

#define EXPORT __attribute__((visibility("default")))

struct held {
    LIST_ENTRY(held) link;
    shmreg_region *region;
    int access; /* O_RDONLY or O_RDWR */
    dev_t device;
    ino_t inode;
    char name[];
};

/* A preloaded library has nobody to keep its state for it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, held) all_held = LIST_HEAD_INITIALIZER(all_held);
static shmreg_conn *connection;

static void take_lock(void) {
    pthread_mutex_lock(&lock);
}

static void give_lock(void) {
    pthread_mutex_unlock(&lock);
}

static int connect_once(void) {
    int r;

    if (connection)
        return 0;
    r = shmreg_connect(NULL, &connection);
    /* After the library's own, so that fork(2) takes this lock first, as every call here does. */
    if (r == 0)
        r = -pthread_atfork(take_lock, give_lock, give_lock);
    if (r < 0) {
        shmreg_disconnect(connection);
        connection = NULL;
    }
    return r;
}

static void release(struct held *held) {
    LIST_REMOVE(held, link);
    shmreg_close(held->region);
    free(held);
}

/* Lets go of what has been destroyed since. */
static void release_gone(void) {
    struct held *held = LIST_FIRST(&all_held);

    while (held) {
        struct held *next = LIST_NEXT(held, link);

        if (!shmreg_is_current(held->region) && shmreg_refresh(held->region) == -ENOENT)
            release(held);
        held = next;
    }
}

static int hold(const char *name, int access, shmreg_region *region) {
    struct held *held = NULL;
    struct stat status;

    if (fstat(shmreg_fd(region), &status) < 0)
        return -errno;
    LIST_FOREACH (held, &all_held, link) {
        if (held->device != status.st_dev || held->inode != status.st_ino || held->access != access)
            continue;
        shmreg_close(region);
        return 0;
    }
    held = malloc(sizeof(*held) + strlen(name) + 1);
    if (!held)
        return -ENOMEM;
    *held = (struct held){
        .region = region, .access = access, .device = status.st_dev, .inode = status.st_ino};
    strcpy(held->name, name);
    LIST_INSERT_HEAD(&all_held, held, link);
    return 0;
}

static int open_region(const struct settings *settings, const char *name, int flags,
                       shmreg_region **ret) {
    uint32_t access = (flags & O_ACCMODE) == O_RDONLY ? SHMREG_READ : SHMREG_WRITE;
    int r =
        flags & O_CREAT && flags & O_EXCL ? -ENOENT : shmreg_open(connection, name, access, ret);

    if (r != -ENOENT || !(flags & O_CREAT))
        return r == 0 && flags & O_TRUNC ? -EOPNOTSUPP : r;
    return shmreg_create(connection, name, 1,
                         SHMREG_OPTIONS(.backing = SHMREG_SHM, .lifetime = settings->lifetime,
                                        .seconds = settings->seconds, .mode = settings->mode,
                                        .max_size = settings->max_size,
                                        .flags = flags & O_EXCL ? 0 : SHMREG_EXISTING_OK),
                         ret);
}

/* Returns a descriptor of the program's own, or a negative errno. */
static int open_mapped(const struct settings *settings, const char *name, int flags) {
    shmreg_region *region = NULL;
    _cleanup_close_ int fd = -1;
    int r = open_region(settings, name, flags, &region);

    if (r == 0) {
        fd = fcntl(shmreg_fd(region), F_DUPFD_CLOEXEC, 0);
        r = fd < 0 ? -errno : hold(name, flags & O_ACCMODE, region);
    }
    if (r < 0) {
        shmreg_close(region);
        return r;
    }
    return steal_fd(&fd);
}

static int fail_with(int r) {
    errno = -r;
    return -1;
}

/* Whether the real function is to be called: the name is not mapped, or there is no daemon. */
static bool falls_through(const char *posix_name, struct settings *settings, int *ret) {
    *ret = settings_read(posix_name, settings);
    if (*ret == -ENOENT)
        return true;
    if (*ret == 0 && connect_once() < 0) {
        if (settings->fallback)
            return true;
        *ret = -ECONNREFUSED; /* not -ENOENT, which says that the object is not there */
    }
    return false;
}

EXPORT int shm_open(const char *posix_name, int flags, mode_t mode) {
    int (*real)(const char *, int, mode_t) = dlsym(RTLD_NEXT, "shm_open");
    struct settings settings;
    bool real_one;
    int r;

    take_lock();
    real_one = falls_through(posix_name, &settings, &r);
    if (!real_one && r == 0) {
        release_gone();
        r = open_mapped(&settings, settings.name, flags);
    }
    give_lock();
    if (real_one)
        return real(posix_name, flags, mode);
    return r < 0 ? fail_with(r) : r;
}

EXPORT int shm_unlink(const char *posix_name) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "shm_unlink");
    struct settings settings;
    bool real_one;
    int r;

    take_lock();
    real_one = falls_through(posix_name, &settings, &r);
    if (!real_one && r == 0) {
        r = shmreg_destroy(connection, settings.name);
        release_gone();
    }
    give_lock();
    if (real_one)
        return real(posix_name);
    return r < 0 ? fail_with(r) : 0;
}

static struct held *find_held(int fd) {
    struct held *held;
    struct stat status;

    if (LIST_EMPTY(&all_held) || fstat(fd, &status) < 0)
        return NULL;
    LIST_FOREACH (held, &all_held, link)
        if (held->access == O_RDWR && held->device == status.st_dev && held->inode == status.st_ino)
            return held;
    return NULL;
}

/* Regions only grow: one that shrank would take the pages from under who reads it. */
static int resize(struct held *held, off_t size) {
    int r;

    if (size < 0 || (uint64_t)size < shmreg_size(held->region))
        return -EINVAL;
    if ((uint64_t)size == shmreg_size(held->region))
        return 0;
    r = shmreg_resize(connection, held->name, (uint64_t)size);
    return r < 0 ? r : shmreg_refresh(held->region);
}

EXPORT int ftruncate(int fd, off_t size) {
    int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate64");
    struct held *held;
    int r = 0;

    take_lock();
    held = find_held(fd);
    if (held)
        r = resize(held, size);
    give_lock();
    if (!held)
        return real(fd, size);
    return r < 0 ? fail_with(r) : 0;
}

/* The header has renamed ftruncate() above to ftruncate64(); this is the one with the old name. */
EXPORT int ftruncate_long(int fd, long size) __asm__("ftruncate");

int ftruncate_long(int fd, long size) {
    return ftruncate(fd, size);
}

/* Boost.Interprocess sets the size so. Returns an errno, and not -1. */
EXPORT int posix_fallocate(int fd, off_t offset, off_t length) {
    int (*real)(int, off_t, off_t) = dlsym(RTLD_NEXT, "posix_fallocate64");
    struct held *held;
    off_t end;
    int r = 0;

    if (offset >= 0 && length > 0 && !__builtin_add_overflow(offset, length, &end)) {
        take_lock();
        held = find_held(fd);
        if (held && (uint64_t)end > shmreg_size(held->region))
            r = resize(held, end);
        give_lock();
    }
    return r < 0 ? -r : real(fd, offset, length);
}

EXPORT int posix_fallocate_long(int fd, long offset, long length) __asm__("posix_fallocate");

int posix_fallocate_long(int fd, long offset, long length) {
    return posix_fallocate(fd, offset, length);
}
