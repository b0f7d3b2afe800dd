/*
 * Declared region: see declared.h.
 */
#include "daemon/ground/declared.h"

#include "daemon/ground/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *declared_key_word(enum declared_key key) {
    static const char *const words[] = {
#define X(name, word) [DECLARED_##name] = word,
        DECLARED_KEYS(X)
#undef X
    };

    return words[key];
}

static int compare(const void *a, const void *b) {
    const struct declared *left = a, *right = b;

    return strcmp(left->name, right->name);
}

/* In one order, whatever sorted them: the later file is the one with the mistake. */
static int declared_twice(const struct declared *a, const struct declared *b, struct error *error) {
    const struct declared *first = strcmp(a->file, b->file) < 0 ? a : b;
    const struct declared *second = first == a ? b : a;

    return error_set(error, -EINVAL, "%s:%u: name: region '%s' is declared in %s already",
                     second->file, second->lines[DECLARED_NAME], second->name, first->file);
}

int declared_settle(struct config *config, struct error *error) {
    struct declared *declared = config->declared;

    if (config->n_declared == 0)
        return 0;
    qsort(declared, config->n_declared, sizeof(*declared), compare);
    for (size_t i = 1; i < config->n_declared; i++)
        if (compare(&declared[i - 1], &declared[i]) == 0)
            return declared_twice(&declared[i - 1], &declared[i], error);
    return 0;
}

const struct declared *declared_find(const struct config *config, const char *name) {
    const struct declared key = {.name = (char *)name};

    return config->n_declared == 0
               ? NULL
               : bsearch(&key, config->declared, config->n_declared, sizeof(key), compare);
}

void declared_deinit(struct declared *declared) {
    json_decref(declared->keys);
    free(declared->file);
    free(declared->name);
    free(declared->acl);
    free(declared->attributes);
    free(declared->content);
}
