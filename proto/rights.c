/*
 * The grammar of rights: see rights.h.
 */
#include "proto/rights.h"

#include "proto/cleanup.h"
#include "proto/unit-pattern.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define MODE_BITS 0666u

static const struct {
    const char *prefix;
    enum subject subject;
} subjects[] = {
    {"user:", SUBJECT_USER},
    {"group:", SUBJECT_GROUP},
    {"unit:", SUBJECT_UNIT},
};

int rights_parse(const char *text, size_t length, uint32_t *ret) {
    static const char letters[] = "rwm";
    uint32_t rights = 0;

    for (size_t i = 0; i < length; i++) {
        const char *letter = text[i] ? strchr(letters, text[i]) : NULL;
        uint32_t right;

        if (!letter)
            return -EINVAL;
        right = 1u << (letter - letters);
        if (rights & right)
            return -EINVAL;
        rights |= right;
    }
    if (rights == 0)
        return -EINVAL;
    *ret = rights;
    return 0;
}

void rights_format(uint32_t rights, char ret[static RIGHTS_TEXT_MAX]) {
    if (rights & RIGHT_READ)
        *ret++ = 'r';
    if (rights & RIGHT_WRITE)
        *ret++ = 'w';
    if (rights & RIGHT_MANAGE)
        *ret++ = 'm';
    *ret = '\0';
}

int mode_check(uint32_t mode) {
    return mode & ~MODE_BITS ? -EINVAL : 0;
}

int mode_parse(const char *text, uint32_t *ret) {
    uint32_t mode = 0;
    size_t length = strnlen(text, MODE_TEXT_MAX);

    if (length == 0 || length == MODE_TEXT_MAX)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '7')
            return -EINVAL;
        mode = mode << 3 | (uint32_t)(text[i] - '0');
    }
    if (mode_check(mode) < 0)
        return -EINVAL;
    *ret = mode;
    return 0;
}

void mode_format(uint32_t mode, char ret[static MODE_TEXT_MAX]) {
    for (unsigned i = 0; i < 4; i++)
        ret[i] = (char)('0' + (mode >> (9 - 3 * i) & 7));
    ret[4] = '\0';
}

/* What a subject's name may hold, so that a rule never breaks a list, a log line or a terminal. */
static bool is_subject_name(enum subject subject, const char *name, size_t length) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@$+-";

    if (length == 0 || length >= ACCESS_SUBJECT_MAX)
        return false;
    return subject == SUBJECT_UNIT ? unit_pattern_is_valid(name, length)
                                   : strspn(name, allowed) >= length;
}

int access_subject_parse(const char *text, size_t length, enum subject *ret_kind,
                         char ret_name[static ACCESS_SUBJECT_MAX]) {
    for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
        size_t prefix = strlen(subjects[i].prefix);

        if (length < prefix || memcmp(text, subjects[i].prefix, prefix) != 0)
            continue;
        if (!is_subject_name(subjects[i].subject, text + prefix, length - prefix))
            return -EINVAL;
        *ret_kind = subjects[i].subject;
        memcpy(ret_name, text + prefix, length - prefix);
        ret_name[length - prefix] = '\0';
        return 0;
    }
    return -EINVAL;
}

int access_rule_parse(const char *text, size_t length, struct access_rule *ret) {
    const char *colon = memrchr(text, ':', length);

    if (!colon || rights_parse(colon + 1, (size_t)(text + length - colon) - 1, &ret->rights) < 0)
        return -EINVAL;
    return access_subject_parse(text, (size_t)(colon - text), &ret->subject, ret->name);
}

int access_rules_parse(const char *text, struct access_rule *ret, size_t *ret_count,
                       const char **ret_bad) {
    size_t count = 0;

    if (strnlen(text, ACL_TEXT_MAX) == ACL_TEXT_MAX)
        return -E2BIG;
    while (*text) {
        size_t length = strcspn(text, ",");

        if (count == ACL_RULES_MAX)
            return -E2BIG;
        if (access_rule_parse(text, length, &ret[count]) < 0) {
            *ret_bad = text;
            return -EINVAL;
        }
        count++;
        text += length;
        if (*text == ',' && text[1])
            text++;
        else if (*text == ',') {
            *ret_bad = text;
            return -EINVAL;
        }
    }
    *ret_count = count;
    return 0;
}
