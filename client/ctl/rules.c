/*
 * Access rules: see rules.h.
 */
#include "client/ctl/rules.h"

#include "proto/cleanup.h"
#include "proto/rights.h"

#include <errno.h>
#include <string.h>

static int bad_rule(const char *text, size_t length, struct error *error) {
    return error_set(error, -EINVAL,
                     "'%.*s' is no access rule such as user:alice:rw or group:staff:r", (int)length,
                     text);
}

static int append(json_t *rules, const char *text, size_t length, struct error *error) {
    if (json_array_append_new(rules, json_stringn(text, length)) < 0)
        return error_set(error, -ENOMEM, "no memory for the access rules");
    return 0;
}

int rules_add(json_t *rules, const char *list, struct error *error) {
    struct access_rule rule;

    if (!*list)
        return 0;
    for (;;) {
        size_t length = strcspn(list, ",");
        int r;

        if (access_rule_parse(list, length, &rule) < 0)
            return bad_rule(list, length, error);
        r = append(rules, list, length, error);
        if (r < 0 || !list[length])
            return r;
        list += length + 1;
    }
}

bool rules_is_change(const char *list) {
    return *list == '+' || *list == '-';
}

/* Bytes of "user:alice" in a rule, or in a subject alone. */
static size_t subject_length(const char *rule, size_t length) {
    const char *kind_end = memchr(rule, ':', length);
    const char *name_end =
        kind_end ? memchr(kind_end + 1, ':', length - 1 - (size_t)(kind_end - rule)) : NULL;

    return name_end ? (size_t)(name_end - rule) : length;
}

/* The rule about the same subject, or the size of the array. */
static size_t find_subject(const json_t *rules, const char *subject, size_t length) {
    size_t i;
    json_t *value;

    json_array_foreach (rules, i, value) {
        const char *rule = json_string_value(value);

        if (rule && subject_length(rule, strlen(rule)) == length &&
            memcmp(rule, subject, length) == 0)
            return i;
    }
    return json_array_size(rules);
}

static uint32_t rights_at(const json_t *rules, size_t index, size_t subject) {
    const char *rule = json_string_value(json_array_get(rules, index));
    uint32_t rights = 0;

    if (rule && rule[subject] == ':' &&
        rights_parse(rule + subject + 1, strlen(rule + subject + 1), &rights) < 0)
        return 0;
    return rights;
}

/* Makes the rights of the subject at @index, if it has a rule, exactly these. */
static int set_rights(json_t *rules, size_t index, const char *subject, size_t length,
                      uint32_t rights, struct error *error) {
    char text[RIGHTS_TEXT_MAX];
    json_t *rule;
    int r;

    if (rights == 0)
        return json_array_remove(rules, index);
    rights_format(rights, text);
    rule = json_sprintf("%.*s:%s", (int)length, subject, text);
    r = index < json_array_size(rules) ? json_array_set_new(rules, index, rule)
                                       : json_array_append_new(rules, rule);
    return r < 0 ? error_set(error, -ENOMEM, "no memory for the access rules") : 0;
}

static int change_one(json_t *rules, const char *change, size_t length, struct error *error) {
    const char *rule = change + 1;
    size_t subject = length > 0 ? subject_length(rule, length - 1) : 0;
    size_t index = find_subject(rules, rule, subject);
    struct access_rule parsed;
    uint32_t rights;

    if (length == 0 || !rules_is_change(change))
        return error_set(error, -EINVAL, "'%.*s' is no change: each starts with + or -",
                         (int)length, change);
    if (*change == '-' && subject == length - 1) {
        if (!memchr(rule, ':', subject))
            return bad_rule(rule, length - 1, error);
        parsed.rights = RIGHT_ALL;
    } else if (access_rule_parse(rule, length - 1, &parsed) < 0) {
        return bad_rule(rule, length - 1, error);
    }
    if (*change == '-' && index == json_array_size(rules))
        return error_set(error, -ENOENT, "there is no rule for %.*s", (int)subject, rule);
    rights = rights_at(rules, index, subject);
    rights = *change == '+' ? rights | parsed.rights : rights & ~parsed.rights;
    return set_rights(rules, index, rule, subject, rights, error);
}

int rules_change(json_t *rules, const char *changes, struct error *error) {
    for (;;) {
        size_t length = strcspn(changes, ",");
        int r = change_one(rules, changes, length, error);

        if (r < 0 || !changes[length])
            return r;
        changes += length + 1;
    }
}
