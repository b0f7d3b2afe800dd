/*
 * A blocking Varlink client (https://varlink.org) on a stream socket
 *
 * One call at a time: send it, then receive one reply, or with `more` as many as say that others
 * follow. Whatever the other end does, a call ends: with a reply, or with an error once
 * @timeout_ms has passed since it was sent (in a stream, since the reply before).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/un.h>

#include "proto/cleanup.h"
#include "proto/error.h"

#define VARLINK_TIMEOUT_MS 30000
#define VARLINK_NO_TIMEOUT (-1)

struct varlink;

/* Returns 0, or a negative errno of connect(2) with the socket in the sentence. */
int varlink_connect(const struct sockaddr_un *address, int timeout_ms, struct varlink **ret,
                    struct error *error);
/* The same on a connected socket, which becomes the client's own, on success and on failure. */
int varlink_new(int fd, int timeout_ms, struct varlink **ret, struct error *error);
void varlink_free(struct varlink *varlink);
DEFINE_CLEANUP(struct varlink *, varlink_free);
DEFINE_CLEANUP(json_t *, json_decref);

/* The process that listened at the socket, which may be a service manager; 0: not known. */
pid_t varlink_listener(const struct varlink *varlink);

/* How long to wait for the replies from here on. */
void varlink_set_timeout(struct varlink *varlink, int timeout_ms);

/* @parameters is taken over; NULL is an object that could not be made: -ENOMEM. */
int varlink_send(struct varlink *varlink, const char *method, json_t *parameters, bool more,
                 struct error *error);

/*
 * The parameters of the next reply; *ret_continues says that another follows. Returns 0, or
 *     -EREMOTEIO  the daemon refused; the sentence is its own
 *     -EPROTO     what came is no reply
 *     -ECONNRESET the daemon closed the connection
 *     -ETIMEDOUT  it did not answer in time
 */
int varlink_receive(struct varlink *varlink, json_t **ret, bool *ret_continues,
                    struct error *error);
