/*
 * Admin face: the admin socket on a world's manager, and clients of it, in one event loop
 *
 * The sockets are real. A client connects with the effective uid given, which is what the kernel
 * tells the daemon.
 */
#pragma once

#include <jansson.h>

#include "daemon/faces/admin.h"
#include "tests/unit/world.h"

#define ADMIN_INTERFACE "io.shmreg.Admin."

struct admin_face {
    struct world world;
    struct admin *admin;
    char path[WORLD_PATH_MAX + 32];
    int reload_result;
    unsigned reloads;
};

struct admin_client {
    struct admin_face *face;
    int fd;
    char *input;
    size_t size;
    bool at_end;
};

void admin_face_init(struct admin_face *face);
void admin_face_deinit(struct admin_face *face);

/* What a restart is to it: it ends as it is, and the next daemon is handed one descriptor of that name. */
void admin_face_stop(struct admin_face *face);
void admin_face_start(struct admin_face *face, const char *stored_name, int stored_fd);

struct admin_client *admin_client_new(struct admin_face *face, uid_t uid);
void admin_client_free(struct admin_client *client);

void admin_client_send(struct admin_client *client, const void *data, size_t size);
/* The next message; NULL: the connection is closed. */
json_t *admin_client_receive(struct admin_client *client);

/* A call of a method of io.shmreg.Admin, or of one with its interface; @parameters is JSON text
 * that may use ' for ". */
void admin_client_send_call(struct admin_client *client, const char *method, const char *parameters,
                            const char *flag);
/* The reply's parameters; fails on an error. */
json_t *admin_client_call(struct admin_client *client, const char *method, const char *parameters);
/* Fails unless the call is answered with that error; returns its parameters. */
json_t *admin_client_refused(struct admin_client *client, const char *method,
                             const char *parameters, const char *error);
