/*
 * Registry: nothing that was answered is lost when the process is killed, and no damage to the file
 * crashes the next one.
 */
#include "tests/unit/scratch-registry.h"
#include "tests/unit/suite.h"

#include <signal.h>
#include <sys/wait.h>

/* A registry with all that LMDB has: several levels, values on pages of their own, free pages. */
static char *make_rich_file(size_t *ret_size) {
    struct registry *registry = open_registry(false);
    char key[16], value[9000];

    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof(key), "%08d", i);
        snprintf(value, sizeof(value), "%0*d", i % 50 == 0 ? 8000 : 200, i);
        put(registry, REGISTRY_REGIONS, key, value);
    }
    for (int i = 0; i < 600; i += 3) {
        snprintf(key, sizeof(key), "%08d", i);
        delete_record(registry, REGISTRY_REGIONS, key);
    }
    registry_close(registry);
    return scratch_read(FILE_PATH, ret_size);
}

static unsigned use_registry(void) {
    struct registry *registry = open_registry(false);
    char key[16], value[5000];
    unsigned count = count_records(registry, REGISTRY_REGIONS);

    snprintf(value, sizeof(value), "%04999d", 0);
    for (size_t i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "%08zu", i * 10);
        put(registry, REGISTRY_REGIONS, key, value + i * 80);
    }
    for (int i = 0; i < 600; i += 10) {
        snprintf(key, sizeof(key), "%08d", i);
        delete_record(registry, REGISTRY_REGIONS, key);
    }
    registry_close(registry);
    return count;
}

/* Wrong bytes where LMDB has its structure: the heads of pages, and the meta pages. */
START_TEST(damage_never_crashes_it) {
    _cleanup_free_ char *good = NULL, *bad = NULL;
    unsigned whole = 0, fresh = 0;
    size_t size;

    scratch_mount(512 * MiB);
    srand(4711);
    good = make_rich_file(&size);
    bad = malloc(size);
    ck_assert_ptr_nonnull(bad);
    for (int round = 0; round < 80; round++) {
        memcpy(bad, good, size);
        for (int i = 0; i < 1 + round % 4; i++) {
            size_t page = round % 3 == 0 ? (size_t)rand() % 3 : (size_t)rand() % 100;
            size_t at = page * 4096 + (size_t)rand() % (round % 2 ? 160 : 4096);

            bad[at] = (char)rand();
        }
        scratch_write(FILE_PATH, bad, round % 20 == 19 ? (size_t)rand() % size : size);
        *(use_registry() == 0 ? &fresh : &whole) += 1;
        ck_assert_int_eq(system("rm -rf " SCRATCH "/quarantine"), 0);
    }
    ck_assert_uint_gt(fresh, 10);
    ck_assert_uint_gt(whole, 10);
}
END_TEST

/* Step n of a history: puts record n, or deletes record n - 2. */
static void format_record(unsigned n, char key[static 16], char value[static 4000]) {
    snprintf(key, 16, "%08u", n);
    snprintf(value, 4000, "%0*u", 20 + (int)(n * 97 % 3900), n);
}

static int take_step(struct registry *registry, unsigned n) {
    char key[16], value[4000];

    if (n % 3 == 2) {
        format_record(n - 2, key, value);
        return registry_delete(registry, REGISTRY_REGIONS, key, NULL);
    }
    format_record(n, key, value);
    return registry_put(registry, REGISTRY_REGIONS, key, value, NULL);
}

/* Whether the registry is as the first @steps of the history leave it. */
static bool is_after(struct registry *registry, unsigned steps) {
    unsigned count = 0;

    for (unsigned n = 0; n < steps; n++) {
        _cleanup_free_ char *found = NULL;
        char key[16], value[4000];

        if (n % 3 == 2 || (n % 3 == 0 && n + 2 < steps))
            continue;
        count++;
        format_record(n, key, value);
        if (registry_get(registry, REGISTRY_REGIONS, key, &found) < 0 || strcmp(found, value) != 0)
            return false;
    }
    return count_records(registry, REGISTRY_REGIONS) == count;
}

/* Goes on with the history until it is killed, and reports each step that was answered. */
static _Noreturn void walk(bool durable, unsigned first, int report) {
    struct registry *registry = NULL;

    if (registry_open(SCRATCH, durable, &registry, NULL) < 0)
        _exit(1);
    for (unsigned n = first; take_step(registry, n) == 0; n++)
        if (write(report, &n, sizeof(n)) != sizeof(n))
            break;
    _exit(1);
}

/* Starts a walk, kills it after @reports of its reports, and returns the steps that it answered. */
static unsigned kill_walk(bool durable, unsigned first, unsigned reports) {
    unsigned last = first - 1, seen = 0, n;
    int ends[2], status;
    pid_t child;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        walk(durable, first, ends[1]);
    close(ends[1]);
    while (read(ends[0], &n, sizeof(n)) == sizeof(n)) {
        ck_assert_uint_eq(n, last + 1);
        last = n;
        if (++seen == reports)
            ck_assert_int_eq(kill(child, SIGKILL), 0);
    }
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, SIGKILL);
    return last + 1;
}

static void kill_again_and_again(bool durable) {
    unsigned done = 0;

    scratch_mount(512 * MiB);
    for (unsigned round = 1; round <= 20; round++) {
        struct registry *registry;

        done = kill_walk(durable, done, 1 + round * 37 % 101);
        registry = open_registry(durable);
        if (!is_after(registry, done)) {
            done++;
            ck_assert_msg(is_after(registry, done), "lost something in round %u", round);
        }
        registry_close(registry);
    }
    ck_assert_int_eq(access(SCRATCH "/quarantine", F_OK), -1);
}

START_TEST(a_kill_of_a_volatile_one_loses_nothing_answered) {
    kill_again_and_again(false);
}
END_TEST

START_TEST(a_kill_of_a_durable_one_loses_nothing_answered) {
    kill_again_and_again(true);
}
END_TEST

SUITE_MAIN("registry-survival", damage_never_crashes_it,
           a_kill_of_a_volatile_one_loses_nothing_answered,
           a_kill_of_a_durable_one_loses_nothing_answered);
