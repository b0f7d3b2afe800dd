/*
 * Mounts: see mounts.h.
 */
#include "daemon/ground/mounts.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* Not in linux/magic.h. */
#define XFS_MAGIC 0x58465342

static int read_mount_id(int fd, int *ret) {
    _cleanup_fclose_ FILE *file = NULL;
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    char path[48];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    while (getline(&line, &size, file) >= 0)
        if (sscanf(line, "mnt_id: %d", ret) == 1)
            return 0;
    return -ENOENT;
}

/* A line is the id, fields that vary in number, " - ", the type. No field has a space in it. */
static bool read_line(const char *line, int id, char ret[static MOUNT_TYPE_MAX]) {
    const char *separator = strstr(line, " - ");
    size_t length;

    if (strtol(line, NULL, 10) != id || !separator)
        return false;
    separator += strlen(" - ");
    length = strcspn(separator, " \n");
    if (length == 0 || length >= MOUNT_TYPE_MAX)
        return false;
    memcpy(ret, separator, length);
    ret[length] = '\0';
    return true;
}

static int find_mount(const char *path, int id, char ret[static MOUNT_TYPE_MAX]) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ char *line = NULL;
    size_t size = 0;

    if (!file)
        return -errno;
    while (getline(&line, &size, file) >= 0)
        if (read_line(line, id, ret))
            return 0;
    return -ENOENT;
}

/* Where chroot(2) has made a root of what is no mount point, the mount is in no list. The daemon runs
 * from there, so asking it is no risk. */
static int find_root(int id, char ret[static MOUNT_TYPE_MAX]) {
    static const struct {
        unsigned long magic;
        const char *type;
    } types[] = {
        {EXT4_SUPER_MAGIC, "ext4"},         {XFS_MAGIC, "xfs"},     {BTRFS_SUPER_MAGIC, "btrfs"},
        {OVERLAYFS_SUPER_MAGIC, "overlay"}, {TMPFS_MAGIC, "tmpfs"},
    };
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statfs status;
    int root_id, r = root < 0 ? -errno : read_mount_id(root, &root_id);

    if (r < 0)
        return r;
    if (root_id != id || fstatfs(root, &status) < 0)
        return -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i].magic != (unsigned long)status.f_type)
            continue;
        strcpy(ret, types[i].type);
        return 0;
    }
    return -ENOENT;
}

int mount_type(int fd, char ret[static MOUNT_TYPE_MAX]) {
    int id, r = read_mount_id(fd, &id);

    if (r < 0)
        return r;
    r = find_mount("/proc/self/mountinfo", id, ret);
    if (r == -ENOENT)
        r = find_mount("/proc/1/mountinfo", id, ret);
    return r == -ENOENT ? find_root(id, ret) : r;
}
