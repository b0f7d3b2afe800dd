/*
 * Peer: see peer.h.
 */
#include "daemon/faces/peer.h"

#include <errno.h>
#include <poll.h>
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

/*
 * A pid is that of the peer only while the peer lives, so what was read under it counts if the peer
 * has not ended afterwards. Where the kernel has no SO_PEERPIDFD, the pidfd was opened by the same
 * pid: who passes his socket on, ends, and has his pid used again before we accept could borrow a
 * unit there.
 */
static int read_units(int pidfd, struct caller *caller) {
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int r;

    if (pidfd < 0)
        return 0;
    r = units_of_process(caller->pid, &caller->units);
    if (r == 0 && poll(&ended, 1, 0) != 0)
        units_deinit(&caller->units);
    return r;
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
        .units.owner = UNIT_OF_SYSTEM,
    };
    *ret_pidfd = read_pidfd(socket, credentials.pid);
    if (*ret_pidfd == -EMFILE || *ret_pidfd == -ENFILE || *ret_pidfd == -ENOMEM)
        return *ret_pidfd;
    if (*ret_pidfd < 0)
        *ret_pidfd = -1;
    r = read_groups(socket, ret);
    if (r == 0)
        r = read_units(*ret_pidfd, ret);
    if (r < 0) {
        caller_deinit(ret);
        close_fd(ret_pidfd);
        return r;
    }
    ret->administrator = is_administrator(ret, config);
    return 0;
}
