/*
 * Place: see place.h.
 */
#include "tests/fuzz/place.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/ground/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/private-mounts.h"

static void prepare_process(void) {
    static bool is_prepared;

    if (is_prepared)
        return;
    is_prepared = true;
    log_open(true);
    log_set_level(LOG_CRIT);
    if (private_mounts() == 0)
        fuzz_check(mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") == 0);
}

void place_make(char ret[static PLACE_MAX]) {
    prepare_process();
    strcpy(ret, "/dev/shm/shmreg-fuzz-XXXXXX");
    fuzz_check(mkdtemp(ret));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void place_remove(const char *place) {
    fuzz_check(nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

void place_write(const char *path, const void *data, size_t size) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

unsigned count_entries(const char *directory, const char *prefix) {
    _cleanup_closedir_ DIR *stream = opendir(directory);
    const struct dirent *entry;
    unsigned count = 0;

    fuzz_check(stream);
    while ((entry = readdir(stream)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    return count;
}
