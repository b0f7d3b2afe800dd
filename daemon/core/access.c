/*
 * Access: see access.h.
 */
#include "daemon/core/access.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_acl(const char *acl, struct access_rule *rules, size_t *ret_count,
                     struct error *error) {
    const char *bad = NULL;
    int r = access_rules_parse(acl, rules, ret_count, &bad);

    if (r == -E2BIG)
        return error_set(error, -EINVAL, "at most %d access rules, %d bytes in all", ACL_RULES_MAX,
                         ACL_TEXT_MAX);
    if (r < 0)
        return error_set(
            error, -EINVAL,
            "access rule '%.*s' is not user:NAME:r|w|m, group:NAME:... or unit:NAME.service:...",
            (int)strcspn(bad, ","), bad);
    return 0;
}

static int resolve_rules(const struct access_rule *rules, size_t count, enum access_origin origin,
                         struct access *access, struct error *error) {
    access->entries = calloc(count, sizeof(*access->entries));
    if (!access->entries)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct access_entry *entry = &access->entries[access->n_entries];
        int r = subject_init(&entry->subject, rules[i].subject, rules[i].name);

        if (r == -ENOMEM)
            return error_set(error, r, "no memory for access rules");
        if (r < 0 && origin == ACCESS_NEW)
            return error_set(error, -EINVAL, "there is no %s '%s'", subject_word(rules[i].subject),
                             rules[i].name);
        if (r < 0)
            continue;
        entry->rights = rules[i].rights;
        access->n_entries++;
    }
    return 0;
}

int access_init(struct access *ret, uid_t owner_uid, gid_t owner_gid, uint32_t mode,
                const char *acl, enum access_origin origin, struct error *error) {
    struct access access = {
        .owner_uid = owner_uid,
        .owner_gid = owner_gid,
        .namespace_uid = NO_UID,
        .mode = mode,
    };
    struct access_rule rules[ACL_RULES_MAX];
    size_t count = 0;
    int r;

    if (mode_check(mode) < 0)
        return error_set(error, -EINVAL,
                         "mode %#o has bits other than r and w for user, group, other", mode);
    r = parse_acl(acl, rules, &count, error);
    if (r < 0)
        return r;
    access.acl = strdup(acl);
    if (!access.acl)
        return error_set(error, -ENOMEM, "no memory for access rules");
    if (count > 0)
        r = resolve_rules(rules, count, origin, &access, error);
    if (r < 0) {
        access_deinit(&access);
        return r;
    }
    *ret = access;
    return 0;
}

void access_deinit(struct access *access) {
    for (size_t i = 0; i < access->n_entries; i++)
        subject_deinit(&access->entries[i].subject);
    free(access->acl);
    free(access->entries);
    access->acl = NULL;
    access->entries = NULL;
    access->n_entries = 0;
}

/* The r and w of one digit of a mode, whose bits are 4 and 2. */
static uint32_t mode_rights(uint32_t digit) {
    return (digit & 4 ? RIGHT_READ : 0) | (digit & 2 ? RIGHT_WRITE : 0);
}

uint32_t access_rights(const struct access *access, const struct caller *caller) {
    uint32_t rights = mode_rights(access->mode);

    if (caller->administrator || caller->uid == access->owner_uid ||
        caller->uid == access->namespace_uid)
        return RIGHT_ALL;
    if (caller_in_group(caller, access->owner_gid))
        rights |= mode_rights(access->mode >> 3);
    for (size_t i = 0; i < access->n_entries; i++) {
        if (caller_is(caller, &access->entries[i].subject))
            rights |= access->entries[i].rights;
    }
    return rights;
}

int access_check(const struct access *access, const struct caller *caller, uint32_t rights,
                 const char *name, struct error *error) {
    char missing[RIGHTS_TEXT_MAX], given[RIGHTS_TEXT_MAX];
    const char *unit = caller_unit(caller);
    uint32_t have = access_rights(access, caller);

    if ((have & rights) == rights)
        return 0;
    rights_format(rights & ~have, missing);
    rights_format(have, given);
    return error_set(error, -EACCES, "user %u%s%s lacks the right '%s' to region '%s' (has %s)",
                     caller->uid, unit ? " in unit " : "", unit ? unit : "", missing, name,
                     *given ? given : "none");
}
