/*
 * The parameters of a call: see parameters.h.
 */
#include "client/ctl/parameters.h"

#include "client/ctl/attributes.h"
#include "client/ctl/rules.h"
#include "client/ctl/text.h"
#include "proto/rights.h"
#include "proto/words.h"

#include <errno.h>
#include <string.h>

int parameters_set(json_t *parameters, const char *key, json_t *value, struct error *error) {
    if (json_object_set_new(parameters, key, value) < 0)
        return error_set(error, -ENOMEM, "no memory for the call");
    return 0;
}

int parameters_set_size(json_t *parameters, const char *key, const char *text,
                        struct error *error) {
    int64_t size;

    if (size_parse(text, &size) < 0)
        return error_set(error, -EINVAL,
                         "'%s' is no size: bytes, or a number with K, M, G or T (powers of 1024)",
                         text);
    return parameters_set(parameters, key, json_integer(size), error);
}

int parameters_set_seconds(json_t *parameters, const char *text, struct error *error) {
    int64_t seconds;

    if (span_parse(text, &seconds) < 0)
        return error_set(error, -EINVAL,
                         "'%s' is no duration: seconds, or a number with s, m, h or d", text);
    return parameters_set(parameters, "seconds", json_integer(seconds), error);
}

int parameters_set_durability(json_t *parameters, const char *text, struct error *error) {
    static const char interval[] = "interval:";
    uint32_t word = durability_from_word(text);
    int64_t seconds;
    int r;

    if (strncmp(text, interval, strlen(interval)) != 0)
        return parameters_set_word(parameters, "durability", text,
                                   word == DURABILITY_INTERVAL ? 0 : word,
                                   "none, interval:TIME, publish", error);
    if (span_parse(text + strlen(interval), &seconds) < 0)
        return error_set(error, -EINVAL,
                         "'%s' is no duration: seconds, or a number with s, m, h or d",
                         text + strlen(interval));
    r = parameters_set(parameters, "durability", json_string("interval"), error);
    return r < 0 ? r
                 : parameters_set(parameters, "durability_seconds", json_integer(seconds), error);
}

int parameters_set_mode(json_t *parameters, const char *text, struct error *error) {
    char canonical[MODE_TEXT_MAX];
    uint32_t mode;

    if (mode_parse(text, &mode) < 0)
        return error_set(error, -EINVAL,
                         "'%s' is no mode: octal digits with read and write only, such as 0640",
                         text);
    mode_format(mode, canonical);
    return parameters_set(parameters, "mode", json_string(canonical), error);
}

int parameters_set_acl(json_t *parameters, const char *list, struct error *error) {
    json_t *rules = json_array();
    int r = parameters_set(parameters, "acl", rules, error);

    return r < 0 ? r : rules_add(rules, list, error);
}

int parameters_set_attributes(json_t *parameters, const char *text, struct error *error) {
    json_t *attributes = attributes_parse(text, error);

    return attributes ? parameters_set(parameters, "attributes", attributes, error) : -EINVAL;
}

int parameters_set_word(json_t *parameters, const char *key, const char *word, uint32_t number,
                        const char *words, struct error *error) {
    if (number == 0)
        return error_set(error, -EINVAL, "'%s' is no %s: %s", word, key, words);
    return parameters_set(parameters, key, json_string(word), error);
}
