/*
 * chmod, acl and attr: rights and attributes
 *
 * A single rule or key is changed by reading what the daemon has, changing that, and sending it
 * back. Of two operators who do so at once, the last one wins.
 */
#include "client/ctl/commands.h"

#include "client/ctl/attributes.h"
#include "client/ctl/parameters.h"
#include "client/ctl/rules.h"
#include "client/ctl/text.h"

#include <errno.h>

static int set_mode(struct ctl *ctl, const char *name, const void *data, struct error *error) {
    const char *mode = data;
    _cleanup_(cleanup_json_decref) json_t *parameters = json_pack("{s:s}", "name", name);
    int r = parameters_set_mode(parameters, mode, error);

    if (r < 0)
        return r;
    return ctl_call_silently(ctl, "SetAccess", steal_pointer(parameters), error);
}

int command_chmod(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    return ctl_for_each_name(ctl, invocation, 1, set_mode, invocation->arguments[0], error);
}

/* Fetches the region named by the first argument, and the member @key of it, borrowed from it. */
static int get_member(struct ctl *ctl, const struct invocation *invocation, const char *key,
                      json_t **ret_reply, json_t **ret, struct error *error) {
    int r = ctl_call(ctl, "GetRegion", json_pack("{s:s}", "name", invocation->arguments[0]),
                     ret_reply, error);

    return r < 0 ? r : ctl_unpack(*ret_reply, error, "{s:{s:o}}", "region", key, ret);
}

/* Sends the member @value (taken over) of the region named by the first argument. */
static int set_member(struct ctl *ctl, const struct invocation *invocation, const char *method,
                      const char *key, json_t *value, struct error *error) {
    return ctl_call_silently(
        ctl, method, json_pack("{s:s, s:o}", "name", invocation->arguments[0], key, value), error);
}

static int show_rules(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    json_t *rules = NULL, *rule;
    size_t i;
    int r = get_member(ctl, invocation, "acl", &reply, &rules, error);

    if (r < 0)
        return r;
    if (ctl->json)
        return ctl_print_json(reply, error);
    json_array_foreach (rules, i, rule) {
        _cleanup_free_ char *text =
            json_is_string(rule) ? text_escape(json_string_value(rule)) : NULL;

        if (!text)
            return error_set(error, -EPROTO, "the daemon's reply makes no sense: acl");
        puts(text);
    }
    return 0;
}

/* Refuses arguments of which some change rules and some are whole lists. */
static int check_rule_arguments(const struct invocation *invocation, struct error *error) {
    bool change = rules_is_change(invocation->arguments[1]);

    for (unsigned i = 2; i < invocation->n_arguments; i++)
        if (rules_is_change(invocation->arguments[i]) != change)
            return error_set(error, -EINVAL,
                             "acl takes either a list of rules or changes (+ and -), not both");
    return 0;
}

int command_acl(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    _cleanup_(cleanup_json_decref) json_t *rules = NULL;
    json_t *present = NULL;
    bool change;
    int r = 0;

    if (invocation->n_arguments == 1)
        return show_rules(ctl, invocation, error);
    r = check_rule_arguments(invocation, error);
    change = rules_is_change(invocation->arguments[1]);
    if (r == 0 && change)
        r = get_member(ctl, invocation, "acl", &reply, &present, error);
    rules = change ? json_incref(present) : json_array();
    for (unsigned i = 1; r == 0 && i < invocation->n_arguments; i++)
        r = change ? rules_change(rules, invocation->arguments[i], error)
                   : rules_add(rules, invocation->arguments[i], error);
    if (r < 0)
        return r;
    return set_member(ctl, invocation, "SetAccess", "acl", steal_pointer(rules), error);
}

static int show_attributes(struct ctl *ctl, const struct invocation *invocation,
                           struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    json_t *attributes = NULL;
    int r = get_member(ctl, invocation, "attributes", &reply, &attributes, error);

    if (r < 0)
        return r;
    return ctl_print_json(ctl->json ? reply : attributes, error);
}

int command_attr(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    _cleanup_(cleanup_json_decref) json_t *attributes = NULL;
    json_t *present = NULL;
    int r = 0;

    if (invocation->n_arguments == 1)
        return show_attributes(ctl, invocation, error);
    if (invocation->n_arguments == 2 && *invocation->arguments[1] == '{') {
        attributes = attributes_parse(invocation->arguments[1], error);
        r = attributes ? 0 : -EINVAL;
    } else {
        r = get_member(ctl, invocation, "attributes", &reply, &present, error);
        attributes = json_incref(present);
        for (unsigned i = 1; r == 0 && i < invocation->n_arguments; i++)
            r = attributes_assign(attributes, invocation->arguments[i], error);
    }
    if (r < 0)
        return r;
    return set_member(ctl, invocation, "SetAttributes", "attributes", steal_pointer(attributes),
                      error);
}
