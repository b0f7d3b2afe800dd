/*
 * Peer: see peer.h.
 */
#include "daemon/faces/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static int read_groups(int socket, struct caller *caller) {
    _cleanup_free_ gid_t *groups = NULL;
    socklen_t size = 0;

    /* The groups are those of the time of connect(2) and never change: asking for none tells how
     * much room they take. */
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        return -errno;
    if (size == 0)
        return 0;
    groups = malloc(size);
    if (!groups)
        return -ENOMEM;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return -errno;
    caller->n_groups = size / sizeof(gid_t);
    caller->groups = steal_pointer(groups);
    return 0;
}

static int read_pidfd(int socket, pid_t pid) {
    socklen_t size = sizeof(int);
    int pidfd;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        return pidfd;
    if (errno != ENOPROTOOPT)
        return -errno;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pidfd < 0 ? -errno : pidfd;
}

static bool is_administrator(const struct caller *caller, const struct config *config) {
    return caller->uid == 0 || caller->uid == geteuid() ||
           (config->has_admin_group && caller_in_group(caller, config->admin_group));
}

int peer_read(int socket, const struct config *config, struct caller *ret, int *ret_pidfd) {
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    int r;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    *ret = (struct caller){
        .uid = credentials.uid,
        .gid = credentials.gid,
        .pid = credentials.pid,
    };
    *ret_pidfd = read_pidfd(socket, credentials.pid);
    if (*ret_pidfd == -EMFILE || *ret_pidfd == -ENFILE || *ret_pidfd == -ENOMEM)
        return *ret_pidfd;
    if (*ret_pidfd < 0)
        *ret_pidfd = -1;
    r = read_groups(socket, ret);
    if (r < 0) {
        close_fd(ret_pidfd);
        return r;
    }
    ret->administrator = is_administrator(ret, config);
    return 0;
}
