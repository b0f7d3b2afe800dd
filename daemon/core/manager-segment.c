/*
 * Manager: memory for regions and stages, for which room is made where there is none.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/cache.h"

#include <errno.h>

int manager_new_segment(struct manager *manager, const struct payer *payer, enum backing backing,
                        enum huge_pages huge_pages, uint64_t id, uint32_t version, uint64_t size,
                        uint64_t max_size, struct segment **ret, struct error *error) {
    uint64_t page_size = huge_pages_size(huge_pages);
    struct charge *charge;
    int r;

    max_size = (max_size + page_size - 1) / page_size * page_size;
    for (;;) {
        r = quota_charge(manager->quota, payer, LIMIT_BYTES, max_size, &charge, error);
        if (r < 0)
            return r;
        r = segment_new(&manager->places, backing, huge_pages, id, version, size, max_size, charge,
                        ret, error);
        if (r != -ENOSPC || !cache_make_room(manager, backing, false))
            return r;
    }
}

int manager_write_segment(struct manager *manager, const struct segment *segment, uint64_t offset,
                          const void *data, size_t size, struct error *error) {
    int r;

    do
        r = segment_write(segment, offset, data, size, error);
    while (r == -ENOSPC && cache_make_room(manager, segment->backing, true));
    return r;
}
