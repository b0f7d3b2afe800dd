/*
 * Methods on the daemon as a whole: whether it answers, how it is, and who its clients are.
 */
#include "daemon/core/kept.h"
#include "daemon/faces/admin-format.h"
#include "daemon/faces/admin-private.h"

#include "daemon/core/declare.h"

void admin_ping(struct admin_connection *connection, const struct varlink_call *call) {
    (void)connection;
    varlink_reply(call, json_object());
}

static json_t *format_configuration(const struct config *config) {
    json_t *files = json_array();

    for (size_t i = 0; i < config->n_files; i++)
        json_array_append_new(files, format_text(config->files[i]));
    return files;
}

/* NULL where nothing outlives the daemon. */
static json_t *format_kept(const struct kept *kept) {
    if (!fdstore_available())
        return NULL;
    return json_pack("{s:I, s:I, s:I}", "used", (json_int_t)kept->used, "limit",
                     (json_int_t)fdstore_share(FDSTORE_MEMORY), "left_out",
                     (json_int_t)kept->n_left_out);
}

static int count_client(void *data, struct client *client) {
    unsigned *count = data;

    (void)client;
    ++*count;
    return 0;
}

void admin_get_status(struct admin_connection *connection, const struct varlink_call *call) {
    struct manager *manager = connection->manager;
    const struct declarations *declarations = manager_declarations(manager);
    const struct quota *quota = manager_quota(manager);
    unsigned n_clients = 0;
    json_t *problems;

    /* They have names of regions in them that are not for everyone. */
    problems = connection->caller.administrator ? format_problems(declarations) : json_array();
    manager_each_client(manager, count_client, &n_clients);
    varlink_reply(
        call, json_pack("{s:s, s:I, s:I, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o*, s:o, s:I}",
                        "version", PROJECT_VERSION, "pid", (json_int_t)getpid(), "started_usec",
                        (json_int_t)admin_options(connection->admin)->started_usec, "instance",
                        manager_instance(manager), "runtime_directory",
                        format_text(manager_runtime_directory(manager)), "state_directory",
                        format_text(manager_state_directory(manager)), "configuration",
                        format_configuration(manager_config(manager)), "regions",
                        (json_int_t)manager_n_regions(manager), "clients", (json_int_t)n_clients,
                        "attachments", (json_int_t)quota_used(quota, LIMIT_ATTACHMENTS), "usage",
                        format_usages(accounts_total(quota_accounts(quota))), "kept",
                        format_kept(manager_kept(manager)), "problems", problems, "loading",
                        (json_int_t)declarations_n_loading(declarations)));
}

struct client_list {
    const struct caller *caller;
    json_t *clients;
    struct user_names names;
};

static int add_client(void *data, struct client *client) {
    struct client_list *list = data;

    if (list->caller->administrator || list->caller->uid == client->caller.uid)
        json_array_append_new(list->clients, format_client(client, &list->names));
    return 0;
}

void admin_list_clients(struct admin_connection *connection, const struct varlink_call *call) {
    struct client_list list = {.caller = &connection->caller, .clients = json_array()};

    manager_each_client(connection->manager, add_client, &list);
    varlink_reply(call, json_pack("{s:o}", "clients", list.clients));
}
