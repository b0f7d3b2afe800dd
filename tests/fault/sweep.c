/*
 * Sweep: see sweep.h.
 */
#include "tests/fault/sweep.h"

#include "proto/cleanup.h"
#include "tests/support/wait.h"

#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#define CASES_MAX 200

static const struct operation *const tables[] = {
    region_operations, content_operations, stage_operations, hold_operations, daemon_operations,
};
static const struct {
    unsigned flag;
    const char *name;
} backings[] = {{ON_SHM, "shm"}, {ON_FILE, "file"}, {ON_MEMFD, "memfd"}};

/* Each case runs in a process of its own. */
static struct shared {
    _Atomic unsigned tried;
    struct {
        bool passed;
        char where[120];
    } cases[CASES_MAX];
} * shared;

static uint64_t seed;

void sweep_begin(void) {
    const char *given = getenv("SHMREG_TEST_SEED");

    seed = given ? strtoull(given, NULL, 10) : monotonic_usec() % 100000;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
}

/* The case with that number; its operation is NULL if there are not so many, which *ret_count says. */
static struct sweep_case find_case(unsigned number, unsigned *ret_count) {
    unsigned count = 0;

    for (size_t table = 0; table < ARRAY_SIZE(tables); table++)
        for (const struct operation *operation = tables[table]; operation->name; operation++)
            for (size_t i = 0; i < ARRAY_SIZE(backings); i++)
                if ((operation->backings & backings[i].flag) && count++ == number)
                    return (struct sweep_case){operation, backings[i].name};
    *ret_count = count;
    return (struct sweep_case){NULL, NULL};
}

unsigned sweep_n_cases(void) {
    unsigned count;

    find_case(CASES_MAX, &count);
    return count;
}

struct sweep_case sweep_case(unsigned number) {
    unsigned count;

    return find_case(number, &count);
}

bool sweep_is_long(void) {
    return getenv("SHMREG_TEST_LONG") != NULL;
}

unsigned sweep_choose(unsigned number, unsigned limit) {
    /* splitmix64 */
    uint64_t x = seed + (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((x ^ (x >> 31)) % limit);
}

void sweep_try(unsigned number, const char *format, ...) {
    va_list arguments;

    shared->tried++;
    va_start(arguments, format);
    vsnprintf(shared->cases[number].where, sizeof(shared->cases[number].where), format, arguments);
    va_end(arguments);
}

void sweep_passed(unsigned number) {
    shared->cases[number].passed = true;
}

void sweep_print(const char *what) {
    unsigned failed = 0;

    for (unsigned i = 0; i < sweep_n_cases(); i++) {
        if (shared->cases[i].passed)
            continue;
        printf("failed: case %u, %s\n", i, shared->cases[i].where);
        failed++;
    }
    printf("%s: %u tried, %u failed (seed %" PRIu64 ")\n", what, shared->tried, failed, seed);
}
