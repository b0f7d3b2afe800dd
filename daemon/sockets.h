/*
 * Sockets: handed over by the service manager, or bound by the daemon itself
 */
#pragma once

#include <stdbool.h>

#include "daemon/ground/fdstore.h"
#include "proto/error.h"

struct listening_socket {
    int fd;     /* -1 once it was given to a face */
    char *path; /* that the daemon made, to be removed at the end; NULL if it was handed over */
};

/*
 * The listening socket of @type: the one that was handed over as @name ("client"), else one bound to
 * @name.sock in @runtime_directory, open to everybody (0666). The file of a daemon that is gone is
 * replaced: the registry's lock says that no other one lives here.
 */
int socket_open(struct fdstore *store, const char *name, int type, const char *runtime_directory,
                struct listening_socket *ret, struct error *error);

/* Closes it, unless it was given away, and removes its file if the daemon made it. */
void socket_deinit(struct listening_socket *socket);
