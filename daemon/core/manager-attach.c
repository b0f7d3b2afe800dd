/*
 * Manager: clients, and their attachments.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/attachment.h"
#include "daemon/core/durability.h"
#include "daemon/core/reaper.h"
#include "daemon/core/record.h"
#include "daemon/core/stage.h"
#include "daemon/core/sync-block.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

static int client_new(struct manager *manager, struct caller *caller, struct process **process,
                      struct client **ret) {
    struct client *client = calloc(1, sizeof(*client));

    if (!client)
        return -ENOMEM;
    client->manager = manager;
    client->caller = *caller;
    *caller = (struct caller){0};
    client->process = steal_pointer(*process);
    LIST_INIT(&client->stages);
    TAILQ_INSERT_TAIL(&manager->clients, client, link);
    *ret = client;
    return 0;
}

int manager_add_client(struct manager *manager, struct caller *caller, int pidfd,
                       struct client **ret, struct error *error) {
    _cleanup_(cleanup_process_unref) struct process *process = NULL;
    _cleanup_(cleanup_charge_release) struct charge *charge = NULL;
    struct payer payer = caller_payer(caller, NULL);
    int r = process_get(manager->processes, caller->pid, pidfd, &process);

    /* A process that connected and ended, but left its socket to another: a client that cannot own.
     */
    if (r < 0 && r != -ESRCH && r != -EINVAL)
        return error_set(error, r, "cannot watch process %d", caller->pid);
    r = quota_charge(manager->quota, &payer, LIMIT_CONNECTIONS, 1, &charge, error);
    if (r < 0)
        return r;
    r = client_new(manager, caller, &process, ret);
    if (r < 0)
        return error_set(error, r, "no memory for a client");
    (*ret)->charge = steal_pointer(charge);
    (*ret)->connected = true;
    return 0;
}

/* A holder's record too many is found out at the next start: its process is gone, or says so. */
static void delete_holders(struct manager *manager, const struct registry_change *deletions,
                           size_t count) {
    struct error error = {0};

    if (registry_commit(manager->volatile_registry, deletions, count, &error) < 0)
        log_warning("cannot delete the record of a holder: %s", error.text);
}

static void delete_holder(const struct attachment *attachment) {
    char key[RECORD_KEY_MAX];

    holder_record_key(attachment, key);
    delete_holders(attachment->client->manager,
                   &(struct registry_change){REGISTRY_HOLDERS, key, NULL}, 1);
}

void manager_drop_holder(struct attachment *attachment) {
    delete_holder(attachment);
    attachment_free(attachment);
}

/* Its record is deleted by whoever ends it. */
static void end_attachment(struct attachment *attachment) {
    _cleanup_(cleanup_region_unref) struct region *region = region_ref(attachment->region);

    attachment_free(attachment);
    reaper_attachments_changed(region);
}

void manager_end_attachment(struct attachment *attachment) {
    delete_holder(attachment);
    end_attachment(attachment);
}

/* Forgets a client in this process, not in the registry. */
void client_forget(struct client *client) {
    struct attachment *attachment;
    struct stage *stage;

    while ((stage = LIST_FIRST(&client->stages)))
        stage_forget(stage);
    while ((attachment = client_any_attachment(client)))
        attachment_free(attachment);
    TAILQ_REMOVE(&client->manager->clients, client, link);
    process_watch_stop(&client->watch);
    if (client->process)
        process_unref(client->process);
    charge_release(client->charge);
    caller_deinit(&client->caller);
    free(client);
}

/* The records of many go in a few commits, however many there are. */
#define KEYS_MAX 256u

static void end_attachments(struct client *client) {
    struct registry_change deletions[KEYS_MAX];
    char keys[KEYS_MAX][RECORD_KEY_MAX];
    struct attachment *attachment;
    size_t count = 0;

    while ((attachment = client_any_attachment(client))) {
        holder_record_key(attachment, keys[count]);
        deletions[count] = (struct registry_change){REGISTRY_HOLDERS, keys[count], NULL};
        count++;
        end_attachment(attachment);
        if (count == KEYS_MAX || client->n_attachments == 0) {
            delete_holders(client->manager, deletions, count);
            count = 0;
        }
    }
}

void manager_remove_client(struct manager *manager, struct client *client) {
    struct stage *stage;

    (void)manager;
    while ((stage = LIST_FIRST(&client->stages)))
        manager_end_stage(stage);
    end_attachments(client);
    manager_forget_session(client);
    client_forget(client);
}

static void on_holder_ended(struct process_watch *watch) {
    struct client *client = (struct client *)((char *)watch - offsetof(struct client, watch));

    manager_remove_client(client->manager, client);
}

int manager_add_holder(struct manager *manager, struct caller *caller, uint64_t client_id,
                       struct process *process, struct client **ret) {
    struct process *own = process_ref(process);
    int r = client_new(manager, caller, &own, ret);

    if (r == 0) {
        (*ret)->id = client_id;
        (*ret)->watch.ended = on_holder_ended;
        r = process_watch_start(process, &(*ret)->watch);
        if (r < 0)
            client_forget(*ret);
    }
    cleanup_process_unref(&own);
    return r;
}

