/*
 * check-file [--keep] NAME FILE: maps a region read-only and compares it with a file
 *
 * With --keep it compares again and again until SIGTERM, whatever happens to the daemon meanwhile,
 * and then asks the daemon for the region once more, on the same connection.
 */
#include <shmreg.h>

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_term(int signal) {
    (void)signal;
    stopped = 1;
}

static const void *map_file(const char *path, uint64_t *ret_size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *data;

    if (fd < 0 || fstat(fd, &status) < 0)
        err(1, "%s", path);
    *ret_size = (uint64_t)status.st_size;
    data = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        err(1, "%s", path);
    close(fd);
    return data;
}

static unsigned long compare(const shmreg_region *region, const char *path, bool keep) {
    unsigned long times = 0;
    uint64_t size;
    const void *expected = map_file(path, &size);

    if (size != shmreg_size(region))
        errx(1, "the region has %llu bytes, %s %llu", (unsigned long long)shmreg_size(region), path,
             (unsigned long long)size);
    do {
        if (memcmp(shmreg_data(region), expected, size) != 0)
            errx(1, "the region differs from %s", path);
        if (times++ == 0) {
            printf("the region is equal to %s\n", path);
            fflush(stdout);
        }
    } while (keep && !stopped);
    return times;
}

int main(int argc, char **argv) {
    bool keep = argc > 1 && strcmp(argv[1], "--keep") == 0;
    struct shmreg_description *description;
    const char *name = argv[keep + 1];
    shmreg_region *region;
    shmreg_conn *conn;
    unsigned long times;

    if (argc != keep + 3)
        errx(2, "usage: check-file [--keep] NAME FILE");
    signal(SIGTERM, on_term);
    if (shmreg_connect(NULL, &conn) < 0 || shmreg_open(conn, name, SHMREG_READ, &region) < 0)
        errx(1, "%s", shmreg_error_message());
    times = compare(region, argv[keep + 2], keep);
    if (keep) {
        if (shmreg_describe(conn, name, &description) < 0)
            errx(1, "%s", shmreg_error_message());
        printf("compared %lu times without a difference; version %u of %s has %u reader(s)\n",
               times, description->version, name, description->readers);
        shmreg_description_free(description);
    }
    shmreg_close(region);
    shmreg_disconnect(conn);
    return 0;
}
