/*
 * Restore: sessions
 *
 * A client that was in the middle of something may have nothing else on record.
 */
#include "daemon/core/restore-private.h"

#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"
#include "daemon/core/session.h"

#include <errno.h>
#include <string.h>

static int restore_session(struct manager *manager, const struct session_record *record,
                           struct client **ret) {
    return restore_client(manager, record->uid, record->client_id, &record->process, ret);
}

static int on_session_record(void *data, const char *key, const char *value) {
    struct restorer *restorer = data;
    struct session_record record;
    struct client *client;
    struct error error = {0};
    int r = session_record_parse(value, &record, &error);

    if (r < 0)
        return restore_add_casualty(restorer, key, true, &error);
    r = restore_session(restorer->manager, &record, &client);
    if (r == -ESRCH)
        return restore_add_casualty(restorer, key, false, &error);
    if (r < 0)
        return r;
    client->watches = record.watches;
    client->session = (struct client_session){record.serial, record.version, .recorded = true};
    return 0;
}

/* The client of that record, if it has another, too; -ESRCH. */
static int find_client(const struct manager *manager, const struct session_record *record,
                       struct client **ret) {
    _cleanup_(cleanup_process_unref) struct process *process = NULL;
    int r = process_find(manager->processes, &record->process, &process);

    if (r < 0)
        return r;
    *ret = manager_find_holder(manager, record->client_id, process);
    return *ret && (*ret)->session.recorded ? 0 : -ESRCH;
}

/* The last daemon may have been killed between a durable change and the volatile record of it. */
static int restore_copy(struct manager *manager, struct error *error) {
    _cleanup_free_ char *text = NULL;
    struct session_record record;
    struct client *client;
    int r = registry_get(manager->durable_registry, REGISTRY_META, SESSION_COPY_KEY, &text);

    if (r < 0)
        return r == -ENOENT ? 0 : error_set(error, r, "cannot read the last session");
    if (session_record_parse(text, &record, error) < 0)
        return 0;
    r = find_client(manager, &record, &client);
    if (r < 0)
        return r == -ESRCH ? 0 : error_set(error, r, "cannot load the last session");
    if (client->session.serial != 0 && (int32_t)(record.serial - client->session.serial) <= 0)
        return 0;
    return manager_record_session(
        client, &(struct client_session){.serial = record.serial, .version = record.version},
        error);
}

int restore_sessions(struct manager *manager, struct error *error) {
    struct restorer restorer = {.manager = manager};
    int r;

    STAILQ_INIT(&restorer.casualties);
    r = registry_each(manager->volatile_registry, REGISTRY_SESSIONS, on_session_record, &restorer);
    restore_settle_casualties(&restorer, manager->volatile_registry, REGISTRY_SESSIONS);
    if (r < 0)
        return error_set(error, r, "cannot load the sessions: %s", strerror(-r));
    return restore_copy(manager, error);
}
