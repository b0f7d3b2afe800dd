/*
 * The sequence of a region: a counter in its sync block that is odd while a writer changes the data
 * and another one after it, so that readers, who cannot lock, know what they have not seen whole
 * (a seqlock); and its event, a counter to sleep on (futex(2)).
 */
#include "client/block.h"
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)

/* How often a reader looks before it gives its CPU to others, and how often before it sleeps. */
#define LOOKS_SPINNING 100u
#define LOOKS_YIELDING 200u
#define NAP_NSEC 50000

static int64_t deadline_after(int timeout_msec) {
    return timeout_msec < 0 ? INT64_MAX : monotonic_nsec() + timeout_msec * NSEC_PER_MSEC;
}

static void pause_before_look(unsigned look) {
    if (look < LOOKS_SPINNING)
        return;
    if (look < LOOKS_YIELDING)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = NAP_NSEC}, NULL);
}

static bool read_even(const struct block *block, uint64_t *ret) {
    *ret = atomic_load_explicit(&block->memory->sequence, memory_order_acquire);
    return *ret % 2 == 0;
}

static int wait_even(const struct shmreg_region *region, const struct block *block,
                     int timeout_msec, uint64_t *ret) {
    int64_t deadline_nsec = deadline_after(timeout_msec);

    for (unsigned look = 0; !read_even(block, ret); look += look < LOOKS_YIELDING) {
        pause_before_look(look);
        if (look >= LOOKS_SPINNING && monotonic_nsec() >= deadline_nsec)
            return fail(-ETIMEDOUT, "region '%s' is being written, or its writer died at it",
                        region_mapping(region)->name);
    }
    return 0;
}

int shmreg_read_begin(const shmreg_region *region, int timeout_msec, uint64_t *ret) {
    struct block *block;
    int r = block_of(region, false, &block);

    if (r < 0 || read_even(block, ret))
        return r;
    return wait_even(region, block, timeout_msec, ret);
}

bool shmreg_read_retry(const shmreg_region *region, uint64_t begun) {
    const struct block *block = region_mapping(region)->block;

    /* What was read before is read before this. */
    atomic_thread_fence(memory_order_acquire);
    return !block || atomic_load_explicit(&block->memory->sequence, memory_order_relaxed) != begun;
}

static int fail_write(const struct shmreg_region *region, const struct block *block) {
    if (!block_is_mine(block))
        return fail(-EPERM, "region '%s' is not locked by this thread: who writes has the lock",
                    region_mapping(region)->name);
    return fail(-EALREADY, "region '%s': this thread is %s writing", region_mapping(region)->name,
                block->writing ? "already" : "not");
}

int shmreg_write_begin(shmreg_region *region) {
    struct block *block;
    int r = block_of(region, true, &block);

    if (r < 0)
        return r;
    if (!block_is_mine(block) || block->writing)
        return fail_write(region, block);
    /* A dead writer has left it odd. */
    atomic_fetch_or_explicit(&block->memory->sequence, 1, memory_order_relaxed);
    /* What is written after is written after this. */
    atomic_thread_fence(memory_order_release);
    block->writing = true;
    return 0;
}

void block_write_end(struct block *block) {
    block->writing = false;
    atomic_fetch_add_explicit(&block->memory->sequence, 1, memory_order_release);
}

int shmreg_write_end(shmreg_region *region) {
    struct block *block;
    int r = block_of(region, true, &block);

    if (r < 0)
        return r;
    if (!block_is_mine(block) || !block->writing)
        return fail_write(region, block);
    block_write_end(block);
    return 0;
}

int shmreg_notify(shmreg_region *region) {
    struct block *block;
    int r = block_of(region, true, &block);

    if (r < 0)
        return r;
    atomic_fetch_add_explicit(&block->memory->event, 1, memory_order_release);
    if (syscall(SYS_futex, &block->memory->event, FUTEX_WAKE, INT_MAX, NULL, NULL, 0) < 0)
        return fail(-errno, "region '%s': cannot wake: %s", region_mapping(region)->name,
                    strerror(errno));
    return 0;
}

static int sleep_on_event(const struct mapping *mapping, uint32_t last, int64_t deadline_nsec,
                          uint32_t *ret) {
    const _Atomic uint32_t *event = &mapping->block->memory->event;

    while ((*ret = atomic_load_explicit(event, memory_order_acquire)) == last) {
        int64_t left = deadline_nsec - monotonic_nsec();
        struct timespec limit = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

        if (left <= 0)
            return fail(-ETIMEDOUT, "region '%s': nobody has notified", mapping->name);
        if (syscall(SYS_futex, event, FUTEX_WAIT, last, &limit, NULL, 0) < 0 && errno != EAGAIN &&
            errno != EINTR && errno != ETIMEDOUT)
            return fail(-errno, "cannot wait for region '%s': %s", mapping->name, strerror(errno));
    }
    return 0;
}

int shmreg_wait_event(shmreg_region *region, uint32_t last, int timeout_msec, uint32_t *ret) {
    struct block *block;
    struct mapping *mapping;
    int r = block_of(region, false, &block);

    if (r < 0)
        return r;
    /* A reference, so that another thread may refresh the handle and drop what it kept. */
    pthread_mutex_lock(&region->conn->state);
    mapping = region->mapping;
    mapping->references++;
    pthread_mutex_unlock(&region->conn->state);
    /* There is no block any more if the name leads to another region now, without one. */
    r = mapping->block ? sleep_on_event(mapping, last, deadline_after(timeout_msec), ret)
                       : block_of(region, false, &block);
    mapping_unref(mapping);
    return r;
}
