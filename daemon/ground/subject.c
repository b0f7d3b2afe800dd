/*
 * Subject: see subject.h.
 */
#include "daemon/ground/subject.h"

#include "daemon/ground/unit.h"
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

static bool find_user(const char *name, uint32_t *ret) {
    const struct passwd *entry;

    if (parse_id(name, ret))
        return true;
    entry = getpwnam(name);
    if (!entry)
        return false;
    *ret = entry->pw_uid;
    return true;
}

static bool find_group(const char *name, uint32_t *ret) {
    const struct group *entry;

    if (parse_id(name, ret))
        return true;
    entry = getgrnam(name);
    if (!entry)
        return false;
    *ret = entry->gr_gid;
    return true;
}

/* The user whose service manager has the unit: "alice" of "alice/sync.service". */
static bool find_unit_owner(const char *pattern, uint32_t *ret) {
    char user[ACCESS_SUBJECT_MAX];
    size_t length = (size_t)(unit_pattern_unit(pattern) - pattern);

    *ret = UNIT_OF_SYSTEM;
    if (length == 0)
        return true;
    memcpy(user, pattern, length);
    user[length - 1] = '\0';
    return find_user(user, ret);
}

static bool find(enum subject kind, const char *name, uint32_t *ret) {
    switch (kind) {
    case SUBJECT_USER:
        return find_user(name, ret);
    case SUBJECT_GROUP:
        return find_group(name, ret);
    case SUBJECT_UNIT:
        return find_unit_owner(name, ret);
    }
    return false;
}

int subject_init(struct subject_id *ret, enum subject kind, const char *name) {
    struct subject_id subject = {.kind = kind};

    if (!find(kind, name, &subject.id))
        return -ENOENT;
    if (kind == SUBJECT_UNIT) {
        subject.unit = strdup(unit_pattern_unit(name));
        if (!subject.unit)
            return -ENOMEM;
    }
    *ret = subject;
    return 0;
}

void subject_deinit(struct subject_id *subject) {
    free(subject->unit);
    subject->unit = NULL;
}

const char *subject_word(enum subject kind) {
    switch (kind) {
    case SUBJECT_USER:
        return "user";
    case SUBJECT_GROUP:
        return "group";
    case SUBJECT_UNIT:
        break;
    }
    return "user for unit";
}
