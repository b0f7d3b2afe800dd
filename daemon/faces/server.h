/*
 * Server: the face for clients
 *
 * Takes in the connections of the client socket and makes each a client of the manager. The sockets of
 * clients that have stayed for a second are given to the service manager, too, so that the next daemon
 * goes on with them: it tells each client once that it does, and no client notices more than that.
 */
#pragma once

#include <event2/event.h>

#include "daemon/core/manager.h"

struct server;

struct server_options {
    struct event_base *base;
    struct manager *manager;
    struct fdstore *fdstore;     /* has the connections that the last daemon left */
    void (*changed)(void *data); /* there are more or fewer connections */
    void *data;
};

/* @listen_fd, a listening SOCK_SEQPACKET socket, becomes the server's own, also on error. 0 or a
 * negative errno. */
int server_new(const struct server_options *options, int listen_fd, struct server **ret);
/* Closes the connections; what they hold stays recorded, for the next daemon. The manager goes
 * after the server. */
void server_free(struct server *server);
DEFINE_CLEANUP(struct server *, server_free);

/* Connections that are open, without those that were refused. */
unsigned server_n_connections(const struct server *server);
