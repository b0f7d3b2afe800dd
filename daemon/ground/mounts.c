/*
 * Mounts: see mounts.h.
 */
#include "daemon/ground/mounts.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int mount_type(int fd, char ret[static MOUNT_TYPE_MAX]) {
    int id, r = read_mount_id(fd, &id);

    if (r < 0)
        return r;
    r = find_mount("/proc/self/mountinfo", id, ret);
    return r == -ENOENT ? find_mount("/proc/1/mountinfo", id, ret) : r;
}
