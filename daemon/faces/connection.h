/*
 * Connection: one client's socket, its requests and their replies
 *
 * One request is read and answered a wake-up, so that clients take turns. A reply that the socket
 * has no room for is kept, and nothing more is read until it has gone: a client that does not read
 * holds up itself and nobody else, and is cut off after a while, as is one that never says hello. Nor
 * is anything read while a request is still carried out. A client that sends requests ahead of its
 * replies has its turn after those who do not. News of its regions goes out between replies; while
 * there is no room for it, one flag keeps it, however much has changed. So does the message that another
 * daemon has taken over the connection.
 */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "daemon/faces/dispatch.h"
#include "daemon/faces/flight.h"
#include "proto/cleanup.h"

struct connection {
    struct dispatcher *dispatcher;
    struct client *client; /* NULL if it was refused; its owner removes it from the manager */
    struct error *refusal; /* the answer to whatever it asks, then */
    int fd;
    struct event *event;   /* readable; writable while a reply is pending; hung up during a task */
    struct event *clock;   /* until hello comes, while a reply is pending, or a turn overdue */
    struct reply *pending; /* NULL for none */
    struct task *task;     /* NULL for none */
    struct flight flight;
    unsigned n_requests;
    bool greeted;        /* it has said hello */
    bool ahead;          /* it sends requests ahead of their replies */
    bool serving;        /* a request, which may itself be what makes news */
    bool resumed;        /* the client was not told yet */
    bool news;           /* there is some that was not sent */
    bool news_is_last;   /* of what was sent: nothing came after it */
    bool stored;         /* the service manager has a copy of the socket */
    uint64_t since_usec; /* boottime_usec() */
    void (*ended)(void *data, struct connection *connection);
    void *data;
    TAILQ_ENTRY(connection) link;
};

/*
 * Serves @client on @fd, or if @client is NULL answers one request with @refusal. @fd becomes the
 * connection's own, also on error. @ended is called once, from the loop, when the connection is over,
 * and has to free it. 0 or -ENOMEM.
 */
int connection_new(struct dispatcher *dispatcher, struct event_base *base, int fd,
                   struct client *client, const struct error *refusal,
                   void (*ended)(void *data, struct connection *connection), void *data,
                   struct connection **ret);
void connection_free(struct connection *connection);

/* Tells the client, which watches, that a region it is attached to has changed; if not at once, then
 * as soon as its socket has room. Ends nothing: it may be called from within the manager. */
void connection_tell_news(struct connection *connection);
/* Tells the client that this daemon has taken over the connection, under the same conditions. */
void connection_tell_resumed(struct connection *connection);
DEFINE_CLEANUP(struct connection *, connection_free);
