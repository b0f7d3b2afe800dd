/*
 * Methods on one region: show, create, destroy, change.
 */
#include "daemon/faces/admin-format.h"
#include "daemon/faces/admin-private.h"

#include "proto/rights.h"
#include "proto/words.h"

#include <errno.h>
#include <string.h>

static const char *name_of(const struct varlink_call *call) {
    return parameter_text(call->parameters, "name", "");
}

static void reply_region(struct admin_connection *connection, const struct varlink_call *call,
                         int r, struct error *error) {
    struct user_names names = {0};
    struct region *region = NULL;

    if (r == 0)
        r = manager_find(connection->manager, &connection->caller, name_of(call), &region, error);
    if (r < 0)
        admin_fail(call, r, error);
    else
        varlink_reply(call, json_pack("{s:o}", "region", format_region(region, &names)));
}

void admin_get_region(struct admin_connection *connection, const struct varlink_call *call) {
    struct user_names names = {0};
    struct error error = {0};
    const struct attachment *attachment;
    struct region *region;
    json_t *attachments;
    int r = manager_find(connection->manager, &connection->caller, name_of(call), &region, &error);

    if (r < 0) {
        admin_fail(call, r, &error);
        return;
    }
    attachments = json_array();
    LIST_FOREACH (attachment, &region->attachments, link)
        json_array_append_new(attachments, format_attachment(attachment));
    varlink_reply(call, json_pack("{s:o, s:o}", "region", format_region(region, &names),
                                  "attachments", attachments));
}

int admin_mode(const json_t *parameters, uint32_t otherwise, uint32_t *ret, struct error *error) {
    const char *text = parameter_text(parameters, "mode", NULL);

    *ret = otherwise;
    if (text && mode_parse(text, ret) < 0)
        return error_set(error, -EINVAL, "mode '%s' is not octal digits of r and w, as 0640", text);
    return 0;
}

/* The rules as the core takes them, with commas between; NULL in *ret if there are none given. */
static int join_acl(const json_t *parameters, char **ret, struct error *error) {
    const json_t *rules = parameter_json(parameters, "acl"), *rule;
    size_t i, length = 0;

    *ret = NULL;
    if (!rules)
        return 0;
    *ret = calloc(1, ACL_TEXT_MAX + 1);
    if (!*ret)
        return error_set(error, -ENOMEM, "no memory for access rules");
    json_array_foreach (rules, i, rule) {
        const char *text = json_string_value(rule);
        size_t room = ACL_TEXT_MAX + 1 - length;
        int size = snprintf(*ret + length, room, "%s%s", i > 0 ? "," : "", text);

        if (!*text || strchr(text, ','))
            return error_set(error, -EINVAL, "access rule '%s' is not one rule", text);
        if (size < 0 || (size_t)size >= room)
            return error_set(error, -EINVAL, "access rules have at most %d bytes in all",
                             ACL_TEXT_MAX);
        length += (size_t)size;
    }
    return 0;
}

void admin_spec_deinit(struct admin_spec *spec) {
    free(spec->acl);
    free(spec->attributes);
}

int admin_read_spec(const json_t *parameters, struct admin_spec *ret, struct error *error) {
    const json_t *attributes = parameter_json(parameters, "attributes");
    struct region_spec *spec = &ret->spec;
    int r;

    *ret = (struct admin_spec){
        .spec = {
            .name = parameter_text(parameters, "name", ""),
            .size = parameter_number(parameters, "size", 0),
            .max_size = parameter_number(parameters, "max_size", 0),
            .backing = backing_from_word(parameter_text(parameters, "backing", "")),
            .lifetime = lifetime_from_word(parameter_text(parameters, "lifetime", "")),
            .huge_pages = huge_pages_from_word(parameter_text(parameters, "huge_pages", "")),
            .sync_block = json_is_true(parameter_json(parameters, "sync_block")),
            .durability = durability_from_word(parameter_text(parameters, "durability", "")),
            .durability_seconds = (uint32_t)parameter_number(parameters, "durability_seconds", 0),
            .seconds = (uint32_t)parameter_number(parameters, "seconds", 0),
        }};
    r = admin_mode(parameters, MODE_UNSET, &spec->mode, error);
    if (r == 0)
        r = join_acl(parameters, &ret->acl, error);
    if (r == 0 && attributes && !(ret->attributes = json_dumps(attributes, JSON_COMPACT)))
        r = error_set(error, -ENOMEM, "no memory for attributes");
    spec->acl = ret->acl ? ret->acl : "";
    spec->attributes = ret->attributes ? ret->attributes : "";
    return r;
}

void admin_create_region(struct admin_connection *connection, const struct varlink_call *call) {
    _cleanup_(admin_spec_deinit) struct admin_spec spec;
    struct error error = {0};
    struct region *region;
    int r = admin_read_spec(call->parameters, &spec, &error);

    if (r == 0)
        r = manager_create(connection->manager, &connection->caller, NULL, &spec.spec, &region,
                           &error);
    reply_region(connection, call, r, &error);
}

void admin_destroy_region(struct admin_connection *connection, const struct varlink_call *call) {
    struct error error = {0};
    int r = manager_destroy(connection->manager, &connection->caller, name_of(call), &error);

    if (r < 0)
        admin_fail(call, r, &error);
    else
        varlink_reply(call, json_object());
}

void admin_set_access(struct admin_connection *connection, const struct varlink_call *call) {
    const json_t *parameters = call->parameters;
    bool has_mode = parameter_json(parameters, "mode");
    _cleanup_free_ char *acl = NULL;
    struct error error = {0};
    uint32_t mode;
    int r = admin_mode(parameters, 0, &mode, &error);

    if (r == 0)
        r = join_acl(parameters, &acl, &error);
    if (r == 0 && !has_mode && !acl)
        r = error_set(&error, -EINVAL, "neither a mode nor access rules are given");
    if (r == 0)
        r = manager_set_access(connection->manager, &connection->caller, name_of(call),
                               has_mode ? &mode : NULL, acl, &error);
    reply_region(connection, call, r, &error);
}

void admin_set_attributes(struct admin_connection *connection, const struct varlink_call *call) {
    const json_t *attributes = parameter_json(call->parameters, "attributes");
    _cleanup_free_ char *text = json_dumps(attributes, JSON_COMPACT);
    struct error error = {0};
    int r = -ENOMEM;

    if (text)
        r = manager_set_attributes(connection->manager, &connection->caller, name_of(call), text,
                                   &error);
    reply_region(connection, call, r, &error);
}

void admin_resize_region(struct admin_connection *connection, const struct varlink_call *call) {
    struct error error = {0};
    int r = manager_resize(connection->manager, &connection->caller, name_of(call),
                           parameter_number(call->parameters, "size", 0), &error);

    reply_region(connection, call, r, &error);
}

void admin_seal_region(struct admin_connection *connection, const struct varlink_call *call) {
    struct error error = {0};
    int r = manager_seal(connection->manager, &connection->caller, name_of(call), &error);

    reply_region(connection, call, r, &error);
}

void admin_renew_lease(struct admin_connection *connection, const struct varlink_call *call) {
    const json_t *seconds = parameter_json(call->parameters, "seconds");
    struct error error = {0};
    int r = 0;

    /* The core's word for "the duration it has" is 0, and no lease is that short. */
    if (seconds && json_integer_value(seconds) == 0)
        r = error_set(&error, -EINVAL, "a lease runs for at least a second");
    if (r == 0)
        r = manager_renew(connection->manager, &connection->caller, name_of(call),
                          (uint32_t)json_integer_value(seconds), &error);
    reply_region(connection, call, r, &error);
}
