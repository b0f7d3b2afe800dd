/*
 * Meta: see meta.h.
 */
#include "daemon/core/meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int meta_instance_of(struct registry *registry, char ret[static INSTANCE_MAX]) {
    _cleanup_free_ char *text = NULL;
    int r = registry_get(registry, REGISTRY_META, META_INSTANCE, &text);

    if (r < 0)
        return r;
    if (strlen(text) != INSTANCE_MAX - 1)
        return -ENOENT;
    strcpy(ret, text);
    return 0;
}

int meta_instance(struct registry *volatile_registry, struct registry *durable_registry,
                  char ret[static INSTANCE_MAX]) {
    int r = volatile_registry ? meta_instance_of(volatile_registry, ret) : -ENOENT;

    return r == -ENOENT && durable_registry ? meta_instance_of(durable_registry, ret) : r;
}

int meta_secret(struct registry *volatile_registry, struct registry *durable_registry,
                sd_id128_t *ret) {
    struct registry *registries[] = {volatile_registry, durable_registry};
    int r = -ENOENT;

    for (size_t i = 0; i < ARRAY_SIZE(registries) && r == -ENOENT; i++) {
        _cleanup_free_ char *text = NULL;

        if (registries[i])
            r = registry_get(registries[i], REGISTRY_META, META_SECRET, &text);
        if (r == 0 && sd_id128_from_string(text, ret) < 0)
            r = -ENOENT;
    }
    return r;
}

/* The higher of the two: what either registry has must not meet its own ids again. */
int meta_next_id(struct registry *volatile_registry, struct registry *durable_registry,
                 uint64_t *ret) {
    struct registry *registries[] = {volatile_registry, durable_registry};

    *ret = 1;
    for (size_t i = 0; i < ARRAY_SIZE(registries); i++) {
        _cleanup_free_ char *text = NULL;
        int r = registries[i] ? registry_get(registries[i], REGISTRY_META, META_NEXT_ID, &text)
                              : -ENOENT;
        uint64_t next = r == 0 ? strtoull(text, NULL, 10) : 0;

        if (r < 0 && r != -ENOENT)
            return r;
        if (next > *ret)
            *ret = next;
    }
    return 0;
}
