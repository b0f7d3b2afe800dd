/*
 * NUMA: on which nodes the pages of a region are to be
 *
 * mbind(2) itself is called, without libnuma. It takes nodes that do not exist as long as one of
 * them does, so they are looked up first.
 */
#include "client/failure.h"
#include "client/region.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES_WITH_MEMORY "/sys/devices/system/node/has_memory"
#define NODES 64u

_Static_assert((int)SHMREG_NUMA_DEFAULT == (int)MPOL_DEFAULT, "policies");
_Static_assert((int)SHMREG_NUMA_BIND == (int)MPOL_BIND, "policies");
_Static_assert((int)SHMREG_NUMA_INTERLEAVE == (int)MPOL_INTERLEAVE, "policies");

/* Reads a list like "0-1,3". */
static int read_nodes(uint64_t *ret) {
    _cleanup_fclose_ FILE *file = fopen(NODES_WITH_MEMORY, "re");
    unsigned first, last;
    int n;

    *ret = 0;
    if (!file)
        return -errno;
    while ((n = fscanf(file, "%u-%u", &first, &last)) > 0) {
        if (n == 1)
            last = first;
        for (unsigned node = first; node <= last && node < NODES; node++)
            *ret |= UINT64_C(1) << node;
        if (fgetc(file) != ',')
            break;
    }
    return 0;
}

static int check_nodes(const char *name, enum shmreg_numa_policy policy, uint64_t nodes) {
    uint64_t existing, missing;
    int r;

    if (policy == SHMREG_NUMA_DEFAULT)
        return nodes == 0 ? 0 : fail(-EINVAL, "SHMREG_NUMA_DEFAULT goes without nodes");
    if (policy != SHMREG_NUMA_BIND && policy != SHMREG_NUMA_INTERLEAVE)
        return fail(-EINVAL, "unknown NUMA policy %d", (int)policy);
    if (nodes == 0)
        return fail(-EINVAL, "a NUMA policy needs at least one node");
    r = read_nodes(&existing);
    if (r < 0)
        return fail(-EOPNOTSUPP, "region '%s': this kernel knows no NUMA nodes: %s: %s", name,
                    NODES_WITH_MEMORY, strerror(-r));
    missing = nodes & ~existing;
    if (missing)
        return fail(-EINVAL, "region '%s': this host has no memory on NUMA node %d", name,
                    __builtin_ctzll(missing));
    return 0;
}

/* The page cache of a file on a disk follows no policy, and the kernel does not say so. */
static int check_memory(const struct mapping *mapping) {
    struct statfs system;

    if (fstatfs(mapping->fd, &system) < 0)
        return fail(-errno, "region '%s': its descriptor: %s", mapping->name, strerror(errno));
    if (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC)
        return fail(-EOPNOTSUPP, "region '%s': a file on a disk has no NUMA policy", mapping->name);
    return 0;
}

int shmreg_numa(shmreg_region *region, enum shmreg_numa_policy policy, uint64_t nodes) {
    const struct mapping *mapping = region_mapping(region);
    unsigned long mask[NODES / (8 * sizeof(unsigned long))];
    int r = check_nodes(mapping->name, policy, nodes);

    if (r == 0)
        r = check_memory(mapping);
    if (r < 0)
        return r;
    memcpy(mask, &nodes, sizeof(mask));
    /* The kernel counts one bit less than it is told. */
    if (syscall(SYS_mbind, mapping->data, mapping->length, (int)policy, nodes ? mask : NULL,
                nodes ? NODES + 1 : 0, MPOL_MF_MOVE) == 0)
        return 0;
    if (errno == ENOSYS)
        return fail(-EOPNOTSUPP, "region '%s': this kernel has no NUMA policies", mapping->name);
    return fail(-errno, "region '%s': cannot place it on NUMA nodes: %s", mapping->name,
                strerror(errno));
}
