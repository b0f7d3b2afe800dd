/*
 * Manager: requests that are asked again, and who is known to have asked.
 *
 * Every change of a region goes through manager_commit(), which adds to its transaction the session
 * of the client whose request is under way. A change in the durable registry keeps a copy there, of
 * the last one only: the volatile record follows at once, so that no other can be missing. It outlives
 * its client, and counts for nothing then: who has no volatile record, which is made before, has left.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/attachment.h"
#include "daemon/core/record.h"
#include "daemon/ground/log.h"

#include <search.h>

int manager_record_session(struct client *client, const struct client_session *session,
                           struct error *error) {
    char key[RECORD_KEY_MAX], text[SESSION_RECORD_MAX];
    int r;

    if (!client->process || client->id == 0)
        return 0;
    session_record_key(client->id, key);
    session_record_format(client, session, text);
    r = registry_put(client->manager->volatile_registry, REGISTRY_SESSIONS, key, text, error);
    if (r < 0)
        return r;
    client->session = *session;
    client->session.recorded = true;
    return 0;
}

void manager_forget_session(struct client *client) {
    struct error error = {0};
    char key[RECORD_KEY_MAX];

    if (!client->session.recorded)
        return;
    session_record_key(client->id, key);
    client->session.recorded = false;
    /* The next start finds that its process is gone. */
    if (registry_delete(client->manager->volatile_registry, REGISTRY_SESSIONS, key, &error) < 0)
        log_warning("cannot delete the record of a session: %s", error.text);
}

int manager_keep_client(struct client *client, struct error *error) {
    return client->session.recorded ? 0 : manager_record_session(client, &client->session, error);
}

int manager_watch(struct client *client, bool watches, struct error *error) {
    bool before = client->watches;
    int r;

    client->watches = watches;
    r = manager_record_session(client, &client->session, error);
    if (r < 0)
        client->watches = before;
    return r;
}

void manager_retract(struct manager *manager) {
    manager->request.retracted = true;
}

/* As manager_commit(), of a change in the durable registry. */
static int commit_durably(struct manager *manager, const struct registry_change *change,
                          const struct client_session *session, const char *text,
                          struct error *error) {
    struct client *client = manager->request.client;
    struct registry_change changes[] = {*change, {REGISTRY_META, SESSION_COPY_KEY, text}};
    struct error ignored = {0};
    int r = manager_keep_client(client, error);

    if (r == 0)
        r = registry_commit(manager->durable_registry, changes, ARRAY_SIZE(changes), error);
    if (r < 0)
        return r;
    /* It has happened: whatever comes now, the request is answered as done. */
    if (manager_record_session(client, session, &ignored) < 0)
        log_warning("cannot record a session: %s", ignored.text);
    client->session.serial = session->serial;
    client->session.version = session->version;
    client->session.is_undone = false;
    return 0;
}

int manager_commit(struct manager *manager, struct registry *registry,
                   const struct registry_change *change, uint32_t version, struct error *error) {
    struct request_under_way *request = &manager->request;
    struct client *client = request->client;
    struct client_session session = {.version = version, .recorded = true};
    char key[RECORD_KEY_MAX], text[SESSION_RECORD_MAX];
    struct registry_change changes[] = {*change, {REGISTRY_SESSIONS, key, text}};
    int r = registry == manager->durable_registry ? disk_check(manager->places.disk, error) : 0;

    if (r < 0)
        return r;
    if (!client || !client->process || request->serial == 0)
        return registry_commit(registry, change, 1, error);
    session.serial = request->retracted ? 0 : request->serial;
    session_record_key(client->id, key);
    session_record_format(client, &session, text);
    if (registry == manager->durable_registry)
        return commit_durably(manager, change, &session, text, error);
    r = registry_commit(registry, changes, ARRAY_SIZE(changes), error);
    if (r == 0)
        client->session = session;
    return r;
}

/* Only one that the last daemon made may still be asked for again. */
void manager_note_destroyed(const struct region *region) {
    struct client *client;

    if (region->creator_pid != 0 || region->tag.serial == 0)
        return;
    TAILQ_FOREACH (client, &region->manager->clients, link)
        if (client->id == region->tag.client_id &&
            session_has_done(&client->session, region->tag.serial))
            client->session.is_undone = true;
}

struct search {
    uint32_t serial;
    bool lost;
    struct attachment *found;
};

static void look(const void *node, VISIT visit, void *data) {
    struct attachment *attachment = *(struct attachment *const *)node;
    struct search *search = data;

    if ((visit == postorder || visit == leaf) && attachment->serial == search->serial &&
        attachment->lost == search->lost)
        search->found = attachment;
}

/* An attachment that was made by that request, and is, or is not, lost. */
static struct attachment *find(const struct client *client, uint32_t serial, bool lost) {
    struct search search = {.serial = serial, .lost = lost};

    twalk_r(client->attachments, look, &search);
    return search.found;
}

void manager_begin_request(struct client *client, uint32_t serial, bool repeated) {
    struct attachment *attachment;

    client->manager->request = (struct request_under_way){.client = client, .serial = serial};
    if (!repeated || serial == 0)
        return;
    while ((attachment = find(client, serial, false))) {
        attachment->lost = true;
        charge_release(steal_pointer(attachment->charge));
    }
}

void manager_end_request(struct client *client, uint32_t serial, bool repeated) {
    struct attachment *attachment;

    if (repeated && serial != 0)
        while ((attachment = find(client, serial, true)))
            manager_end_attachment(attachment);
    client->manager->request = (struct request_under_way){0};
}
