/*
 * Manager: what a region can be, whoever asks for it
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/durability.h"
#include "proto/region-name.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* Levels of attributes. They travel inside other JSON, and parsers bound nesting: one region must not
 * make a whole list unreadable. */
#define ATTRIBUTES_DEPTH_MAX 32u

static bool is_nested_deeper(json_t *json, unsigned levels) {
    const char *key;
    json_t *value;
    size_t i;

    if (!json_is_object(json) && !json_is_array(json))
        return false;
    if (levels == 0)
        return true;
    json_object_foreach (json, key, value)
        if (is_nested_deeper(value, levels - 1))
            return true;
    json_array_foreach (json, i, value)
        if (is_nested_deeper(value, levels - 1))
            return true;
    return false;
}

int attributes_check(const char *attributes, struct error *error) {
    json_error_t fault;
    json_t *json;
    bool is_object, is_deep;

    if (strnlen(attributes, WIRE_ATTRIBUTES_MAX + 1) > WIRE_ATTRIBUTES_MAX)
        return error_set(error, -EINVAL, "attributes have at most %u bytes", WIRE_ATTRIBUTES_MAX);
    json = json_loads(attributes, JSON_REJECT_DUPLICATES, &fault);
    if (!json)
        return error_set(error, -EINVAL, "attributes are not JSON: line %d: %s", fault.line,
                         fault.text);
    is_object = json_is_object(json);
    is_deep = is_nested_deeper(json, ATTRIBUTES_DEPTH_MAX);
    json_decref(json);
    if (is_deep)
        return error_set(error, -EINVAL, "attributes are nested in at most %u levels",
                         ATTRIBUTES_DEPTH_MAX);
    return is_object ? 0 : error_set(error, -EINVAL, "attributes are not a JSON object");
}

static enum backing backing_of(const struct config *config, const struct region_spec *spec) {
    if (spec->backing != 0)
        return spec->backing;
    return spec->huge_pages ? BACKING_MEMFD : config->default_backing;
}

static int check_size(const struct region_spec *spec, struct error *error) {
    if (spec->size == 0 && spec->max_size == 0)
        return error_set(error, -EINVAL, "region '%s': its size is 0", spec->name);
    if (spec->size > INT64_MAX || spec->max_size > INT64_MAX)
        return error_set(error, -EINVAL, "region '%s': no memory is that large", spec->name);
    if (spec->max_size != 0 && spec->max_size < spec->size)
        return error_set(error, -EINVAL,
                         "region '%s': max_size %" PRIu64 " is smaller than size %" PRIu64,
                         spec->name, spec->max_size, spec->size);
    return 0;
}

/* What grows later may have no bytes at first, where the memory is as large as the size says: a memfd is
 * sealed at max_size. */
static int check_empty(const struct region_spec *spec, enum backing backing, struct error *error) {
    if (spec->size > 0 || backing == BACKING_SHM || backing == BACKING_FILE)
        return 0;
    return error_set(error, -EINVAL, "region '%s': its size is 0, which no %s has", spec->name,
                     backing_to_word(backing));
}

static int check_values(const struct region_spec *spec, struct error *error) {
    const char *fault = region_name_fault(spec->name);

    if (fault)
        return error_set(error, -EINVAL, "%s", fault);
    if (check_size(spec, error) < 0)
        return -EINVAL;
    if (spec->backing != 0 && !backing_can_be_chosen(spec->backing))
        return error_set(error, -EINVAL, "no backing to create with is %u: choose of %s",
                         spec->backing, backing_words);
    if (spec->huge_pages && spec->backing != 0 && spec->backing != BACKING_MEMFD)
        return error_set(error, -EINVAL, "region '%s': only a memfd can be of huge pages",
                         spec->name);
    if (spec->lifetime != 0 && !lifetime_to_word(spec->lifetime))
        return error_set(error, -EINVAL, "unknown lifetime %u: choose of %s", spec->lifetime,
                         lifetime_words);
    if (spec->lifetime == LIFETIME_LEASE && spec->seconds == 0)
        return error_set(error, -EINVAL, "region '%s': a lease needs its seconds", spec->name);
    return *spec->attributes ? attributes_check(spec->attributes, error) : 0;
}

enum backing manager_backing(const struct manager *manager, const struct region_spec *spec) {
    return backing_of(manager->config, spec);
}

static int check_lifetime(const struct region_spec *spec, const struct client *client,
                          bool attaches, struct error *error) {
    if (spec->lifetime == LIFETIME_OWNER && !client)
        return error_set(error, -EINVAL,
                         "region '%s': an owner region is created by the process that owns it, "
                         "through the library",
                         spec->name);
    if (spec->lifetime == LIFETIME_OWNER && !client->process)
        return error_set(error, -ESRCH, "region '%s': the owner's process cannot be watched",
                         spec->name);
    if (spec->lifetime == LIFETIME_ATTACHED && !attaches && spec->seconds == 0)
        return error_set(error, -EINVAL,
                         "region '%s': an attached region that nobody is attached to needs a "
                         "linger time (seconds)",
                         spec->name);
    return 0;
}

/* Whoever will own it: only mode and rules are looked at. */
static int check_rights(const struct region_spec *spec, struct error *error) {
    struct access access;
    int r = access_init(&access, 0, 0, spec->mode, spec->acl, ACCESS_NEW, error);

    if (r == 0)
        access_deinit(&access);
    return r;
}

int manager_check_spec(const struct config *config, const struct region_spec *spec,
                       const struct client *client, bool attaches, struct error *error) {
    enum backing backing = backing_of(config, spec);
    int r = check_values(spec, error);

    if (r == 0)
        r = check_empty(spec, backing, error);
    if (r == 0)
        r = check_lifetime(spec, client, attaches, error);
    if (r == 0)
        r = check_rights(spec, error);
    return r < 0 ? r : durability_check(spec, backing, error);
}