struct client *manager_find_holder(const struct manager *manager, uint64_t client_id,
                                   const struct process *process) {
    struct client *client;

    TAILQ_FOREACH (client, &manager->clients, link)
        if (!client->connected && client->id == client_id && client->process == process)
            return client;
    return NULL;
}

bool manager_identify_client(struct manager *manager, struct client *client, uint64_t id) {
    struct client *holder;

    client->id = id;
    if (!client->process)
        return false;
    holder = manager_find_holder(manager, id, client->process);
    if (!holder || holder->caller.uid != client->caller.uid)
        return false;
    client_take_attachments(client, holder);
    client_take_stages(client, holder);
    client->session = holder->session;
    client_forget(holder);
    return true;
}

int manager_resume_client(struct manager *manager, struct caller *caller, int pidfd, uint64_t id,
                          uint32_t turn, struct client **ret) {
    _cleanup_(cleanup_process_unref) struct process *process = NULL;
    struct payer payer = caller_payer(caller, NULL);
    struct client *client;
    int r = process_get(manager->processes, caller->pid, pidfd, &process);

    if (r < 0)
        return r;
    client = manager_find_holder(manager, id, process);
    if (!client || client->caller.uid != caller->uid || !client->session.recorded)
        return -ENOENT;
    r = quota_charge_existing(manager->quota, &payer, LIMIT_CONNECTIONS, 1, &client->charge);
    if (r < 0)
        return r;
    process_watch_stop(&client->watch);
    caller_deinit(&client->caller);
    client->caller = *caller;
    *caller = (struct caller){0};
    client->connected = true;
    client->resumption.turn = turn;
    *ret = client;
    return 0;
}

int manager_each_client(struct manager *manager, int (*each)(void *data, struct client *client),
                        void *data) {
    struct client *client;
    int r = 0;

    TAILQ_FOREACH (client, &manager->clients, link) {
        r = each(data, client);
        if (r != 0)
            break;
    }
    return r;
}

int manager_record_holder(struct manager *manager, const struct attachment *attachment,
                          struct error *error) {
    char key[RECORD_KEY_MAX], text[HOLDER_RECORD_MAX];

    if (!attachment->client->process)
        return 0;
    holder_record_key(attachment, key);
    holder_record_format(attachment, text);
    return registry_put(manager->volatile_registry, REGISTRY_HOLDERS, key, text, error);
}

static int attach(struct manager *manager, struct client *client, struct region *region,
                  uint32_t access, struct attachment **ret, struct error *error) {
    struct payer payer = caller_payer(&client->caller, region->name);
    struct charge *charge;
    uint64_t id;
    int r = manager_next_id(manager, &id, error);

    if (r == 0)
        r = quota_charge(manager->quota, &payer, LIMIT_ATTACHMENTS, 1, &charge, error);
    if (r < 0)
        return r;
    r = attachment_new(id, client, region, region->segment, access, charge, ret);
    if (r < 0)
        return error_set(error, r, "no memory for an attachment");
    (*ret)->serial = manager->request.client == client ? manager->request.serial : 0;
    r = manager_record_holder(manager, *ret, error);
    if (r < 0)
        attachment_free(*ret);
    return r;
}

int manager_check_access(uint32_t access, struct error *error) {
    if (access == RIGHT_READ || access == RIGHT_WRITE)
        return 0;
    return error_set(error, -EINVAL, "access %u is neither read nor write", access);
}

int manager_attach(struct manager *manager, struct client *client, const char *name,
                   uint32_t access, struct attachment **ret, struct attachment_fds *ret_fds,
                   struct error *error) {
    _cleanup_close_ int fd = -1, sync_block_fd = -1;
    /* A writable descriptor can be read, too. */
    uint32_t rights = access == RIGHT_WRITE ? RIGHT_READ | RIGHT_WRITE : RIGHT_READ;
    struct region *region;
    int r = manager_check_access(access, error);

    if (r < 0)
        return r;
    r = manager_find_with(manager, &client->caller, name, rights, &region, error);
    if (r < 0)
        return r;
    if (access == RIGHT_WRITE && region->segment->sealed)
        return error_set(error, -EPERM, "version %u of region '%s' is sealed: nobody writes to it",
                         region->segment->version, name);
    fd = segment_open(region->segment, access == RIGHT_WRITE ? O_RDWR : O_RDONLY, error);
    if (fd < 0)
        return fd;
    r = sync_block_open(region, access, &sync_block_fd, error);
    if (r == 0)
        r = attach(manager, client, region, access, ret, error);
    if (r < 0)
        return r;
    reaper_attachments_changed(region);
    if (access == RIGHT_WRITE)
        durability_changed(region);
    *ret_fds = (struct attachment_fds){steal_fd(&fd), steal_fd(&sync_block_fd)};
    return 0;
}

int manager_detach(struct manager *manager, struct client *client, uint64_t attachment_id,
                   struct error *error) {
    struct attachment *attachment = client_find_attachment(client, attachment_id);
    struct stage *stage = client_find_stage(client, attachment_id);

    (void)manager;
    if (stage) {
        manager_end_stage(stage);
        return 0;
    }
    if (!attachment)
        return error_set(error, -ENOENT, "the client has no attachment %" PRIu64, attachment_id);
    manager_end_attachment(attachment);
    return 0;
}
