/*
 * The methods of io.shmreg.Admin: one table, and the way from a call to its handler
 */
#include "daemon/faces/admin-private.h"

#include "daemon/faces/varlink-service.h"

#include <errno.h>
#include <string.h>

#define INTERFACE "io.shmreg.Admin"

#define NAME                                                                                       \
    { "name", PARAMETER_TEXT }
#define OPTIONAL(name, type)                                                                       \
    { name, type, true }

static const struct admin_method methods[] = {
    {"Ping", admin_ping},
    {"GetStatus", admin_get_status},
    {"ListRegions", admin_list_regions, {OPTIONAL("prefix", PARAMETER_TEXT)}},
    {"GetRegion", admin_get_region, {NAME}},
    {"CreateRegion",
     admin_create_region,
     {NAME,
      {"size", PARAMETER_NUMBER},
      OPTIONAL("max_size", PARAMETER_NUMBER),
      OPTIONAL("backing", PARAMETER_BACKING),
      OPTIONAL("mode", PARAMETER_TEXT),
      OPTIONAL("acl", PARAMETER_TEXTS),
      OPTIONAL("attributes", PARAMETER_OBJECT),
      OPTIONAL("lifetime", PARAMETER_LIFETIME),
      OPTIONAL("seconds", PARAMETER_SECONDS),
      OPTIONAL("huge_pages", PARAMETER_HUGE_PAGES),
      OPTIONAL("sync_block", PARAMETER_BOOL),
      OPTIONAL("durability", PARAMETER_DURABILITY),
      OPTIONAL("durability_seconds", PARAMETER_SECONDS)}},
    {"SnapshotRegion",
     admin_snapshot_region,
     {{"source", PARAMETER_TEXT},
      NAME,
      OPTIONAL("size", PARAMETER_NUMBER),
      OPTIONAL("max_size", PARAMETER_NUMBER),
      OPTIONAL("backing", PARAMETER_BACKING),
      OPTIONAL("mode", PARAMETER_TEXT),
      OPTIONAL("acl", PARAMETER_TEXTS),
      OPTIONAL("attributes", PARAMETER_OBJECT),
      OPTIONAL("lifetime", PARAMETER_LIFETIME),
      OPTIONAL("seconds", PARAMETER_SECONDS),
      OPTIONAL("sync_block", PARAMETER_BOOL),
      OPTIONAL("durability", PARAMETER_DURABILITY),
      OPTIONAL("durability_seconds", PARAMETER_SECONDS)}},
    {"DestroyRegion", admin_destroy_region, {NAME}},
    {"PutValue",
     admin_put_value,
     {NAME,
      {"data", PARAMETER_TEXT},
      OPTIONAL("offset", PARAMETER_NUMBER),
      OPTIONAL("size", PARAMETER_NUMBER),
      OPTIONAL("mode", PARAMETER_TEXT),
      OPTIONAL("expected_version", PARAMETER_VERSION)}},
    {"GetValue", admin_get_value, {NAME}},
    {"SetAccess",
     admin_set_access,
     {NAME, OPTIONAL("mode", PARAMETER_TEXT), OPTIONAL("acl", PARAMETER_TEXTS)}},
    {"SetAttributes", admin_set_attributes, {NAME, {"attributes", PARAMETER_OBJECT}}},
    {"ResizeRegion", admin_resize_region, {NAME, {"size", PARAMETER_NUMBER}}},
    {"SealRegion", admin_seal_region, {NAME}},
    {"RenewLease", admin_renew_lease, {NAME, OPTIONAL("seconds", PARAMETER_SECONDS)}},
    {"ListClients", admin_list_clients},
    {"ListUsage", admin_list_usage},
    {"Reload", admin_reload, .administrators = true},
    {"Monitor", admin_monitor},
};

/* What the errors of the core are called here; any other is Failed. */
static const struct {
    int code;
    const char *name;
} errors[] = {
    {ENOENT, INTERFACE ".NotFound"},         {EEXIST, INTERFACE ".AlreadyExists"},
    {EACCES, INTERFACE ".PermissionDenied"}, {EPERM, INTERFACE ".PermissionDenied"},
    {EDQUOT, INTERFACE ".LimitReached"},     {ENOSPC, INTERFACE ".LimitReached"},
    {ENOMEM, INTERFACE ".LimitReached"},     {EMFILE, INTERFACE ".LimitReached"},
    {ENFILE, INTERFACE ".LimitReached"},     {EFBIG, INTERFACE ".LimitReached"},
    {EINVAL, INTERFACE ".Invalid"},          {EMSGSIZE, INTERFACE ".Invalid"},
    {E2BIG, INTERFACE ".Invalid"},           {ENAMETOOLONG, INTERFACE ".Invalid"},
    {ESTALE, INTERFACE ".Conflict"},         {EUCLEAN, INTERFACE ".Conflict"},
};

/* Some are the end of a stream, which has forgotten its call. */
static void note_failure(const struct varlink_call *call, int r, const struct error *error) {
    const struct admin_connection *connection = varlink_owner(call->connection);
    const char *method = call->method ? strrchr(call->method, '.') : NULL;

    audit_failure(manager_audit(connection->manager), &connection->caller,
                  method ? method + 1 : "a call",
                  json_string_value(json_object_get(call->parameters, "name")), r, error);
}

void admin_fail(const struct varlink_call *call, int r, const struct error *error) {
    const char *name = INTERFACE ".Failed";

    if (r == -EINPROGRESS && admin_hold(call) == 0)
        return;
    note_failure(call, r, error);

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        if (errors[i].code == -r)
            name = errors[i].name;
    varlink_error(
        call, name,
        json_pack("{s:s, s:i}", "message", error->code ? error->text : strerror(-r), "errno", -r));
}

static const struct admin_method *find_method(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

static void note_act(const struct admin_connection *connection, const char *method) {
    const struct caller *caller = &connection->caller;

    audit_write(manager_audit(connection->manager),
                &(struct audit_event){
                    .kind = LOG_ADMINISTRATION,
                    .caller = caller,
                    .as_administrator = true,
                    .reason = method,
                },
                "process %d of user %u calls %s as administrator", caller->pid, caller->uid,
                method);
}

void admin_call(struct admin_connection *connection, const struct varlink_call *call) {
    const struct admin_method *method;
    struct error error = {0};
    const char *fault;
    int r;

    if (varlink_service_call(call))
        return;
    method = find_method(call->method + strlen(INTERFACE "."));
    if (!method) {
        varlink_method_not_found(call);
        return;
    }
    fault = parameters_fault(call->parameters, method->parameters);
    if (fault) {
        varlink_invalid_parameter(call, fault);
    } else if (method->administrators && !connection->caller.administrator) {
        r = error_set(&error, -EACCES, "%s is for administrators, and user %u is none",
                      method->name, connection->caller.uid);
        admin_fail(call, r, &error);
    } else {
        if (method->administrators)
            note_act(connection, method->name);
        method->answer(connection, call);
    }
}
