/*
 * Namespace: see namespace.h.
 */
#include "daemon/ground/namespace.h"

#include <stdlib.h>
#include <string.h>

bool namespace_covers(const struct namespace *namespace, const char *name) {
    size_t length = strlen(namespace->prefix);

    return strcmp(namespace->prefix, NAMESPACE_EVERYTHING) == 0 ||
           (strncmp(name, namespace->prefix, length) == 0 &&
            (name[length] == '/' || name[length] == '\0'));
}

/* "*" has to lose against "a". */
static size_t weight(const struct namespace *namespace) {
    return strcmp(namespace->prefix, NAMESPACE_EVERYTHING) == 0 ? 0 : strlen(namespace->prefix);
}

const struct namespace *namespace_find(const struct namespace *namespaces, size_t count,
                                       const char *name) {
    const struct namespace *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (namespace_covers(&namespaces[i], name) &&
            (!best || weight(&namespaces[i]) > weight(best)))
            best = &namespaces[i];
    return best;
}

const struct namespace *namespace_around(const struct namespace *namespaces, size_t count,
                                         const struct namespace *inner) {
    const struct namespace *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (weight(&namespaces[i]) < weight(inner) &&
            namespace_covers(&namespaces[i], inner->prefix) &&
            (!best || weight(&namespaces[i]) > weight(best)))
            best = &namespaces[i];
    return best;
}

void namespace_deinit(struct namespace *namespace) {
    for (size_t i = 0; i < namespace->n_creators; i++)
        subject_deinit(&namespace->creators[i]);
    free(namespace->creators);
    free(namespace->prefix);
    free(namespace->acl);
    free(namespace->limits);
    *namespace = (struct namespace){0};
}
