/*
 * Flush: content on disk, when the caller says so. The mapping is shared with the page cache of the
 * file, so no daemon is needed for it.
 */
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

static int check(const struct mapping *mapping, uint64_t offset, uint64_t length) {
    uint64_t size = atomic_load_explicit(&mapping->size, memory_order_acquire);

    if (mapping->backing != SHMREG_FILE)
        return fail(-EOPNOTSUPP, "region '%s' is no file: there is no disk to flush it to",
                    mapping->name);
    if (mapping_right(mapping) != SHMREG_WRITE)
        return fail(-EBADF, "region '%s' is open for reading: its writers flush it", mapping->name);
    if (offset > size || length > size - offset)
        return fail(-EINVAL,
                    "region '%s' has %" PRIu64 " bytes, fewer than %" PRIu64 " from %" PRIu64,
                    mapping->name, size, length, offset);
    return 0;
}

int shmreg_flush(shmreg_region *region, uint64_t offset, uint64_t length) {
    const struct mapping *mapping = region_mapping(region);
    uint64_t start = offset - offset % mapping->page_size;
    int r = check(mapping, offset, length);

    if (r < 0)
        return r;
    if (msync((char *)mapping->data + start, (size_t)(offset - start + length), MS_SYNC) < 0)
        return fail(-errno, "region '%s' cannot be flushed: %s", mapping->name, strerror(errno));
    return 0;
}
