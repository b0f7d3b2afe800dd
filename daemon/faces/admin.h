/*
 * Admin: the face for operators
 *
 * Serves io.shmreg.Admin (proto/io.shmreg.Admin.varlink) on the admin socket.
 */
#pragma once

#include <event2/event.h>

#include "daemon/core/manager.h"

struct admin;

struct admin_options {
    struct event_base *base;
    struct manager *manager;
    struct fdstore *fdstore;                        /* has the monitors that the last daemon left */
    int64_t started_usec;                           /* CLOCK_REALTIME */
    int (*reload)(void *data, struct error *error); /* reads the configuration again */
    void *data;
};

/* @listen_fd, a listening SOCK_STREAM socket, becomes the admin's own. */
int admin_new(const struct admin_options *options, int listen_fd, struct admin **ret);
void admin_free(struct admin *admin);
DEFINE_CLEANUP(struct admin *, admin_free);

/* Connections that are open. */
unsigned admin_n_connections(const struct admin *admin);
