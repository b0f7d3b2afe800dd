/*
 * Server: see server.h.
 */
#include "daemon/faces/server.h"

#include "daemon/core/clock.h"
#include "daemon/faces/connection.h"
#include "daemon/faces/listener.h"
#include "daemon/faces/peer.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

/* Connections over the limit that may wait at once for the answer to their first request. */
#define REFUSED_MAX 16u

/* What a client's socket is called in the FD store: this and its id. Short, as all the names there
 * travel in one environment variable. */
#define STORED_NAME_FORMAT "c%" PRIx64
#define STORED_NAME_MAX 18

/* How long a client has to have stayed for its socket to be stored: most go at once. */
#define STAY_USEC USEC_PER_SEC

TAILQ_HEAD(connections, connection);

struct server {
    struct server_options options;
    struct listener *listener;
    struct dispatcher dispatcher;
    struct observer observer;
    struct flights flights;
    struct connections served, refused; /* in the order in which they came */
    unsigned n_served, n_refused, n_stored;
    bool store_was_full;
    struct connection
        *young;           /* of those served, the first one that was not looked at for storing */
    struct event *stayed; /* it has stayed long enough; NULL without an FD store */
    uint32_t turn;
};

static void changed(struct server *server) {
    if (server->options.changed)
        server->options.changed(server->options.data);
}

/* Said once: that clients connect again is no harm, but an operator may wonder. */
static void report_full_store(struct server *server) {
    if (!server->store_was_full)
        log_warning("the connections of more than %u clients will not outlive the daemon: they "
                    "connect again",
                    server->n_stored);
    server->store_was_full = true;
}

static void store(struct server *server, struct connection *connection) {
    struct client *client = connection->client;
    char name[STORED_NAME_MAX];
    struct error error = {0};
    int r;

    if (!client->is_resumable || !client->process)
        return;
    if (server->n_stored >= fdstore_share(FDSTORE_CLIENTS)) {
        report_full_store(server);
        return;
    }
    snprintf(name, sizeof(name), STORED_NAME_FORMAT, client->id);
    r = manager_keep_client(client, &error);
    if (r == 0)
        r = fdstore_push(name, connection->fd);
    if (r < 0)
        log_warning("the connection of process %d will not outlive the daemon: %s",
                    client->caller.pid, strerror(-r));
    connection->stored = r == 0;
    server->n_stored += connection->stored;
}

/* Sees that the timer runs while there is a connection to look at. */
static void watch_young(struct server *server) {
    uint64_t age, left;
    struct timeval wait;

    if (!server->stayed || !server->young || event_pending(server->stayed, EV_TIMEOUT, NULL))
        return;
    age = boottime_usec() - server->young->since_usec;
    left = age < STAY_USEC ? STAY_USEC - age : 0;
    wait = (struct timeval){
        .tv_sec = (time_t)(left / USEC_PER_SEC),
        .tv_usec = (suseconds_t)(left % USEC_PER_SEC),
    };
    event_add(server->stayed, &wait);
}

static void on_stayed(int fd, short what, void *data) {
    struct server *server = data;
    uint64_t now = boottime_usec();

    (void)fd;
    (void)what;
    while (server->young && now - server->young->since_usec >= STAY_USEC) {
        store(server, server->young);
        server->young = TAILQ_NEXT(server->young, link);
    }
    watch_young(server);
}

static void insert(struct server *server, struct connection *connection) {
    flight_begin(&server->flights, &connection->flight, connection->client->caller.uid,
                 connection->fd);
    TAILQ_INSERT_TAIL(&server->served, connection, link);
    server->n_served++;
    if (!connection->stored && !server->young)
        server->young = connection;
    watch_young(server);
}

static void on_ended(void *data, struct connection *connection) {
    struct server *server = data;

    if (server->young == connection)
        server->young = TAILQ_NEXT(connection, link);
    /* So that the service manager lets go of it, too, whoever has ended it. */
    if (connection->stored) {
        shutdown(connection->fd, SHUT_RDWR);
        server->n_stored--;
    }
    TAILQ_REMOVE(&server->served, connection, link);
    server->n_served--;
    flight_end(&connection->flight, &connection->fd, &connection->client->charge);
    manager_remove_client(server->options.manager, connection->client);
    connection_free(connection);
    changed(server);
}

static void on_refused_ended(void *data, struct connection *connection) {
    struct server *server = data;

    TAILQ_REMOVE(&server->refused, connection, link);
    server->n_refused--;
    connection_free(connection);
}

/* Lets a client that cannot be served send its first request, so that the answer tells it why. The
 * one that has waited longest makes room. */
static void refuse(struct server *server, int fd, const struct error *why) {
    struct connection *connection;

    if (server->n_refused == REFUSED_MAX)
        on_refused_ended(server, TAILQ_FIRST(&server->refused));
    if (connection_new(&server->dispatcher, server->options.base, fd, NULL, why, on_refused_ended,
                       server, &connection) < 0)
        return;
    TAILQ_INSERT_TAIL(&server->refused, connection, link);
    server->n_refused++;
}

