/*
 * average-prices FROM TO: publishes running averages of a region of doubles, version by version
 *
 * The stage in the middle: somebody publishes arrays of float64 under FROM, in whatever language, and
 * for each this program publishes one under TO, with the same attributes. It sleeps in between, and
 * ends when FROM does. TO lives as long as this process.
 */
#include <shmreg.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>

static void average(const double *from, double *to, size_t count) {
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += from[i];
        to[i] = sum / (double)(i + 1);
    }
}

/* Nobody sees the new version before it is whole, and who reads the old one keeps it. */
static void publish(shmreg_conn *conn, shmreg_region *from, const char *name,
                    const char *attributes) {
    uint64_t size = shmreg_size(from);
    shmreg_region *to;
    uint32_t version;

    if (shmreg_stage(conn, name, size,
                     SHMREG_OPTIONS(.lifetime = SHMREG_OWNER, .mode = 0644, .max_size = size,
                                    .attributes = attributes),
                     &to) < 0)
        errx(1, "%s", shmreg_error_message());
    average(shmreg_data(from), shmreg_data(to), size / sizeof(double));
    if (shmreg_publish(to, 0, &version) < 0)
        errx(1, "%s", shmreg_error_message());
    shmreg_close(to);
    printf("%s: version %u, %zu averages\n", name, version, (size_t)(size / sizeof(double)));
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct shmreg_description *description;
    shmreg_region *from;
    shmreg_conn *conn;
    int r;

    if (argc != 3)
        errx(2, "usage: average-prices FROM TO");
    if (shmreg_connect(NULL, &conn) < 0 || shmreg_open(conn, argv[1], SHMREG_READ, &from) < 0)
        errx(1, "%s", shmreg_error_message());
    do {
        if (shmreg_describe(conn, argv[1], &description) < 0)
            errx(1, "%s", shmreg_error_message());
        publish(conn, from, argv[2], description->attributes);
        shmreg_description_free(description);
        shmreg_wait(from, -1);
        r = shmreg_refresh(from);
        shmreg_drop_old(from);
    } while (r == 0);
    if (r != -ENOENT)
        errx(1, "%s", shmreg_error_message());
    printf("%s has ended\n", argv[1]);
    shmreg_close(from);
    shmreg_disconnect(conn);
    return 0;
}
