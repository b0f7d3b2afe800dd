/*
 * Dispatch: limits of asking
 *
 * How many requests there may be, and how many descriptors under way to a user who does not take them.
 * A request over a limit is answered with its error, so a client that sends ahead hears it of each.
 * What a connection needs to begin, and what only gives something back, is counted as a request and
 * never refused: a restart of the daemon must not cut off those who come back all at once. Nor is the
 * answer to what was done before refused.
 */
#include "daemon/faces/dispatch-private.h"

#include "daemon/faces/flight.h"

#include <errno.h>

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

static int check_descriptors(const struct request *request) {
    const struct flight *flight = request->dispatcher->flight;

    if (!flight || !wire_op_gives_descriptors(request->message->header.op) ||
        request_was_done(request) || !flight_is_full(flight))
        return 0;
    return error_set(request->error, -ETOOMANYREFS,
                     "too many descriptors are under way to user %u, who has not taken them: no "
                     "more than %u may be",
                     request->client->caller.uid, flight->flights->share);
}

int request_check_limits(struct request *request) {
    int r;

    if (request->dispatcher->was_held)
        return 0;
    r = charge_request(request->client->charge, is_always_served(request), request->error);
    return r == 0 ? check_descriptors(request) : r;
}
