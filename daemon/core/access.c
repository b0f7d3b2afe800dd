/*
 * Access: see access.h.
 */
#include "daemon/core/access.h"

#include "proto/cleanup.h"
#include "proto/unit-pattern.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* A subject written as a number: 0 to 2^32 - 2. */
static bool parse_id(const char *name, uint32_t *ret) {
    char *end;
    unsigned long long value;

    if (name[0] < '0' || name[0] > '9')
        return false;
    errno = 0;
    value = strtoull(name, &end, 10);
    if (errno != 0 || *end || value >= UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool resolve_user(const char *name, uint32_t *ret) {
    const struct passwd *entry = getpwnam(name);

    if (!entry)
        return false;
    *ret = entry->pw_uid;
    return true;
}

static bool resolve_group(const char *name, uint32_t *ret) {
    const struct group *entry = getgrnam(name);

    if (!entry)
        return false;
    *ret = entry->gr_gid;
    return true;
}

/* The user whose service manager has the unit: "alice" of "alice/sync.service". */
static bool resolve_unit_owner(const char *pattern, uint32_t *ret) {
    char user[ACCESS_SUBJECT_MAX];
    size_t length = (size_t)(unit_pattern_unit(pattern) - pattern);

    *ret = UNIT_OF_SYSTEM;
    if (length == 0)
        return true;
    memcpy(user, pattern, length);
    user[length - 1] = '\0';
    return parse_id(user, ret) || resolve_user(user, ret);
}

static bool resolve(const struct access_rule *rule, uint32_t *ret) {
    if (rule->subject == SUBJECT_UNIT)
        return resolve_unit_owner(rule->name, ret);
    if (parse_id(rule->name, ret))
        return true;
    return rule->subject == SUBJECT_USER ? resolve_user(rule->name, ret)
                                         : resolve_group(rule->name, ret);
}

static const char *missing_subject(enum subject subject) {
    switch (subject) {
    case SUBJECT_USER:
        return "user";
    case SUBJECT_GROUP:
        return "group";
    case SUBJECT_UNIT:
        break;
    }
    return "user for unit";
}

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

        entry->subject = rules[i].subject;
        entry->rights = rules[i].rights;
        if (resolve(&rules[i], &entry->id))
            access->n_entries++;
        else if (origin == ACCESS_NEW)
            return error_set(error, -EINVAL, "there is no %s '%s'", missing_subject(entry->subject),
                             rules[i].name);
        else
            continue;
        if (entry->subject == SUBJECT_UNIT)
            entry->unit = strdup(unit_pattern_unit(rules[i].name));
        if (entry->subject == SUBJECT_UNIT && !entry->unit)
            return error_set(error, -ENOMEM, "no memory for access rules");
    }
    return 0;
}

int access_init(struct access *ret, uid_t owner_uid, gid_t owner_gid, uint32_t mode,
                const char *acl, enum access_origin origin, struct error *error) {
    struct access access = {.owner_uid = owner_uid, .owner_gid = owner_gid, .mode = mode};
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
        free(access->entries[i].unit);
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

static bool is_in_unit(const struct caller *caller, const struct access_entry *entry) {
    const struct units *units = &caller->units;

    if (entry->id == UNIT_OF_SYSTEM)
        return units->system && unit_pattern_matches(entry->unit, units->system);
    /* A process that went on as another user in the unit is not that user's any more. */
    return units->user && units->owner == entry->id && caller->uid == entry->id &&
           unit_pattern_matches(entry->unit, units->user);
}

static bool is_meant(const struct access_entry *entry, const struct caller *caller) {
    switch (entry->subject) {
    case SUBJECT_USER:
        return entry->id == caller->uid;
    case SUBJECT_GROUP:
        return caller_in_group(caller, entry->id);
    case SUBJECT_UNIT:
        return is_in_unit(caller, entry);
    }
    return false;
}

uint32_t access_rights(const struct access *access, const struct caller *caller) {
    uint32_t rights = mode_rights(access->mode);

    if (caller->administrator || caller->uid == access->owner_uid)
        return RIGHT_ALL;
    if (caller_in_group(caller, access->owner_gid))
        rights |= mode_rights(access->mode >> 3);
    for (size_t i = 0; i < access->n_entries; i++) {
        if (is_meant(&access->entries[i], caller))
            rights |= access->entries[i].rights;
    }
    return rights;
}

int access_check(const struct access *access, const struct caller *caller, uint32_t rights,
                 const char *name, struct error *error) {
    char missing[RIGHTS_TEXT_MAX], given[RIGHTS_TEXT_MAX];
    const char *unit = caller->units.user ? caller->units.user : caller->units.system;
    uint32_t have = access_rights(access, caller);

    if ((have & rights) == rights)
        return 0;
    rights_format(rights & ~have, missing);
    rights_format(have, given);
    return error_set(error, -EACCES, "user %u%s%s lacks the right '%s' to region '%s' (has %s)",
                     caller->uid, unit ? " in unit " : "", unit ? unit : "", missing, name,
                     *given ? given : "none");
}
