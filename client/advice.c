/*
 * Advice: see advice.h.
 *
 * One table says what each option does. Its order is that of the work: how memory is to be handled
 * comes before what makes it come.
 */
#include "client/advice.h"

#include "client/failure.h"
#include "client/huge.h"
#include "client/shmreg.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct option {
    uint32_t flag;
    int advice; /* of madvise(2) */
    const char *name;
    int (*apply)(const struct option *option, const struct mapping *mapping);
};

/* The part that is there: what lies between it and the end of the mapping may come to be later. */
static size_t present_length(const struct mapping *mapping) {
    return (mapping->size + mapping->page_size - 1) / mapping->page_size * mapping->page_size;
}

static int advise(const struct option *option, const struct mapping *mapping) {
    if (madvise(mapping->data, mapping->length, option->advice) < 0)
        return fail(-errno, "region '%s': %s: madvise: %s", mapping->name, option->name,
                    strerror(errno));
    return 0;
}

static int advise_huge(const struct option *option, const struct mapping *mapping) {
    int r;

    if (mapping->page_size > (size_t)sysconf(_SC_PAGESIZE))
        return 0; /* of huge pages from the start */
    r = huge_advice_check(mapping);
    return r < 0 ? r : advise(option, mapping);
}

/* The kernel says EFAULT wherever an access would be a SIGBUS. */
static int explain_populate(const struct mapping *mapping, int error) {
    struct stat status;

    switch (error) {
    case EFAULT:
        if (fstat(mapping->fd, &status) == 0 && (uint64_t)status.st_size < mapping->size)
            return fail(-EIO, "region '%s': a writer cut its memory from %" PRIu64 " to %jd bytes",
                        mapping->name, mapping->size, (intmax_t)status.st_size);
        return fail(-ENOSPC, "region '%s': no space for its %" PRIu64 " bytes where they are kept",
                    mapping->name, mapping->size);
    case EINVAL:
        return fail(-EOPNOTSUPP, "region '%s': SHMREG_POPULATE needs Linux 5.14", mapping->name);
    case ENOMEM:
        return fail(-ENOMEM, "region '%s': no memory for its %" PRIu64 " bytes", mapping->name,
                    mapping->size);
    default:
        return fail(-error, "region '%s': cannot populate its memory: %s", mapping->name,
                    strerror(error));
    }
}

/* A private mapping is read in: to write to it now would copy all of it. */
static int populate(const struct option *option, const struct mapping *mapping) {
    int advice = mapping->access & SHMREG_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

    (void)option;
    if (madvise(mapping->data, present_length(mapping), advice) < 0)
        return explain_populate(mapping, errno);
    return 0;
}

static int explain_lock(const struct mapping *mapping, int error) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return fail(-error,
                    "region '%s': cannot lock %" PRIu64 " bytes in memory: RLIMIT_MEMLOCK is %ju "
                    "bytes",
                    mapping->name, mapping->size, (uintmax_t)limit.rlim_cur);
    return fail(-error, "region '%s': cannot lock %" PRIu64 " bytes in memory: %s", mapping->name,
                mapping->size, strerror(error));
}

/* mlock(2) has one code for a limit that is reached and for space that is out: populated first, it
 * can mean the limit alone. mlock2(2), since sanitizers turn the older call into nothing. */
static int lock(const struct option *option, const struct mapping *mapping) {
    int r = populate(option, mapping);

    if (r == 0 && mlock2(mapping->data, present_length(mapping), 0) < 0)
        return explain_lock(mapping, errno);
    return r;
}

static const struct option options[] = {
    {SHMREG_NO_DUMP, MADV_DONTDUMP, "SHMREG_NO_DUMP", advise},
    {SHMREG_NO_FORK, MADV_DONTFORK, "SHMREG_NO_FORK", advise},
    {SHMREG_SEQUENTIAL, MADV_SEQUENTIAL, "SHMREG_SEQUENTIAL", advise},
    {SHMREG_RANDOM, MADV_RANDOM, "SHMREG_RANDOM", advise},
    {SHMREG_HUGE, MADV_HUGEPAGE, "SHMREG_HUGE", advise_huge},
    {SHMREG_WILLNEED, MADV_WILLNEED, "SHMREG_WILLNEED", advise},
    {SHMREG_POPULATE, 0, "SHMREG_POPULATE", populate},
    {SHMREG_LOCK, 0, "SHMREG_LOCK", lock},
};

int access_check(uint32_t access) {
    uint32_t rights = access & (SHMREG_READ | SHMREG_WRITE);
    uint32_t unknown = access & ~(SHMREG_READ | SHMREG_WRITE | SHMREG_PRIVATE);

    if (rights != SHMREG_READ && rights != SHMREG_WRITE)
        return fail(-EINVAL, "access %#x is neither SHMREG_READ nor SHMREG_WRITE", access);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        unknown &= ~options[i].flag;
    if (unknown)
        return fail(-EINVAL, "access has unknown options %#x", unknown);
    if (rights == SHMREG_WRITE && access & SHMREG_PRIVATE)
        return fail(-EINVAL, "SHMREG_PRIVATE goes with SHMREG_READ: what is written to a private "
                             "mapping is nobody else's");
    if (access & SHMREG_SEQUENTIAL && access & SHMREG_RANDOM)
        return fail(-EINVAL, "SHMREG_SEQUENTIAL and SHMREG_RANDOM contradict each other");
    return 0;
}

int advice_apply(const struct mapping *mapping) {
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(options) && r == 0; i++)
        if (mapping->access & options[i].flag)
            r = options[i].apply(&options[i], mapping);
    return r;
}
