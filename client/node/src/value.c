/*
 * Values: between JavaScript's and C's
 *
 * ../lib has checked what users gave; what is checked here is what would do harm in C.
 */
#include "addon.h"

#include <errno.h>
#include <math.h>
#include <string.h>

bool take_arguments(napi_env env, napi_callback_info info, napi_value values[], size_t count) {
    size_t n = count;

    if (napi_get_cb_info(env, info, &n, values, NULL, NULL) == napi_ok)
        return true;
    throw_status(env);
    return false;
}

bool to_int64(napi_env env, napi_value value, int64_t *ret) {
    double number;

    if (napi_get_value_double(env, value, &number) != napi_ok) {
        throw_status(env);
        return false;
    }
    if (number == trunc(number) && fabs(number) <= 9007199254740991.0) {
        *ret = (int64_t)number;
        return true;
    }
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "not a whole number that can be exact");
    return false;
}

bool to_uint32(napi_env env, napi_value value, uint32_t *ret) {
    int64_t number;

    if (!to_int64(env, value, &number))
        return false;
    if (number >= 0 && number <= UINT32_MAX) {
        *ret = (uint32_t)number;
        return true;
    }
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "a number is out of range");
    return false;
}

bool to_bool(napi_env env, napi_value value, bool *ret) {
    if (napi_get_value_bool(env, value, ret) == napi_ok)
        return true;
    throw_status(env);
    return false;
}

static bool is_absent(napi_env env, napi_value value) {
    napi_valuetype type;

    return napi_typeof(env, value, &type) == napi_ok &&
           (type == napi_undefined || type == napi_null);
}

bool to_string(napi_env env, napi_value value, char **ret) {
    _cleanup_free_ char *string = NULL;
    size_t length;

    *ret = NULL;
    if (is_absent(env, value))
        return true;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
        throw_status(env);
        return false;
    }
    string = malloc(length + 1);
    if (!string) {
        throw_error(env, -ENOMEM, "no memory for a string");
        return false;
    }
    napi_get_value_string_utf8(env, value, string, length + 1, &length);
    if (strlen(string) != length) {
        throw_error(env, -EINVAL, "a string has a zero byte in it");
        return false;
    }
    *ret = string;
    string = NULL;
    return true;
}

static bool option_number(napi_env env, napi_value object, const char *key, uint64_t *ret) {
    napi_value value;
    int64_t number;

    if (napi_get_named_property(env, object, key, &value) != napi_ok) {
        throw_status(env);
        return false;
    }
    if (!to_int64(env, value, &number))
        return false;
    if (number < 0) {
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "an option is negative");
        return false;
    }
    *ret = (uint64_t)number;
    return true;
}

static bool option_word(napi_env env, napi_value object, const char *key, uint32_t *ret) {
    uint64_t number;

    if (!option_number(env, object, key, &number))
        return false;
    if (number > UINT32_MAX) {
        napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "an option is too large");
        return false;
    }
    *ret = (uint32_t)number;
    return true;
}

static bool option_string(napi_env env, napi_value object, const char *key, const char **ret) {
    napi_value value;
    char *string;

    if (napi_get_named_property(env, object, key, &value) != napi_ok) {
        throw_status(env);
        return false;
    }
    if (!to_string(env, value, &string))
        return false;
    *ret = string;
    return true;
}

bool to_options(napi_env env, napi_value value, struct shmreg_options *ret) {
    *ret = (struct shmreg_options){.struct_size = sizeof(*ret)};
    return option_word(env, value, "flags", &ret->flags) &&
           option_word(env, value, "backing", &ret->backing) &&
           option_word(env, value, "lifetime", &ret->lifetime) &&
           option_word(env, value, "seconds", &ret->seconds) &&
           option_word(env, value, "mode", &ret->mode) &&
           option_word(env, value, "mapFlags", &ret->map_flags) &&
           option_number(env, value, "maxSize", &ret->max_size) &&
           option_word(env, value, "durability", &ret->durability) &&
           option_word(env, value, "durabilitySeconds", &ret->durability_seconds) &&
           option_string(env, value, "acl", &ret->acl) &&
           option_string(env, value, "attributes", &ret->attributes);
}

void options_deinit(struct shmreg_options *options) {
    free((char *)options->acl);
    free((char *)options->attributes);
}

napi_value from_double(napi_env env, double value) {
    napi_value result = NULL;

    napi_create_double(env, value, &result);
    return result;
}

napi_value from_bool(napi_env env, bool value) {
    napi_value result = NULL;

    napi_get_boolean(env, value, &result);
    return result;
}

napi_value from_string(napi_env env, const char *string) {
    napi_value result = NULL;

    napi_create_string_utf8(env, string, NAPI_AUTO_LENGTH, &result);
    return result;
}

void set_double(napi_env env, napi_value object, const char *key, double value) {
    napi_set_named_property(env, object, key, from_double(env, value));
}

void set_string(napi_env env, napi_value object, const char *key, const char *string) {
    napi_set_named_property(env, object, key, from_string(env, string));
}

napi_value make_error(napi_env env, int error, const char *message) {
    const char *code = strerrorname_np(-error);
    napi_value result = NULL;

    napi_create_error(env, from_string(env, code ? code : "EUNKNOWN"),
                      from_string(env, message ? message : shmreg_error_message()), &result);
    set_double(env, result, "errno", error);
    return result;
}

napi_value throw_error(napi_env env, int error, const char *message) {
    napi_throw(env, make_error(env, error, message));
    return NULL;
}

napi_value throw_status(napi_env env) {
    const napi_extended_error_info *info;
    const char *message = NULL;
    bool pending;

    /* First, since asking for anything else forgets it. */
    if (napi_get_last_error_info(env, &info) == napi_ok)
        message = info->error_message;
    if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
        napi_throw_type_error(env, NULL, message ? message : "Node-API refused a call");
    return NULL;
}

napi_value result_of(napi_env env, int r) {
    napi_value undefined = NULL;

    if (r < 0)
        return throw_error(env, r, NULL);
    napi_get_undefined(env, &undefined);
    return undefined;
}
