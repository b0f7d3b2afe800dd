/*
 * Dispatch: how many requests there may be
 *
 * A request over the limit is answered with its error, so a client that sends ahead hears it of each.
 * What a connection needs to begin, and what only gives something back, is counted and never refused:
 * a restart of the daemon must not cut off those who come back all at once.
 */
#include "daemon/faces/dispatch-private.h"

static bool is_always_served(const struct request *request) {
    switch (request->message->header.op) {
    case WIRE_HELLO:
    case WIRE_DETACH:
    case WIRE_NEWS:
    case WIRE_RESUMED:
        return true;
    }
    return request_was_done(request);
}

int request_check_rate(struct request *request) {
    if (request->dispatcher->was_held)
        return 0;
    return charge_request(request->client->charge, is_always_served(request), request->error);
}
