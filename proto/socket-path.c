/*
 * Where the sockets are: see socket-path.h.
 */
#include "proto/socket-path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *environment_path(const char *socket_name) {
    const char *variable =
        strcmp(socket_name, CLIENT_SOCKET_NAME) == 0 ? "SHMREG_SOCKET" : "SHMREG_ADMIN_SOCKET";
    const char *value = secure_getenv(variable);

    return value && *value ? value : NULL;
}

static int set_path(struct sockaddr_un *address, const char *directory, const char *name) {
    int length = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s%s", directory,
                          *directory ? "/" : "", name);

    return (size_t)length < sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

int socket_address(const char *path, const char *socket_name, struct sockaddr_un *ret) {
    const char *user_directory = secure_getenv("XDG_RUNTIME_DIR");
    char directory[sizeof(ret->sun_path)];

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!path)
        path = environment_path(socket_name);
    if (path)
        return set_path(ret, "", path);

    if (getuid() != 0 && user_directory && *user_directory == '/' &&
        (size_t)snprintf(directory, sizeof(directory), "%s/shmregd", user_directory) <
            sizeof(directory) &&
        set_path(ret, directory, socket_name) == 0 && access(ret->sun_path, F_OK) == 0)
        return 0;
    return set_path(ret, SYSTEM_RUNTIME_DIRECTORY, socket_name);
}
