/*
 * The values of keys that several objects of the configuration have: see config-reader.h.
 */
#include "daemon/ground/config-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int config_read_backing(struct reader *reader, const json_t *value, void *target) {
    uint32_t backing = json_is_string(value) ? backing_from_word(json_string_value(value)) : 0;

    if (!backing_can_be_chosen(backing))
        return config_mistake(reader, "must be one of %s", backing_words);
    *(enum backing *)target = backing;
    return 0;
}

int config_read_lifetime(struct reader *reader, const json_t *value, void *target) {
    uint32_t lifetime = json_is_string(value) ? lifetime_from_word(json_string_value(value)) : 0;

    if (lifetime == 0)
        return config_mistake(reader, "must be one of %s", lifetime_words);
    *(enum lifetime *)target = lifetime;
    return 0;
}

int config_read_mode(struct reader *reader, const json_t *value, void *target) {
    if (!json_is_string(value) || mode_parse(json_string_value(value), target) < 0)
        return config_mistake(reader, "must be a mode of r and w in octal, such as \"0640\"");
    return 0;
}

int config_read_seconds(struct reader *reader, const json_t *value, void *target) {
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > UINT32_MAX)
        return config_mistake(reader, "must be a whole number of seconds from 0 on");
    *(uint32_t *)target = (uint32_t)json_integer_value(value);
    return 0;
}

int config_read_bool(struct reader *reader, const json_t *value, void *target) {
    if (!json_is_boolean(value))
        return config_mistake(reader, "must be true or false");
    *(bool *)target = json_is_true(value);
    return 0;
}

int config_read_owner(struct reader *reader, const json_t *value, void *target) {
    if (!json_is_string(value))
        return config_mistake(reader, "must be the name of a user, or a uid as a string");
    return config_read_user(reader, json_string_value(value), target);
}

/* "user:alice:r" whose subject exists. */
static int check_rule(const struct reader *reader, const char *text) {
    struct access_rule rule;
    struct subject_id subject;
    int r;

    if (!text || access_rule_parse(text, strlen(text), &rule) < 0)
        return config_mistake(reader, "'%.80s' is not an access rule such as \"user:alice:rw\"",
                              text ? text : "?");
    r = subject_init(&subject, rule.subject, rule.name);
    if (r == -ENOENT)
        return config_mistake(reader, "there is no %s '%.80s'", subject_word(rule.subject),
                              rule.name);
    if (r < 0)
        return config_no_memory(reader);
    subject_deinit(&subject);
    return 0;
}

static int append(const struct reader *reader, char **list, const char *rule) {
    char *longer;

    if (asprintf(&longer, "%s%s%s", *list, **list ? "," : "", rule) < 0)
        return config_no_memory(reader);
    free(*list);
    *list = longer;
    return 0;
}

int config_read_acl(struct reader *reader, const json_t *value, void *target) {
    char **list = target;
    int r = 0;

    if (!json_is_array(value) || json_array_size(value) > ACL_RULES_MAX)
        return config_mistake(reader, "must be an array of at most %d access rules", ACL_RULES_MAX);
    free(*list);
    *list = strdup("");
    if (!*list)
        return config_no_memory(reader);
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++) {
        const char *rule = json_string_value(json_array_get(value, i));

        r = check_rule(reader, rule);
        if (r == 0)
            r = append(reader, list, rule);
    }
    if (r == 0 && strlen(*list) >= ACL_TEXT_MAX)
        r = config_mistake(reader, "has more than %d bytes of rules", ACL_TEXT_MAX);
    return r;
}

bool config_parse_size(const char *text, uint64_t *ret) {
    static const char units[] = "KMGT";
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;

    if (digits == 0 || !unit || text[digits + 1])
        return false;
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return false;
    if (__builtin_mul_overflow(number, (uint64_t)1 << (10 * (unit - units + 1)), &number) ||
        number > INT64_MAX)
        return false;
    *ret = number;
    return true;
}
