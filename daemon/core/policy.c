/*
 * Policy: see policy.h.
 */
#include "daemon/core/policy.h"

#include "daemon/core/access.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define USERS "user/"

static const struct namespace *find(const struct config *config, const char *name) {
    return namespace_find(config->namespaces, config->n_namespaces, name);
}

/* Whether the name is below "user/20001" or "user/alice" of this very user. A number is always a
 * uid, whatever the users are called. */
static bool is_own(const struct caller *caller, const char *name) {
    const char *user = name + strlen(USERS), *slash;
    const struct passwd *entry;
    char number[16];
    size_t length;

    if (strncmp(name, USERS, strlen(USERS)) != 0)
        return false;
    slash = strchr(user, '/');
    if (!slash)
        return false;
    length = (size_t)(slash - user);
    snprintf(number, sizeof(number), "%u", caller->uid);
    if (strspn(user, "0123456789") >= length)
        return strlen(number) == length && memcmp(user, number, length) == 0;
    entry = getpwuid(caller->uid);
    return entry && strlen(entry->pw_name) == length && memcmp(user, entry->pw_name, length) == 0;
}

/* A namespace is nearer than a user's own names if its prefix reaches further than "user/". */
static bool is_nearer(const struct namespace *namespace) {
    return strncmp(namespace->prefix, USERS, strlen(USERS)) == 0;
}

static bool lets_create(const struct namespace *namespace, const struct caller *caller) {
    if (namespace->anyone || (namespace->has_owner && namespace->owner == caller->uid))
        return true;
    for (size_t i = 0; i < namespace->n_creators; i++)
        if (caller_is(caller, &namespace->creators[i]))
            return true;
    return false;
}

int policy_check_create(const struct config *config, const struct caller *caller, const char *name,
                        struct error *error) {
    const struct namespace *namespace = find(config, name);

    if (caller->administrator || (namespace && lets_create(namespace, caller)))
        return 0;
    if (!(namespace && is_nearer(namespace)) && is_own(caller, name))
        return 0;
    if (namespace)
        return error_set(error, -EACCES,
                         "user %u may not create region '%s': the namespace '%s' does not let it",
                         caller->uid, name, namespace->prefix);
    return error_set(error, -EACCES,
                     "user %u may not create region '%s': no namespace is configured for it, and "
                     "it is not below user/%u",
                     caller->uid, name, caller->uid);
}

void policy_complete(const struct config *config, struct region_spec *spec) {
    const struct namespace *namespace = find(config, spec->name);

    if (spec->mode == MODE_UNSET)
        spec->mode = namespace && namespace->has_mode ? namespace->mode : DEFAULT_MODE;
    if (!namespace)
        return;
    if (!*spec->acl && namespace->acl)
        spec->acl = namespace->acl;
    if (spec->backing == 0 && spec->huge_pages == 0)
        spec->backing = namespace->backing;
    if (spec->lifetime == 0 && namespace->lifetime != 0) {
        spec->lifetime = namespace->lifetime;
        spec->seconds = namespace->seconds;
    }
}

uid_t policy_namespace_owner(const struct config *config, const char *name) {
    const struct namespace *namespace = find(config, name);

    return namespace && namespace->has_owner ? namespace->owner : NO_UID;
}
