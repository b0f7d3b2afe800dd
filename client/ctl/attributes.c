/*
 * Attributes: see attributes.h.
 */
#include "client/ctl/attributes.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <string.h>

json_t *attributes_parse(const char *text, struct error *error) {
    json_error_t fault;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &fault);

    if (json_is_object(object))
        return object;
    if (object)
        error_set(error, -EINVAL, "attributes are a JSON object: {...}");
    else
        error_set(error, -EINVAL, "attributes are a JSON object, and column %d is wrong: %s",
                  fault.column, fault.text);
    json_decref(object);
    return NULL;
}

int attributes_assign(json_t *attributes, const char *assignment, struct error *error) {
    const char *equals = strchr(assignment, '=');
    _cleanup_free_ char *key = NULL;
    json_t *value;

    if (!equals || equals == assignment)
        return error_set(error, -EINVAL, "'%s' is neither KEY=VALUE nor a JSON object", assignment);
    key = strndup(assignment, (size_t)(equals - assignment));
    if (!key)
        return error_set(error, -ENOMEM, "no memory for the attributes");
    if (!equals[1]) {
        json_object_del(attributes, key);
        return 0;
    }
    value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        value = json_string(equals + 1);
    if (json_object_set_new(attributes, key, value) < 0)
        return error_set(error, -ENOMEM, "no memory for the attributes");
    return 0;
}
