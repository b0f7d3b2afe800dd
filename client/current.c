/*
 * Staying current: knowing that a region has changed, sleeping until it does, and going on with
 * what it is now
 *
 * The daemon moves the region's slot on with every change. Whoever compares it with what his handle
 * has seen knows, and futex(2) sleeps on it though the page is mapped read-only.
 */
#include "client/connection.h"
#include "client/failure.h"
#include "client/region.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)

/* Nobody wakes those who sleep on a page that the daemon has lost. They look for themselves, now
 * and then, whether their connection has another. */
#define LONGEST_SLEEP_NSEC (5 * NSEC_PER_SEC)

/* What a handle knows of its region. */
struct view {
    struct mapping *mapping;
    const struct status_slot *slot;
    uint32_t seen;
    uint32_t losses;
};

static inline struct view view_of(const struct shmreg_region *region) {
    return (struct view){
        .mapping = region_mapping(region),
        .slot = atomic_load_explicit(&region->slot, memory_order_acquire),
        .seen = atomic_load_explicit(&region->seen, memory_order_acquire),
        .losses = atomic_load_explicit(&region->losses, memory_order_acquire),
    };
}

static inline bool is_current(const struct view *view) {
    return atomic_load_explicit(&view->slot->version, memory_order_acquire) == view->seen &&
           atomic_load_explicit(&view->mapping->losses, memory_order_acquire) == view->losses;
}

bool shmreg_is_current(const shmreg_region *region) {
    struct view view = view_of(region);

    return is_current(&view);
}

static int sleep_while_current(const struct view *view, int64_t deadline_nsec) {
    while (is_current(view)) {
        int64_t left = deadline_nsec - monotonic_nsec();
        struct timespec limit;

        if (left <= 0)
            return fail(-ETIMEDOUT, "region '%s' has not changed", view->mapping->name);
        if (left > LONGEST_SLEEP_NSEC)
            left = LONGEST_SLEEP_NSEC;
        limit = (struct timespec){.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};
        if (syscall(SYS_futex, &view->slot->version, FUTEX_WAIT, view->seen, &limit, NULL, 0) < 0 &&
            errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
            return fail(-errno, "cannot wait for region '%s': %s", view->mapping->name,
                        strerror(errno));
    }
    return 0;
}

int shmreg_wait(shmreg_region *region, int timeout_msec) {
    int64_t deadline_nsec =
        timeout_msec < 0 ? INT64_MAX : monotonic_nsec() + timeout_msec * NSEC_PER_MSEC;
    struct view view;
    int r;

    /* A reference, so that another thread may refresh the handle and drop what it kept. */
    pthread_mutex_lock(&region->conn->state);
    view = view_of(region);
    view.mapping->references++;
    pthread_mutex_unlock(&region->conn->state);
    r = sleep_while_current(&view, deadline_nsec);
    mapping_unref(view.mapping);
    return r;
}

/* The other handle is taken over: it goes on as the one that keeps what this one leaves, if that is
 * not the same. True if it does. */
static bool move_to(struct shmreg_region *region, struct shmreg_region *other) {
    struct mapping *old = region->mapping, *mapping = other->mapping;

    region_lead_to(region, mapping);
    if (mapping == old)
        return false;
    region_lead_to(other, old);
    other->older = region->older;
    region->older = other;
    return true;
}

int shmreg_refresh(shmreg_region *region) {
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = NULL;
    struct shmreg_region *other;
    bool kept;
    int r;

    if (shmreg_is_current(region))
        return 0;
    /* Held to the end, so that no thread leads the handle back to what another has left. */
    talking = talk_lock(region->conn);
    r = region_open(talking, region->mapping->name, region->mapping->access, &other);
    if (r < 0)
        return r;
    pthread_mutex_lock(&talking->state);
    kept = move_to(region, other);
    pthread_mutex_unlock(&talking->state);
    if (!kept)
        shmreg_close(other);
    return 0;
}
