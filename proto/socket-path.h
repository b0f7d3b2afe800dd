/*
 * Where the sockets are
 *
 * SHMREG_SOCKET and SHMREG_ADMIN_SOCKET name them. Otherwise root uses the system daemon's, and
 * anyone else the daemon of the user (below $XDG_RUNTIME_DIR) if its socket is there, else the
 * system's.
 */
#pragma once

#include <stddef.h>
#include <sys/un.h>

#define SYSTEM_RUNTIME_DIRECTORY "/run/shmregd"
#define CLIENT_SOCKET_NAME "client.sock"
#define ADMIN_SOCKET_NAME "admin.sock"

/*
 * Fills @ret with the address of the client socket (CLIENT_SOCKET_NAME) or the admin socket
 * (ADMIN_SOCKET_NAME); @path, if not NULL, overrides environment and default.
 * Returns 0, or -ENAMETOOLONG for a path that no socket address can hold.
 */
int socket_address(const char *path, const char *socket_name, struct sockaddr_un *ret);
