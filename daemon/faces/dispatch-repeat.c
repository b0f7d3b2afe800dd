/*
 * Dispatch: requests that are asked again
 *
 * A client whose daemon went away asks again what was not answered. Three things may have become of
 * such a request, and each has its place:
 *
 * - The last daemon carried it out and could not answer: the session says so (core/session.h), and it
 *   is answered as the success it was.
 * - The last daemon never read it. Where the connection itself was taken over, it is still in the
 *   socket, and is read before the repeat: which is then dropped.
 * - The last daemon read it, and was killed before it had done anything: it is carried out.
 *
 * A repeat that the last daemon did not read is dropped, too: it has that daemon's turn, and what it
 * asks for is asked again with the present one, unless it was answered meanwhile.
 */
#include "daemon/faces/dispatch-private.h"

#include <errno.h>

#define SAYS_NOTHING(name)                                                                         \
    _Static_assert(sizeof(struct wire_##name##_reply) == sizeof(struct wire_destroy_reply), #name)
SAYS_NOTHING(renew);
SAYS_NOTHING(set_attributes);
SAYS_NOTHING(set_access);
SAYS_NOTHING(resize);
SAYS_NOTHING(seal);

static bool is_repeated(const struct wire_header *header) {
    return header->flags & WIRE_REPEATED;
}

bool request_is_stale(struct client *client, const struct wire_header *header) {
    struct resumption *resumption = &client->resumption;

    if (resumption->turn == 0)
        return is_repeated(header) && header->status != 0;
    if (is_repeated(header))
        return (uint32_t)header->status != resumption->turn ||
               (resumption->heard && (int32_t)(header->serial - resumption->first_serial) >= 0);
    /* Serials grow, and the socket keeps the order: what was sent after this one will be heard, too. */
    if (!resumption->heard && header->serial != 0) {
        resumption->heard = true;
        resumption->first_serial = header->serial;
    }
    return false;
}

bool request_was_done(const struct request *request) {
    const struct wire_header *header = &request->message->header;

    return is_repeated(header) && session_has_done(&request->client->session, header->serial);
}

bool request_answer_done(struct request *request, int *ret) {
    const struct client_session *session = &request->client->session;

    if (!request_was_done(request))
        return false;
    switch (request->message->header.op) {
    case WIRE_PUT:
        *ret = request_answer(request, &(struct wire_put_reply){.version = session->version}, NULL);
        return true;
    case WIRE_DESTROY:
    case WIRE_RENEW:
    case WIRE_SET_ATTRIBUTES:
    case WIRE_SET_ACCESS:
    case WIRE_RESIZE:
    case WIRE_SEAL:
        /* Their replies are alike: they say nothing. */
        *ret = request_answer(request, &(struct wire_destroy_reply){0}, NULL);
        return true;
    }
    return false;
}

int on_resumed(struct request *request) {
    return error_set(request->error, -EOPNOTSUPP, "it is the daemon who resumes, by itself");
}
