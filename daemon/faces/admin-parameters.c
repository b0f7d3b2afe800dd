/*
 * Parameters: see admin-parameters.h.
 */
#include "daemon/faces/admin-parameters.h"

#include "proto/words.h"

#include <string.h>

static bool is_number(const json_t *value, uint64_t most) {
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           (uint64_t)json_integer_value(value) <= most;
}

static bool is_texts(const json_t *value) {
    const json_t *element;
    size_t i;

    if (!json_is_array(value))
        return false;
    json_array_foreach (value, i, element)
        if (!json_is_string(element))
            return false;
    return true;
}

static bool is_of_type(const json_t *value, enum parameter_type type) {
    switch (type) {
    case PARAMETER_TEXT:
        return json_is_string(value);
    case PARAMETER_TEXTS:
        return is_texts(value);
    case PARAMETER_NUMBER:
        return is_number(value, INT64_MAX);
    case PARAMETER_SECONDS:
    case PARAMETER_VERSION:
        return is_number(value, UINT32_MAX);
    case PARAMETER_OBJECT:
        return json_is_object(value);
    case PARAMETER_BACKING:
        return json_is_string(value) && backing_from_word(json_string_value(value)) != 0;
    case PARAMETER_LIFETIME:
        return json_is_string(value) && lifetime_from_word(json_string_value(value)) != 0;
    case PARAMETER_BOOL:
        return json_is_boolean(value);
    case PARAMETER_HUGE_PAGES:
        return json_is_string(value) && huge_pages_from_word(json_string_value(value)) != 0;
    case PARAMETER_DURABILITY:
        return json_is_string(value) && durability_from_word(json_string_value(value)) != 0;
    case PARAMETER_NONE:
        break;
    }
    return false;
}

static bool is_taken(const char *name, const struct parameter *taken) {
    for (; taken->type != PARAMETER_NONE; taken++)
        if (strcmp(taken->name, name) == 0)
            return true;
    return false;
}

const char *parameters_fault(const json_t *parameters, const struct parameter *taken) {
    const json_t *value;
    const char *name;

    json_object_foreach ((json_t *)parameters, name, value)
        if (!is_taken(name, taken))
            return name;
    for (; taken->type != PARAMETER_NONE; taken++) {
        value = parameter_json(parameters, taken->name);
        if (value ? !is_of_type(value, taken->type) : !taken->optional)
            return taken->name;
    }
    return NULL;
}

json_t *parameter_json(const json_t *parameters, const char *name) {
    json_t *value = json_object_get(parameters, name);

    return json_is_null(value) ? NULL : value;
}

const char *parameter_text(const json_t *parameters, const char *name, const char *otherwise) {
    const json_t *value = parameter_json(parameters, name);

    return value ? json_string_value(value) : otherwise;
}

uint64_t parameter_number(const json_t *parameters, const char *name, uint64_t otherwise) {
    const json_t *value = parameter_json(parameters, name);

    return value ? (uint64_t)json_integer_value(value) : otherwise;
}
