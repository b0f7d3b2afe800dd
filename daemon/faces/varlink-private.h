/*
 * What the two files of a Varlink connection share: what comes in (varlink-connection.c) and what goes
 * out (varlink-output.c).
 */
#pragma once

#include <event2/bufferevent.h>

#include "daemon/faces/varlink-connection.h"

struct varlink_connection {
    struct bufferevent *socket;
    struct event *later; /* for the next pass of the loop, after it has looked at all sockets */
    struct event *clock; /* until the first call comes, or the rest of one */
    uint32_t request_timeout;
    const struct varlink_events *events;
    void *data;
    struct varlink_stream *stream; /* the reply that is under way */
    size_t scanned;                /* bytes of input that are known to hold no NUL */
    bool called;                   /* the first call has come */
    bool at_end;                   /* the peer sends nothing more */
    bool finishing;
    const char *cut_off; /* why */
};
