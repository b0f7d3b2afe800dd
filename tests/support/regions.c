/*
 * Regions: see regions.h.
 */
#include "tests/support/regions.h"

#include "tests/support/wait.h"

struct holders {
    shmreg_conn *conn;
    const char *name;
    unsigned readers;
    unsigned writers;
};

shmreg_conn *connect_to(const struct test_daemon *daemon) {
    shmreg_conn *conn;

    expect_ok(shmreg_connect(daemon->socket, &conn));
    return conn;
}

void create_region(shmreg_conn *conn, const char *name, uint64_t size,
                   const struct shmreg_options *options) {
    shmreg_region *region;

    expect_ok(shmreg_create(conn, name, size, options, &region));
    shmreg_close(region);
}

shmreg_region *open_region(shmreg_conn *conn, const char *name, uint32_t access) {
    shmreg_region *region;

    expect_ok(shmreg_open(conn, name, access, &region));
    return region;
}

static struct holders describe_holders(shmreg_conn *conn, const char *name) {
    struct holders holders = {.conn = conn, .name = name};
    struct shmreg_description *description;

    expect_ok(shmreg_describe(conn, name, &description));
    holders.readers = description->readers;
    holders.writers = description->writers;
    shmreg_description_free(description);
    return holders;
}

unsigned count_readers(shmreg_conn *conn, const char *name) {
    return describe_holders(conn, name).readers;
}

unsigned count_writers(shmreg_conn *conn, const char *name) {
    return describe_holders(conn, name).writers;
}

bool exists(shmreg_conn *conn, const char *name) {
    struct shmreg_description *description;
    int r = shmreg_describe(conn, name, &description);

    ck_assert_msg(r == 0 || r == -ENOENT, "describe: %d: %s", r, shmreg_error_message());
    if (r == 0)
        shmreg_description_free(description);
    return r == 0;
}

static bool is_gone(void *data) {
    const struct holders *holders = data;

    return !exists(holders->conn, holders->name);
}

void wait_gone(shmreg_conn *conn, const char *name) {
    wait_until(is_gone, &(struct holders){.conn = conn, .name = name});
}

static bool is_held(void *data) {
    const struct holders *wanted = data;
    struct holders holders = describe_holders(wanted->conn, wanted->name);

    return holders.readers == wanted->readers && holders.writers == wanted->writers;
}

void wait_holders(shmreg_conn *conn, const char *name, unsigned readers, unsigned writers) {
    struct holders wanted = {.conn = conn, .name = name, .readers = readers, .writers = writers};

    wait_until(is_held, &wanted);
}

unsigned settled_descriptors(const struct test_daemon *daemon, shmreg_conn *conn) {
    /* An answer without descriptors: those of the answers before it are closed by now. */
    exists(conn, "nothing");
    return daemon_descriptors(daemon);
}

void fill(void *memory, size_t size, unsigned seed) {
    unsigned char *bytes = memory;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + seed + (i >> 8));
}

bool is_filled(const void *memory, size_t size, unsigned seed) {
    const unsigned char *bytes = memory;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(i * 31 + seed + (i >> 8)))
            return false;
    return true;
}
