/*
 * The lock of a registry: its directories, and that nobody else works in them
 */
#include "daemon/ground/registry-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "daemon/ground/log.h"

static int open_home(struct registry *registry, const char *directory, struct error *error) {
    registry->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (registry->directory < 0)
        return error_set(error, -errno, "cannot open %s: %s", directory, strerror(errno));
    if (!registry->read_only && mkdirat(registry->directory, "registry", 0700) < 0 &&
        errno != EEXIST)
        return error_set(error, -errno, "cannot make %s/registry: %s", directory, strerror(errno));
    registry->home = openat(registry->directory, "registry", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (registry->home < 0)
        return error_set(error, -errno, "cannot open %s/registry: %s", directory, strerror(errno));
    return 0;
}

/* The file that is locked says whether there was a registry here. It is written once that is in its
 * place, so a kill before makes nobody look for one that never was. */
bool registry_had_file(const struct registry *registry) {
    struct stat status;

    return fstat(registry->owner, &status) == 0 && status.st_size > 0;
}

void registry_note_file(const struct registry *registry) {
    ssize_t n;

    if (registry_had_file(registry))
        return;
    do
        n = pwrite(registry->owner, "1\n", 2, 0);
    while (n < 0 && errno == EINTR);
    if (n != 2)
        log_warning("cannot note that there is a registry %s: %s", registry->path, strerror(errno));
}

int registry_lock(struct registry *registry, const char *directory, struct error *error) {
    int create = registry->read_only ? 0 : O_CREAT;
    int r = open_home(registry, directory, error);

    if (r < 0)
        return r;
    registry->owner = openat(registry->home, "owner", O_RDWR | create | O_CLOEXEC, 0600);
    if (registry->owner < 0)
        return error_set(error, -errno, "cannot open %s/registry/owner: %s", directory,
                         strerror(errno));
    if (flock(registry->owner, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(error, -EBUSY, "another shmregd uses registry %s", registry->path);
    return error_set(error, -errno, "cannot lock registry %s: %s", registry->path, strerror(errno));
}
