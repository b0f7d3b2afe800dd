/*
 * The key "namespaces" of a configuration file
 */
#include "daemon/ground/config-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/region-name.h"

#define ANYONE "anyone"

static int read_owner(struct reader *reader, const json_t *value, void *target) {
    struct namespace *namespace = target;

    namespace->has_owner = true;
    return config_read_owner(reader, value, &namespace->owner);
}

static int read_mode(struct reader *reader, const json_t *value, void *target) {
    struct namespace *namespace = target;

    namespace->has_mode = true;
    return config_read_mode(reader, value, &namespace->mode);
}

static int add_creator(const struct reader *reader, const char *text, struct namespace *namespace) {
    char name[ACCESS_SUBJECT_MAX];
    enum subject kind;
    int r;

    if (!text || access_subject_parse(text, strlen(text), &kind, name) < 0)
        return config_mistake(reader,
                              "'%.80s' is not \"" ANYONE
                              "\", \"user:NAME\", \"group:NAME\" or \"unit:NAME.service\"",
                              text ? text : "?");
    r = subject_init(&namespace->creators[namespace->n_creators], kind, name);
    if (r == -ENOENT)
        return config_mistake(reader, "there is no %s '%.80s'", subject_word(kind), name);
    if (r < 0)
        return config_no_memory(reader);
    namespace->n_creators++;
    return 0;
}

static void forget_creators(struct namespace *namespace) {
    while (namespace->n_creators > 0)
        subject_deinit(&namespace->creators[--namespace->n_creators]);
    free(namespace->creators);
    namespace->creators = NULL;
    namespace->anyone = false;
}

static int read_create(struct reader *reader, const json_t *value, void *target) {
    struct namespace *namespace = target;
    int r = 0;

    if (!json_is_array(value))
        return config_mistake(reader,
                              "must be an array such as [\"user:alice\", \"unit:x.service\"]");
    forget_creators(namespace);
    namespace->creators = calloc(json_array_size(value) + 1, sizeof(*namespace->creators));
    if (!namespace->creators)
        return config_no_memory(reader);
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++) {
        const char *text = json_string_value(json_array_get(value, i));
        bool is_anyone = text && strcmp(text, ANYONE) == 0;

        namespace->anyone = namespace->anyone || is_anyone;
        if (!is_anyone)
            r = add_creator(reader, text, namespace);
    }
    return r;
}

/* The namespace of that prefix, which an earlier file may have begun. */
static int get_namespace(struct reader *reader, const char *prefix, struct namespace **ret) {
    struct config *config = reader->config;
    struct namespace *namespaces;

    for (size_t i = 0; i < config->n_namespaces; i++)
        if (strcmp(config->namespaces[i].prefix, prefix) == 0) {
            *ret = &config->namespaces[i];
            return 0;
        }
    namespaces = reallocarray(config->namespaces, config->n_namespaces + 1, sizeof(*namespaces));
    if (!namespaces)
        return config_no_memory(reader);
    config->namespaces = namespaces;
    namespaces[config->n_namespaces] = (struct namespace){.prefix = strdup(prefix)};
    if (!namespaces[config->n_namespaces].prefix)
        return config_no_memory(reader);
    *ret = &namespaces[config->n_namespaces++];
    return 0;
}

static int check_seconds(const struct reader *reader, const struct namespace *namespace) {
    if (namespace->seconds > 0 && namespace->lifetime != LIFETIME_ATTACHED &&
        namespace->lifetime != LIFETIME_LEASE)
        return config_mistake(reader, "only the lifetimes attached and lease have seconds");
    if (namespace->lifetime == LIFETIME_LEASE && namespace->seconds == 0)
        return config_mistake(reader, "a lease needs its seconds");
    return 0;
}

static int read_namespace(struct reader *reader, const char *prefix, const json_t *value,
                          const void *data) {
    const char *fault =
        strcmp(prefix, NAMESPACE_EVERYTHING) == 0 ? NULL : region_name_fault(prefix);
    struct namespace *namespace = NULL;
    int r;

    (void)data;
    if (fault)
        return config_mistake(reader, "%s", fault);
    r = get_namespace(reader, prefix, &namespace);
    if (r < 0)
        return r;
    const struct key keys[] = {
        {"owner", read_owner, namespace},
        {"create", read_create, namespace},
        {"mode", read_mode, namespace},
        {"acl", config_read_acl, &namespace->acl},
        {"backing", config_read_backing, &namespace->backing},
        {"lifetime", config_read_lifetime, &namespace->lifetime},
        {"seconds", config_read_seconds, &namespace->seconds},
        {"limits", config_read_namespace_limits, &namespace->limits},
        {NULL},
    };
    r = config_read_object(reader, value, keys);
    return r < 0 ? r : check_seconds(reader, namespace);
}

int config_read_namespaces(struct reader *reader, const json_t *value, void *target) {
    (void)target;
    return config_read_members(reader, value, read_namespace, NULL);
}
