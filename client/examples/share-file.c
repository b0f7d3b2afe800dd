/*
 * share-file NAME FILE [MODE]: creates a region with the content of a file
 *
 * The region is persistent: it stays when this program has ended, until somebody destroys it.
 */
#include <shmreg.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_whole(int fd, const char *path, char *data, uint64_t size) {
    while (size > 0) {
        ssize_t n = read(fd, data, size);

        if (n <= 0)
            errx(1, "cannot read %s", path);
        data += n;
        size -= (uint64_t)n;
    }
}

int main(int argc, char **argv) {
    shmreg_region *region;
    shmreg_conn *conn;
    struct stat status;
    unsigned long mode;
    int fd;

    if (argc < 3 || argc > 4)
        errx(2, "usage: share-file NAME FILE [MODE]");
    mode = argc == 4 ? strtoul(argv[3], NULL, 8) : 0600;
    fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        err(1, "%s", argv[2]);

    if (shmreg_connect(NULL, &conn) < 0 ||
        shmreg_create(conn, argv[1], (uint64_t)status.st_size,
                      SHMREG_OPTIONS(.mode = (uint32_t)mode), &region) < 0)
        errx(1, "%s", shmreg_error_message());
    read_whole(fd, argv[2], shmreg_data(region), shmreg_size(region));
    printf("%s: %llu bytes of %s\n", argv[1], (unsigned long long)shmreg_size(region), argv[2]);

    shmreg_close(region);
    shmreg_disconnect(conn);
    close(fd);
    return 0;
}
