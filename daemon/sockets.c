/*
 * Sockets: see sockets.h.
 */
#include "daemon/sockets.h"

#include "proto/cleanup.h"
#include "proto/socket-path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

static void remove_socket(const char *path) {
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

static int bind_socket(const char *path, int type, struct error *error) {
    _cleanup_close_ int fd = -1;
    struct sockaddr_un address;
    mode_t old_umask;
    int r = socket_address(path, CLIENT_SOCKET_NAME, &address);

    if (r < 0)
        return error_set(error, r, "%s: %s", path, strerror(-r));
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(error, -errno, "cannot make a socket: %s", strerror(errno));
    remove_socket(path);
    /* Open to everyone from its first moment: clients of the last daemon are trying already. */
    old_umask = umask(0111);
    r = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(old_umask);
    if (r < 0 || listen(fd, SOMAXCONN) < 0)
        return error_set(error, -errno, "cannot listen on %s: %s", path, strerror(errno));
    return steal_fd(&fd);
}

int socket_open(struct fdstore *store, const char *name, int type, const char *runtime_directory,
                struct listening_socket *ret, struct error *error) {
    _cleanup_close_ int fd = fdstore_take(store, name);
    _cleanup_free_ char *path = NULL;

    if (fd >= 0) {
        if (sd_is_socket_unix(fd, type, 1, NULL, 0) <= 0)
            return error_set(error, -EINVAL, "the socket handed over as '%s' is of another kind",
                             name);
        *ret = (struct listening_socket){.fd = steal_fd(&fd)};
        return 0;
    }
    if (asprintf(&path, "%s/%s.sock", runtime_directory, name) < 0) {
        path = NULL;
        return error_set(error, -ENOMEM, "no memory for the path of a socket");
    }
    fd = bind_socket(path, type, error);
    if (fd < 0)
        return fd;
    *ret = (struct listening_socket){.fd = steal_fd(&fd), .path = steal_pointer(path)};
    return 0;
}

void socket_deinit(struct listening_socket *socket) {
    close_fd(&socket->fd);
    if (socket->path)
        remove_socket(socket->path);
    free(socket->path);
    socket->path = NULL;
}
