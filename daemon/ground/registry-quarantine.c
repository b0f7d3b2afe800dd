/*
 * Quarantine: what the registry cannot use is kept for people to look at
 *
 * Nothing in the directory is ever overwritten or deleted by the daemon.
 */
#include "daemon/ground/registry-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/ground/log.h"

#define QUARANTINE "quarantine"
#define NUMBER_MAX 1000000u

static int open_quarantine(const struct registry *registry) {
    int fd;

    if (mkdirat(registry->directory, QUARANTINE, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(registry->directory, QUARANTINE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static int move_file(const struct registry *registry, char ret[static NAME_MAX + 1]) {
    _cleanup_close_ int quarantine = open_quarantine(registry);

    if (quarantine < 0)
        return quarantine;
    for (unsigned n = 1; n <= NUMBER_MAX; n++) {
        snprintf(ret, NAME_MAX + 1, "registry.%u", n);
        if (renameat2(registry->home, REGISTRY_FILE, quarantine, ret, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno == ENOENT) {
            _cleanup_close_ int fd =
                openat(quarantine, ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

            if (fd >= 0)
                return 0;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

int registry_quarantine_file(struct registry *registry, const char *why, struct error *error) {
    char name[NAME_MAX + 1];
    int r = move_file(registry, name);

    if (r < 0)
        return error_set(error, r, "cannot use registry %s (%s), nor move it to %s: %s",
                         registry->path, why, QUARANTINE, strerror(-r));
    log_write(LOG_ERR, ABOUT(.kind = LOG_RECORD_QUARANTINED),
              "registry %s cannot be used (%s): what is left of it is %s/%s, going on with a new "
              "one",
              registry->path, why, QUARANTINE, name);
    return 0;
}

/* TABLE.KEY, with what no file name may have replaced. */
static void format_name(enum registry_table table, const char *key, unsigned n,
                        char ret[static NAME_MAX + 1]) {
    char suffix[16] = "";
    int start = snprintf(ret, NAME_MAX + 1, "%s.", registry_table_name(table));

    if (n > 0)
        snprintf(suffix, sizeof(suffix), ".%u", n);
    snprintf(ret + start, NAME_MAX + 1 - (size_t)start, "%.200s%s.json", key, suffix);
    for (char *c = ret; *c; c++)
        if (*c == '/' || *c < ' ' || *c > '~')
            *c = '_';
}

static int create_file(int quarantine, enum registry_table table, const char *key,
                       char ret[static NAME_MAX + 1]) {
    for (unsigned n = 0; n <= NUMBER_MAX; n++) {
        int fd;

        format_name(table, key, n, ret);
        fd = openat(quarantine, ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int write_all(int fd, const char *text) {
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        left -= (size_t)n;
    }
    return 0;
}

static int write_record(const struct registry *registry, enum registry_table table, const char *key,
                        const char *value, char ret[static NAME_MAX + 1]) {
    _cleanup_close_ int quarantine = open_quarantine(registry);
    _cleanup_close_ int fd = -1;
    int r;

    if (quarantine < 0)
        return quarantine;
    fd = create_file(quarantine, table, key, ret);
    if (fd < 0)
        return fd;
    r = write_all(fd, value);
    if (r == 0 && registry->durable && (fsync(fd) < 0 || fsync(quarantine) < 0))
        r = -errno;
    if (r < 0)
        unlinkat(quarantine, ret, 0);
    return r;
}

int registry_quarantine(struct registry *registry, enum registry_table table, const char *key,
                        const char *why) {
    _cleanup_free_ char *value = NULL;
    struct error error = {0};
    char name[NAME_MAX + 1];
    int r = registry_get(registry, table, key, &value);

    if (r < 0)
        return r;
    r = write_record(registry, table, key, value, name);
    if (r < 0) {
        log_error("record %s of %s is left where it is (%s), it cannot be moved to %s: %s", key,
                  registry_table_name(table), why, QUARANTINE, strerror(-r));
        return r;
    }
    r = registry_delete(registry, table, key, &error);
    if (r < 0) {
        log_error("record %s of %s was copied to %s/%s (%s), but cannot be deleted: %s", key,
                  registry_table_name(table), QUARANTINE, name, why, error.text);
        return r;
    }
    log_write(LOG_WARNING, ABOUT(.kind = LOG_RECORD_QUARANTINED),
              "record %s of %s was moved to %s/%s: %s", key, registry_table_name(table), QUARANTINE,
              name, why);
    return 0;
}

static bool starts_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool registry_may_have_quarantined(const struct registry *registry, enum registry_table table,
                                   const char *key) {
    int fd = openat(registry->directory, QUARANTINE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    char record[NAME_MAX + 1];
    const struct dirent *entry;

    if (registry->damaged) {
        close_fd(&fd);
        return true;
    }
    if (fd < 0)
        return errno != ENOENT;
    if (!stream) {
        close_fd(&fd);
        return true;
    }
    snprintf(record, sizeof(record), "%s.%.200s.", registry_table_name(table), key);
    while ((entry = readdir(stream)))
        if (starts_with(entry->d_name, "registry.") || starts_with(entry->d_name, record))
            return true;
    return false;
}
