/*
 * The lock of a region: a robust mutex in its sync block, which the kernel gives up for an owner
 * that dies (pthread_mutexattr_setrobust(3)), and locks on ranges of bytes (fcntl(2)).
 */
#include "client/block.h"
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

static int take(pthread_mutex_t *lock, int timeout_msec) {
    int64_t deadline_nsec = 0;
    struct timespec deadline;

    if (timeout_msec < 0)
        return pthread_mutex_lock(lock);
    /* With a deadline that has passed, rather than pthread_mutex_trylock(3): glibc's takes a mutex
     * that is not recoverable, and says it did not. */
    if (timeout_msec > 0)
        deadline_nsec = monotonic_nsec() + timeout_msec * INT64_C(1000000);
    deadline = (struct timespec){
        .tv_sec = deadline_nsec / 1000000000,
        .tv_nsec = deadline_nsec % 1000000000,
    };
    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &deadline);
}

static int fail_lock(const struct shmreg_region *region, int error) {
    const char *name = region_mapping(region)->name;

    switch (error) {
    case ETIMEDOUT:
        return fail(-ETIMEDOUT, "region '%s' is locked by somebody else", name);
    case EDEADLK:
        return fail(-EDEADLK, "region '%s' is locked by this thread already", name);
    case ENOTRECOVERABLE:
        return fail(-ENOTRECOVERABLE,
                    "region '%s': an owner of its lock died, and the next one gave it back without "
                    "shmreg_lock_recovered()",
                    name);
    default:
        return fail(-error, "cannot lock region '%s': %s", name, strerror(error));
    }
}

int shmreg_lock(shmreg_region *region, int timeout_msec) {
    struct block *block;
    int r = block_of(region, true, &block);

    if (r < 0)
        return r;
    r = take(&block->memory->lock, timeout_msec);
    if (r != 0 && r != EOWNERDEAD)
        return fail_lock(region, r);
    block->writing = false;
    block_set_mine(block);
    if (r == 0)
        return 0;
    return fail(-EOWNERDEAD,
                "region '%s': the last owner of its lock died with it; the lock is held now, the "
                "data may be half changed",
                region_mapping(region)->name);
}

static int check_mine(const struct shmreg_region *region, struct block **ret) {
    int r = block_of(region, true, ret);

    if (r < 0 || block_is_mine(*ret))
        return r;
    return fail(-EPERM, "region '%s' is not locked by this thread", region_mapping(region)->name);
}

int shmreg_lock_recovered(shmreg_region *region) {
    struct block *block;
    int r = check_mine(region, &block);

    if (r < 0)
        return r;
    r = pthread_mutex_consistent(&block->memory->lock);
    if (r != 0)
        return fail(-r, "region '%s': no owner of its lock has died", region_mapping(region)->name);
    /* The dead one may have been writing: readers may go on. */
    if (!block->writing && atomic_load(&block->memory->sequence) % 2 != 0)
        block_write_end(block);
    return 0;
}

int shmreg_unlock(shmreg_region *region) {
    struct block *block;
    int r = check_mine(region, &block);

    if (r < 0)
        return r;
    if (block->writing)
        block_write_end(block);
    atomic_store_explicit(&block->owner, 0, memory_order_relaxed);
    r = pthread_mutex_unlock(&block->memory->lock);
    return r == 0 ? 0 : fail_lock(region, r);
}

static int change_range(shmreg_region *region, uint64_t offset, uint64_t length, short type,
                        int command) {
    const struct mapping *mapping = region_mapping(region);
    struct flock range = {
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)offset,
        .l_len = (off_t)length,
    };
    int r;

    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return fail(-EINVAL, "region '%s' has no %" PRIu64 " bytes at %" PRIu64, mapping->name,
                    length, offset);
    if (type == F_WRLCK && mapping_right(mapping) != WIRE_WRITE)
        return fail(-EACCES, "region '%s' is open for reading: an exclusive lock is its writers'",
                    mapping->name);
    do
        r = fcntl(mapping->fd, command, &range);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return fail(-EAGAIN,
                    "region '%s': somebody else has locked some of the %" PRIu64
                    " bytes at %" PRIu64,
                    mapping->name, length, offset);
    return fail(-errno, "region '%s': cannot lock a range: %s", mapping->name, strerror(errno));
}

int shmreg_lock_range(shmreg_region *region, uint64_t offset, uint64_t length, bool exclusive,
                      bool wait) {
    return change_range(region, offset, length, exclusive ? F_WRLCK : F_RDLCK,
                        wait ? F_OFD_SETLKW : F_OFD_SETLK);
}

int shmreg_unlock_range(shmreg_region *region, uint64_t offset, uint64_t length) {
    return change_range(region, offset, length, F_UNLCK, F_OFD_SETLK);
}
