/*
 * Failing: see failing.h.
 */
#include "tests/unit/failing.h"

#include "daemon/ground/registry.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static _Thread_local long countdown = -1; /* workers go on as ever */

static bool fails(void) {
    return countdown >= 0 && countdown-- == 0;
}

#define WRAP(type, name, arguments, values, failed)                                                \
    type __real_##name arguments;                                                                  \
    type __wrap_##name arguments;                                                                  \
    type __wrap_##name arguments {                                                                 \
        return fails() ? failed : __real_##name values;                                            \
    }

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(int, registry_put,
     (struct registry * registry, enum registry_table table, const char *key, const char *value,
      struct error *error),
     (registry, table, key, value, error), error_set(error, -ENOSPC, "made to fail"))
WRAP(int, registry_commit,
     (struct registry * registry, const struct registry_change *changes, size_t count,
      struct error *error),
     (registry, changes, count, error), error_set(error, -ENOSPC, "made to fail"))

void fail_after(long calls) {
    countdown = calls;
}
