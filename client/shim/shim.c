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
#include "proto/error.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
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

/* As one of the errors that shm_open(3) and ftruncate(3) have. */
static int posix_error(int r) {
    return r == -EDQUOT ? -ENOSPC : r;
}

/* The library's failure, with its sentence. */
static int failed(int r, struct error *error) {
    return error_set(error, posix_error(r), "%s", shmreg_error_message());
}

static void release(struct held *held) {
    LIST_REMOVE(held, link);
    shmreg_close(held->region);
    free(held);
}

static bool leads_to(const struct held *held, int fd) {
    struct stat status;

    return fstat(fd, &status) == 0 && held->device == status.st_dev && held->inode == status.st_ino;
}

/* Whether the region was destroyed since. A new one of its name, which a refresh may have opened, is
 * not what the program has mapped. */
static bool is_gone(const struct held *held) {
    int r;

    if (shmreg_is_current(held->region))
        return false;
    r = shmreg_refresh(held->region);
    return r == -ENOENT || r == -EACCES || (r == 0 && !leads_to(held, shmreg_fd(held->region)));
}

static void release_gone(void) {
    struct held *held = LIST_FIRST(&all_held);

    while (held) {
        struct held *next = LIST_NEXT(held, link);

        if (is_gone(held))
            release(held);
        held = next;
    }
}

static struct held *find_held(int fd, int access) {
    struct held *held;

    LIST_FOREACH (held, &all_held, link)
        if (held->access == access && leads_to(held, fd))
            return held;
    return NULL;
}

static int hold(const char *name, int access, shmreg_region *region) {
    struct held *held = find_held(shmreg_fd(region), access);
    struct stat status;

    if (held) {
        shmreg_close(region);
        return 0;
    }
    if (fstat(shmreg_fd(region), &status) < 0)
        return -errno;
    held = malloc(sizeof(*held) + strlen(name) + 1);
    if (!held)
        return -ENOMEM;
    *held = (struct held){
        .region = region, .access = access, .device = status.st_dev, .inode = status.st_ino};
    strcpy(held->name, name);
    LIST_INSERT_HEAD(&all_held, held, link);
    return 0;
}

/* Empty, as a program that opens it waits until it has its size (Boost.Interprocess does). */
static int create_region(const struct settings *settings, int flags, shmreg_region **ret) {
    return shmreg_create(connection, settings->name, 0,
                         SHMREG_OPTIONS(.backing = SHMREG_SHM, .lifetime = settings->lifetime,
                                        .seconds = settings->seconds, .mode = settings->mode,
                                        .max_size = settings->max_size,
                                        .flags = flags & O_EXCL ? 0 : SHMREG_EXISTING_OK),
                         ret);
}

/* For who asked to read only; a creator is given the memory to write to. */
static int create_to_read(const struct settings *settings, int flags, shmreg_region **ret) {
    shmreg_region *created = NULL;
    int r = create_region(settings, flags, &created);

    if (r == 0)
        r = shmreg_open(connection, settings->name, SHMREG_READ, ret);
    shmreg_close(created);
    return r;
}

static int open_region(const struct settings *settings, int flags, shmreg_region **ret,
                       struct error *error) {
    uint32_t access = (flags & O_ACCMODE) == O_RDONLY ? SHMREG_READ : SHMREG_WRITE;
    bool is_exclusive = flags & O_CREAT && flags & O_EXCL;
    int r = is_exclusive ? -ENOENT : shmreg_open(connection, settings->name, access, ret);

    if (r == -ENOENT && flags & O_CREAT)
        r = access == SHMREG_READ ? create_to_read(settings, flags, ret)
                                  : create_region(settings, flags, ret);
    else if (r == 0 && flags & O_TRUNC)
        return error_set(error, -EOPNOTSUPP, "region '%s' exists, and does not shrink",
                         settings->name);
    return r < 0 ? failed(r, error) : 0;
}

/* Returns a descriptor of the program's own, or a negative errno. */
static int open_mapped(const struct settings *settings, int flags, struct error *error) {
    shmreg_region *region = NULL;
    _cleanup_close_ int fd = -1;
    int r = open_region(settings, flags, &region, error);

    if (r == 0) {
        fd = fcntl(shmreg_fd(region), F_DUPFD_CLOEXEC, 0);
        r = fd < 0 ? -errno : hold(settings->name, flags & O_ACCMODE, region);
        if (r < 0)
            (void)error_set(error, r, "region '%s': %s", settings->name, strerror(-r));
    }
    if (r < 0) {
        shmreg_close(region);
        return r;
    }
    return steal_fd(&fd);
}

/* What a program does next on these is its own matter. */
static bool is_expected(int r) {
    return r == -ENOENT || r == -EEXIST;
}

static int fail_with(const struct settings *settings, const char *posix_name,
                     const struct error *error) {
    if (settings->report && !is_expected(error->code))
        fprintf(stderr, "libshmreg-posix: %s: %s\n", posix_name, error->text);
    errno = -error->code;
    return -1;
}

/* Whether the real function is to be called: the name is not mapped, or there is no daemon. */
static bool falls_through(const char *posix_name, struct settings *settings, struct error *error) {
    int r = settings_read(posix_name, settings);

    if (r == -ENOENT)
        return true;
    if (r < 0) {
        (void)error_set(error, r, "%s", strerror(-r));
    } else if (connect_once() < 0) {
        if (settings->fallback)
            return true;
        /* Not -ENOENT, which says that the object is not there. */
        (void)error_set(error, -ECONNREFUSED, "%s", shmreg_error_message());
    }
    return false;
}

EXPORT int shm_open(const char *posix_name, int flags, mode_t mode) {
    int (*real)(const char *, int, mode_t) = dlsym(RTLD_NEXT, "shm_open");
    struct error error = {0};
    struct settings settings;
    bool is_real;
    int fd = -1;

    take_lock();
    is_real = falls_through(posix_name, &settings, &error);
    if (!is_real && error.code == 0) {
        release_gone();
        fd = open_mapped(&settings, flags, &error);
    }
    give_lock();
    if (is_real)
        return real(posix_name, flags, mode);
    return error.code < 0 ? fail_with(&settings, posix_name, &error) : fd;
}

EXPORT int shm_unlink(const char *posix_name) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "shm_unlink");
    struct error error = {0};
    struct settings settings;
    bool is_real;
    int r;

    take_lock();
    is_real = falls_through(posix_name, &settings, &error);
    if (!is_real && error.code == 0) {
        r = shmreg_destroy(connection, settings.name);
        if (r < 0)
            (void)failed(r, &error);
        release_gone();
    }
    give_lock();
    if (is_real)
        return real(posix_name);
    return error.code < 0 ? fail_with(&settings, posix_name, &error) : 0;
}

/* What is gone leaves its memory, which is the program's alone. */
static struct held *find_resizable(int fd) {
    struct held *held = NULL;

    if (!LIST_EMPTY(&all_held) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR)
        held = find_held(fd, O_RDWR);
    if (!held || !is_gone(held))
        return held;
    release(held);
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
    if (r == -EINVAL)
        return -EFBIG; /* over the maximum */
    if (r == 0)
        r = shmreg_refresh(held->region);
    return posix_error(r);
}

EXPORT int ftruncate(int fd, off_t size) {
    int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate64");
    struct held *held;
    int r = 0;

    take_lock();
    held = find_resizable(fd);
    if (held)
        r = resize(held, size);
    give_lock();
    if (!held)
        return real(fd, size);
    if (r == 0)
        return 0;
    errno = -r;
    return -1;
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
        held = find_resizable(fd);
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
