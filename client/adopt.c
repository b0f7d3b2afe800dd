/*
 * Adopting: memory that this process has already becomes a region
 */
#include "client/connection.h"
#include "client/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* What a handle to this memory can be for: what the descriptor itself can be mapped for. */
static int find_access(const char *name, int fd, uint32_t *ret) {
    int flags = fcntl(fd, F_GETFL), seals = fcntl(fd, F_GET_SEALS);

    if (flags < 0)
        return fail(-errno, "region '%s': its descriptor: %s", name, strerror(errno));
    *ret = SHMREG_READ;
    if ((flags & O_ACCMODE) == O_RDWR &&
        !(seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
        *ret = SHMREG_WRITE;
    return 0;
}

int shmreg_adopt(shmreg_conn *conn, const char *name, int fd, const struct shmreg_options *options,
                 shmreg_region **ret) {
    _cleanup_(cleanup_region_free) struct shmreg_region *region = NULL;
    struct shmreg_options complete;
    uint32_t access = 0;
    int r = options_complete(options, SHMREG_SYNC_BLOCK, &complete);

    if (r == 0)
        r = check_name(name);
    if (r == 0)
        r = find_access(name, fd, &access);
    if (r < 0)
        return r;
    if (ret) {
        region = region_new(conn, name, access | complete.map_flags);
        if (!region)
            return -ENOMEM;
    }
    r = region_create(conn, WIRE_ADOPT, name, 0, &fd, &complete, &region);
    if (r < 0)
        return r;
    if (ret)
        *ret = steal_pointer(region);
    return 0;
}
