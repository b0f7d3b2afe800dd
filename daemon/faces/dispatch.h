/*
 * Dispatch: from an operation to the manager, and from what it says to a reply
 *
 * One small handler for each operation of WIRE_OPS. wire_decode() has checked the shape of a
 * request before a handler sees it; what it means is checked here and in the manager. Knows no
 * socket: a request is bytes, a reply is bytes and descriptors.
 */
#pragma once

#include "daemon/core/manager.h"
#include "proto/packet.h"
#include "proto/wire.h"

struct flight;

struct reply {
    size_t size;           /* 0: none is sent */
    struct packet_fds fds; /* the reply's own */
    _Alignas(8) unsigned char data[WIRE_MESSAGE_MAX];
};

/*
 * A request that is carried out while the loop goes on. Its connection reads nothing more until it
 * is over, so that replies stay in order.
 */
struct task {
    /* Called by the task, with a reply in the dispatcher. With the @last one it is over, and frees
     * itself. */
    void (*replied)(void *data, bool last);
    void *data;
    void (*cancel)(struct task *task); /* ends it early: nothing of it is left */
};

/* One for the whole daemon, as it does one thing at a time: nothing is allocated for a request. */
struct dispatcher {
    struct manager *manager;
    struct reply reply;
    struct task *task; /* begun by the last request, and for its connection to take; else NULL */
    struct packet_fds request_fds; /* what came with the request */
    bool was_held;                 /* the request: it was counted when it came */
    const struct flight *flight;   /* of who asks now; NULL: his descriptors are not counted */
    _Alignas(8) unsigned char request[WIRE_MESSAGE_MAX];
    unsigned char value[WIRE_VALUE_MAX];
};

/*
 * Carries out the request of @size bytes in @dispatcher->request with the descriptors in
 * @dispatcher->request_fds, which stay there, and leaves the answer, be it an error, in
 * @dispatcher->reply, or in @dispatcher->task what is going to answer. Returns 0, or -EBADMSG
 * for a malformed message (the reason is in @error): nothing was touched, and when the reply is
 * sent the client has nothing more to say.
 */
int dispatch(struct dispatcher *dispatcher, struct client *client, size_t size,
             struct error *error);

/* Answers the request in @dispatcher->request, whatever it is, with @refusal. */
void dispatch_refusal(struct dispatcher *dispatcher, size_t size, const struct error *refusal);
