/*
 * Census: see census.h.
 */
#include "tests/soak/census.h"

#include "daemon/ground/registry.h"
#include "proto/cleanup.h"
#include "tests/support/regions.h"
#include "tests/support/wait.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* But for two connections: one that the census is taken with, and one that asks. */
static bool is_empty(void *data) {
    const struct test_daemon *daemon = data;

    return daemon_usage(daemon, "regions") == 0 && daemon_usage(daemon, "attachments") == 0 &&
           daemon_usage(daemon, "bytes") == 0 && daemon_usage(daemon, "connections") == 2 &&
           daemon_segments(daemon) == 0;
}

static FILE *open_process_file(const struct test_daemon *daemon, const char *name) {
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/%s", daemon->pid, name);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    return file;
}

static unsigned count_mappings(const struct test_daemon *daemon) {
    _cleanup_fclose_ FILE *maps = open_process_file(daemon, "maps");
    unsigned count = 0;
    char line[512];

    while (fgets(line, sizeof(line), maps))
        count += strchr(line, '/') != NULL;
    return count;
}

static unsigned long resident(const struct test_daemon *daemon) {
    _cleanup_fclose_ FILE *status = open_process_file(daemon, "status");
    unsigned long size = 0;
    char line[256];

    while (size == 0 && fgets(line, sizeof(line), status))
        sscanf(line, "VmRSS: %lu kB", &size);
    ck_assert_uint_gt(size, 0);
    return size;
}

/* The connection that asked last is closed in a turn of the loop that may come after an answer, but
 * before the next one. */
struct settling {
    const struct test_daemon *daemon;
    shmreg_conn *conn;
    unsigned descriptors;
};

static bool is_settled(void *data) {
    struct settling *settling = data;
    unsigned before = settling->descriptors;

    settling->descriptors = settled_descriptors(settling->daemon, settling->conn);
    return settling->descriptors == before;
}

struct census census_take(const struct test_daemon *daemon) {
    struct settling settling = {.daemon = daemon, .conn = connect_to(daemon)};
    struct census census;

    wait_until(is_empty, (void *)daemon);
    wait_until(is_settled, &settling);
    census = (struct census){
        .descriptors = settling.descriptors,
        .mappings = count_mappings(daemon),
        .resident = resident(daemon),
    };
    shmreg_disconnect(settling.conn);
    return census;
}

static int count_one(void *data, const char *key, const char *value) {
    unsigned *count = data;

    fprintf(stderr, "a record is left: %s: %s\n", key, value);
    ++*count;
    return 0;
}

static unsigned count_records(const char *directory, bool durable) {
    static const enum registry_table tables[] = {REGISTRY_REGIONS, REGISTRY_HOLDERS,
                                                 REGISTRY_STAGES};
    _cleanup_(cleanup_registry_close) struct registry *registry = NULL;
    struct error error;
    unsigned count = 0;

    ck_assert_int_eq(registry_open(directory, durable, &registry, &error), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
        ck_assert_int_eq(registry_each(registry, tables[i], count_one, &count), 0);
    return count;
}

unsigned census_records(const struct test_daemon *daemon) {
    return count_records(daemon->runtime, false) + count_records(daemon->state, true);
}
