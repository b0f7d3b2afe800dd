/*
 * Server: see server.h.
 */
#include "daemon/faces/server.h"

#include "daemon/faces/connection.h"
#include "daemon/faces/listener.h"
#include "daemon/faces/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Connections over the limit that may wait at once for the answer to their first request. */
#define REFUSED_MAX 16u

TAILQ_HEAD(connections, connection);

struct server {
    struct server_options options;
    struct listener *listener;
    struct dispatcher dispatcher;
    struct observer observer;
    struct offence_log offences;
    struct connections served, refused;
    unsigned n_served, n_refused;
};

static void changed(struct server *server) {
    if (server->options.changed)
        server->options.changed(server->options.data);
}

static void on_ended(void *data, struct connection *connection) {
    struct server *server = data;

    TAILQ_REMOVE(&server->served, connection, link);
    server->n_served--;
    manager_remove_client(server->options.manager, connection->client);
    connection_free(connection);
    changed(server);
}

static void on_refused_ended(void *data, struct connection *connection) {
    struct server *server = data;

    TAILQ_REMOVE(&server->refused, connection, link);
    server->n_refused--;
    connection_free(connection);
}

/* Lets a client that cannot be served send its first request, so that the answer tells it why. The
 * one that has waited longest makes room. */
static void refuse(struct server *server, int fd, const struct error *why) {
    struct connection *connection;

    if (server->n_refused == REFUSED_MAX)
        on_refused_ended(server, TAILQ_FIRST(&server->refused));
    if (connection_new(&server->dispatcher, &server->offences, server->options.base, fd, NULL, why,
                       on_refused_ended, server, &connection) < 0)
        return;
    TAILQ_INSERT_TAIL(&server->refused, connection, link);
    server->n_refused++;
}

static int add_client(struct server *server, int fd, struct client **ret, struct error *error) {
    struct manager *manager = server->options.manager;
    struct caller caller;
    int pidfd, r = peer_read(fd, manager_config(manager), &caller, &pidfd);

    if (r < 0)
        return error_set(error, r, "cannot tell who connects: %s", strerror(-r));
    r = manager_add_client(manager, &caller, pidfd, ret, error);
    if (r < 0)
        caller_deinit(&caller);
    return r;
}

static void on_accepted(void *data, int fd) {
    struct server *server = data;
    struct connection *connection;
    struct client *client = NULL;
    struct error error;

    if (add_client(server, fd, &client, &error) < 0) {
        refuse(server, fd, &error);
        return;
    }
    if (connection_new(&server->dispatcher, &server->offences, server->options.base, fd, client,
                       NULL, on_ended, server, &connection) < 0) {
        manager_remove_client(server->options.manager, client);
        return;
    }
    TAILQ_INSERT_TAIL(&server->served, connection, link);
    server->n_served++;
    changed(server);
}

static void on_moved(struct observer *observer, const struct region *region) {
    const struct attachment *attachment;

    (void)observer;
    LIST_FOREACH (attachment, &region->attachments, link)
        if (attachment->client->watches)
            connection_tell_news(attachment->client->face);
}

int server_new(const struct server_options *options, int listen_fd, struct server **ret) {
    _cleanup_close_ int fd = listen_fd;
    _cleanup_(cleanup_server_free) struct server *server = malloc(sizeof(*server));
    int r;

    if (!server)
        return -ENOMEM;
    /* The buffers of the dispatcher need no zeroes. */
    server->options = *options;
    server->offences = (struct offence_log){0};
    server->listener = NULL;
    server->dispatcher.manager = options->manager;
    server->observer = (struct observer){.moved = on_moved};
    manager_observe(options->manager, &server->observer);
    TAILQ_INIT(&server->served);
    TAILQ_INIT(&server->refused);
    server->n_served = server->n_refused = 0;
    r = listener_new(options->base, steal_fd(&fd), on_accepted, server, &server->listener);
    if (r < 0)
        return r;
    *ret = steal_pointer(server);
    return 0;
}

static void free_all(struct connections *connections) {
    struct connection *connection;

    while ((connection = TAILQ_FIRST(connections))) {
        TAILQ_REMOVE(connections, connection, link);
        connection_free(connection);
    }
}

void server_free(struct server *server) {
    manager_unobserve(&server->observer);
    if (server->listener)
        listener_free(server->listener);
    free_all(&server->served);
    free_all(&server->refused);
    free(server);
}

unsigned server_n_connections(const struct server *server) {
    return server->n_served;
}