static int add_client(struct server *server, int fd, struct client **ret, struct error *error) {
    struct manager *manager = server->options.manager;
    struct caller caller;
    int pidfd, r = peer_read(fd, manager_config(manager), &caller, &pidfd);

    if (r < 0)
        return error_set(error, r, "cannot tell who connects: %s", strerror(-r));
    r = manager_add_client(manager, &caller, pidfd, ret, error);
    if (r < 0) {
        audit_failure(manager_audit(manager), &caller, "a connection", NULL, r, error);
        caller_deinit(&caller);
    }
    return r;
}

static void on_accepted(void *data, int fd) {
    struct server *server = data;
    struct connection *connection;
    struct client *client = NULL;
    struct error error;

    if (add_client(server, fd, &client, &error) < 0) {
        refuse(server, fd, &error);
        return;
    }
    if (connection_new(&server->dispatcher, server->options.base, fd, client, NULL, on_ended,
                       server, &connection) < 0) {
        manager_remove_client(server->options.manager, client);
        return;
    }
    insert(server, connection);
    changed(server);
}

/* Goes on with a client where the last daemon left it. */
static int resume(struct server *server, int stored_fd, uint64_t client_id) {
    struct manager *manager = server->options.manager;
    _cleanup_close_ int fd = stored_fd;
    struct connection *connection;
    struct client *client = NULL;
    struct caller caller;
    int pidfd, r = peer_read(fd, manager_config(manager), &caller, &pidfd);

    if (r == 0) {
        r = manager_resume_client(manager, &caller, pidfd, client_id, server->turn, &client);
        if (r < 0)
            caller_deinit(&caller);
    }
    /* The service manager's copy would keep it open; the client connects again. */
    if (r < 0) {
        shutdown(fd, SHUT_RDWR);
        return r;
    }
    r = connection_new(&server->dispatcher, server->options.base, steal_fd(&fd), client, NULL,
                       on_ended, server, &connection);
    if (r < 0) {
        manager_remove_client(manager, client);
        return r;
    }
    client->is_resumable = true;
    connection->stored = true;
    server->n_stored++;
    insert(server, connection);
    connection_tell_resumed(connection);
    return 0;
}

static void resume_all(struct server *server) {
    struct fdstore *store = server->options.fdstore;

    for (size_t i = 0; i < store->n_stored; i++) {
        struct stored_fd *stored = &store->stored[i];
        uint64_t id;
        int end = 0, r;

        if (stored->fd < 0 || sscanf(stored->name, "c%" SCNx64 "%n", &id, &end) != 1 ||
            stored->name[end] != '\0')
            continue;
        r = resume(server, steal_fd(&stored->fd), id);
        if (r == 0)
            continue;
        log_debug("a connection of the last daemon is ended: %s", strerror(-r));
        fdstore_drop(stored->name);
    }
}

static void on_moved(struct observer *observer, const struct region *region) {
    const struct attachment *attachment;

    (void)observer;
    LIST_FOREACH (attachment, &region->attachments, link)
        if (attachment->client->watches && attachment->client->connected)
            connection_tell_news(attachment->client->face);
}

static int init_store(struct server *server) {
    if (getrandom(&server->turn, sizeof(server->turn), 0) < 0)
        return -errno;
    server->turn = server->turn % INT32_MAX + 1;
    if (fdstore_available()) {
        server->stayed = evtimer_new(server->options.base, on_stayed, server);
        if (!server->stayed)
            return -ENOMEM;
    }
    if (server->options.fdstore)
        resume_all(server);
    return 0;
}

int server_new(const struct server_options *options, int listen_fd, struct server **ret) {
    _cleanup_close_ int fd = listen_fd;
    _cleanup_(cleanup_server_free) struct server *server = malloc(sizeof(*server));
    int r;

    if (!server)
        return -ENOMEM;
    /* The buffers of the dispatcher need no zeroes. */
    server->options = *options;
    server->flights = (struct flights){0};
    server->listener = NULL;
    server->dispatcher.manager = options->manager;
    server->dispatcher.was_held = false;
    server->dispatcher.flight = NULL;
    server->observer = (struct observer){.moved = on_moved};
    manager_observe(options->manager, &server->observer);
    TAILQ_INIT(&server->served);
    TAILQ_INIT(&server->refused);
    server->n_served = server->n_refused = server->n_stored = 0;
    server->store_was_full = false;
    server->young = NULL;
    server->stayed = NULL;
    r = flights_init(&server->flights, options->base);
    if (r == 0)
        r = init_store(server);
    if (r < 0)
        return r;
    r = listener_new(options->base, steal_fd(&fd), on_accepted, server, &server->listener);
    if (r < 0)
        return r;
    *ret = steal_pointer(server);
    return 0;
}

static void free_all(struct connections *connections) {
    struct connection *connection;

    while ((connection = TAILQ_FIRST(connections))) {
        TAILQ_REMOVE(connections, connection, link);
        connection_free(connection);
    }
}

void server_free(struct server *server) {
    manager_unobserve(&server->observer);
    if (server->listener)
        listener_free(server->listener);
    if (server->stayed)
        event_free(server->stayed);
    free_all(&server->served);
    free_all(&server->refused);
    flights_deinit(&server->flights);
    free(server);
}

unsigned server_n_connections(const struct server *server) {
    return server->n_served;
}
