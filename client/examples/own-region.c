/*
 * own-region NAME: creates a region that lives as long as this process, and waits to be killed
 */
#include <shmreg.h>

#include <err.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    shmreg_region *region;
    shmreg_conn *conn;

    if (argc != 2)
        errx(2, "usage: own-region NAME");
    if (shmreg_connect(NULL, &conn) < 0 ||
        shmreg_create(conn, argv[1], 1 << 20, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER), &region) <
            0)
        errx(1, "%s", shmreg_error_message());
    printf("process %d owns %s\n", getpid(), argv[1]);
    fflush(stdout);
    for (;;)
        pause();
}
