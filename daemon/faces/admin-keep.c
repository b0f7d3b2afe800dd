/*
 * Monitors that outlive the daemon: their sockets are with the service manager, and the next daemon goes
 * on telling where this one ended
 *
 * A socket is there only while no part of a message waits for room in it, since that part would be lost
 * with the daemon: so nobody ever reads half a message. A monitor whose socket is not kept finds its
 * connection closed.
 */
#include "daemon/faces/admin-private.h"

#include "daemon/ground/log.h"

#include <errno.h>
#include <event2/util.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

/* What a socket is called in the FD store. */
#define KEPT_NAME_FORMAT "m%" PRIx64
#define KEPT_NAME_MAX 18

static void keep(struct admin_connection *connection, struct admin_keeper *keeper) {
    char name[KEPT_NAME_MAX];
    int r;

    snprintf(name, sizeof(name), KEPT_NAME_FORMAT, keeper->next_id);
    r = fdstore_push(name, varlink_fd(connection->varlink));
    if (r < 0) {
        log_warning("the monitor of process %d will not outlive the daemon: %s",
                    connection->caller.pid, strerror(-r));
        connection->can_be_kept = false;
        return;
    }
    connection->kept_as = keeper->next_id++;
    keeper->n_kept++;
}

static void let_go(struct admin_connection *connection, struct admin_keeper *keeper) {
    char name[KEPT_NAME_MAX];

    snprintf(name, sizeof(name), KEPT_NAME_FORMAT, connection->kept_as);
    fdstore_drop(name);
    connection->kept_as = 0;
    keeper->n_kept--;
}

void admin_keep(struct admin_connection *connection) {
    struct admin_keeper *keeper = admin_keeper(connection->admin);
    bool is_torn = varlink_backlog(connection->varlink) > 0;

    if (connection->kept_as != 0 && is_torn)
        let_go(connection, keeper);
    else if (connection->kept_as == 0 && !is_torn && connection->can_be_kept &&
             fdstore_available() && keeper->n_kept < fdstore_share(FDSTORE_MONITORS))
        keep(connection, keeper);
}

void admin_end_kept(struct admin_connection *connection) {
    if (connection->kept_as == 0)
        return;
    /* So that the service manager lets go of it, too, whoever has ended it. */
    shutdown(varlink_fd(connection->varlink), SHUT_RDWR);
    admin_keeper(connection->admin)->n_kept--;
}

static int resume(struct admin *admin, int fd, uint64_t id) {
    struct admin_connection *connection = NULL;
    int r;

    evutil_make_socket_nonblocking(fd);
    r = admin_add_connection(admin, fd, &connection);
    if (r < 0)
        return r;
    connection->kept_as = id;
    admin_keeper(admin)->n_kept++;
    r = connection->charge ? admin_resume_monitor(connection) : -EDQUOT;
    if (r < 0)
        admin_end_connection(connection);
    return r;
}

void admin_resume_kept(struct admin *admin, struct fdstore *store) {
    struct admin_keeper *keeper = admin_keeper(admin);

    for (size_t i = 0; i < store->n_stored; i++) {
        struct stored_fd *stored = &store->stored[i];
        uint64_t id;
        int end = 0, r;

        if (stored->fd < 0 || sscanf(stored->name, "m%" SCNx64 "%n", &id, &end) != 1 ||
            stored->name[end] != '\0' || id == 0)
            continue;
        if (id >= keeper->next_id)
            keeper->next_id = id + 1;
        r = resume(admin, steal_fd(&stored->fd), id);
        if (r == 0)
            continue;
        log_debug("a monitor of the last daemon is ended: %s", strerror(-r));
        fdstore_drop(stored->name);
    }
}
