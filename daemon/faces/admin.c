/*
 * Admin: the connections of operators; see admin.h. What they may call is in admin-methods.c.
 */
#include "daemon/faces/admin.h"

#include "daemon/faces/admin-private.h"
#include "daemon/faces/listener.h"
#include "daemon/faces/peer.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Connections over the limit that are kept until they have been told so, and for how long. */
#define UNCHARGED_MAX 32
static const struct timeval uncharged_time = {.tv_sec = 5};

struct admin {
    struct admin_options options;
    struct listener *listener;
    LIST_HEAD(, admin_connection) connections;
    unsigned n_connections, n_uncharged;
    struct admin_keeper keeper;
};

const struct admin_options *admin_options(const struct admin *admin) {
    return &admin->options;
}

struct admin_keeper *admin_keeper(struct admin *admin) {
    return &admin->keeper;
}

unsigned admin_n_connections(const struct admin *admin) {
    return admin->n_connections;
}

static void forget_deadline(struct admin_connection *connection) {
    if (!connection->deadline)
        return;
    event_free(connection->deadline);
    connection->deadline = NULL;
    connection->admin->n_uncharged--;
}

static void connection_free(struct admin_connection *connection) {
    forget_deadline(connection);
    if (connection->varlink)
        varlink_connection_free(connection->varlink);
    upload_end(&connection->upload);
    charge_release(connection->charge);
    caller_deinit(&connection->caller);
    free(connection);
}
DEFINE_CLEANUP(struct admin_connection *, connection_free);

static void take_out(struct admin_connection *connection) {
    LIST_REMOVE(connection, link);
    connection->admin->n_connections--;
    connection_free(connection);
}

void admin_end_connection(struct admin_connection *connection) {
    admin_end_kept(connection);
    take_out(connection);
}

static int charge_connection(struct admin_connection *connection, struct error *error) {
    struct payer payer = caller_payer(&connection->caller, NULL);

    return quota_charge(manager_quota(connection->manager), &payer, LIMIT_CONNECTIONS, 1,
                        &connection->charge, error);
}

static void on_call(void *data, const struct varlink_call *call) {
    struct admin_connection *connection = data;
    struct error error = {0};
    int r = connection->charge ? 0 : charge_connection(connection, &error);

    if (r < 0) {
        admin_fail(call, r, &error);
        varlink_connection_finish(connection->varlink);
        return;
    }
    forget_deadline(connection);
    r = charge_request(connection->charge, false, &error);
    if (r < 0)
        admin_fail(call, r, &error);
    else
        admin_call(connection, call);
}

static void on_ended(void *data, const char *why) {
    struct admin_connection *connection = data;

    if (why)
        audit_cut_off(manager_audit(connection->manager), &connection->caller, why);
    admin_end_connection(connection);
}

static void on_drained(void *data) {
    admin_keep(data);
}

static const struct varlink_events connection_events = {
    .call = on_call,
    .ended = on_ended,
    .drained = on_drained,
};

static void on_deadline(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    admin_end_connection(data);
}

/* One over the limit hears so in answer to its first call, if that comes soon. */
static int start_deadline(struct admin_connection *connection) {
    struct admin *admin = connection->admin;

    if (admin->n_uncharged >= UNCHARGED_MAX)
        return -EDQUOT;
    connection->deadline = evtimer_new(admin->options.base, on_deadline, connection);
    if (!connection->deadline)
        return -ENOMEM;
    admin->n_uncharged++;
    return event_add(connection->deadline, &uncharged_time) < 0 ? -ENOMEM : 0;
}

int admin_add_connection(struct admin *admin, int fd, struct admin_connection **ret) {
    const struct config *config = manager_config(admin->options.manager);
    _cleanup_close_ int owned = fd, pidfd = -1;
    _cleanup_(cleanup_connection_free) struct admin_connection *connection =
        calloc(1, sizeof(*connection));
    int r;

    if (!connection)
        return -ENOMEM;
    connection->admin = admin;
    connection->manager = admin->options.manager;
    r = peer_read(owned, config, &connection->caller, &pidfd);
    if (r < 0)
        return r;
    if (charge_connection(connection, NULL) < 0)
        r = start_deadline(connection);
    if (r == 0)
        r = varlink_connection_new(admin->options.base, steal_fd(&owned), &config->timeouts,
                                   &connection_events, connection, &connection->varlink);
    if (r < 0)
        return r;
    LIST_INSERT_HEAD(&admin->connections, connection, link);
    admin->n_connections++;
    *ret = steal_pointer(connection);
    return 0;
}

static void on_accepted(void *data, int fd) {
    struct admin_connection *connection;
    int r = admin_add_connection(data, fd, &connection);

    if (r < 0)
        log_debug("admin socket: connection refused: %s", strerror(-r));
}

int admin_new(const struct admin_options *options, int listen_fd, struct admin **ret) {
    _cleanup_close_ int owned = listen_fd;
    _cleanup_(cleanup_admin_free) struct admin *admin = calloc(1, sizeof(*admin));
    int r;

    if (!admin)
        return -ENOMEM;
    admin->options = *options;
    admin->keeper.next_id = 1;
    LIST_INIT(&admin->connections);
    if (options->fdstore)
        admin_resume_kept(admin, options->fdstore);
    r = listener_new(options->base, steal_fd(&owned), on_accepted, admin, &admin->listener);
    if (r < 0)
        return r;
    *ret = steal_pointer(admin);
    return 0;
}

void admin_free(struct admin *admin) {
    struct admin_connection *connection;

    while ((connection = LIST_FIRST(&admin->connections)))
        take_out(connection);
    cleanup_listener_free(&admin->listener);
    free(admin);
}
