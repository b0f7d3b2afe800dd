/*
 * Listener: takes in the connections of a listening socket
 *
 * It never spins: where accept4(2) fails for want of descriptors or memory, connections wait in the
 * kernel's queue for a moment, and it tries again. And they wait for a moment when there are too many
 * at once.
 */
#pragma once

#include <event2/event.h>

#include "proto/cleanup.h"

struct listener;

/* Takes over a connection: non-blocking and close-on-exec. */
typedef void (*listener_accepted)(void *data, int fd);

/* @fd, a listening socket, becomes the listener's own, also on error. 0 or a negative errno. */
int listener_new(struct event_base *base, int fd, listener_accepted accepted, void *data,
                 struct listener **ret);
void listener_free(struct listener *listener);
DEFINE_CLEANUP(struct listener *, listener_free);
