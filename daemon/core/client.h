/*
 * Client: one connection, as the core knows it; attachment: its hold on one segment
 *
 * The faces own the socket, the core owns this. A client whose connection ended with the last
 * daemon process is kept without one (not `connected`) until its process comes back or ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/core/caller.h"
#include "daemon/core/process.h"
#include "daemon/core/quota.h"
#include "daemon/core/session.h"

struct manager;
struct region;
struct segment;
struct stage;

/* Of a connection that this daemon has taken over from the last one. */
struct resumption {
    uint32_t turn;         /* that the client was told of; 0: it connected to this daemon itself */
    bool heard;            /* a request that the last daemon had not read... */
    uint32_t first_serial; /* ...and this is the first one that was heard */
};

struct client {
    struct manager *manager;
    struct caller caller;
    uint64_t id; /* chosen by the client, 0 before HELLO */
    bool connected;
    bool is_resumable; /* takes no notice when the next daemon goes on with its connection */
    bool watches;      /* is to be told when a region that it is attached to changes */
    struct client_session session;
    struct resumption resumption;
    void *face;            /* whatever serves it, which this leaves alone */
    struct charge *charge; /* one connection; NULL without one */
    struct process *process;
    struct process_watch watch; /* of a client that is not connected */
    void *attachments;          /* tsearch(3) tree by id */
    unsigned n_attachments;
    LIST_HEAD(, stage) stages; /* what it has not published yet */
    TAILQ_ENTRY(client) link;
};

struct attachment {
    uint64_t id;
    struct client *client;
    struct region *region;
    struct segment *segment;
    uint32_t access; /* RIGHT_READ or RIGHT_WRITE */
    uint32_t serial; /* of the request that made it; 0 for a stage that was published */
    bool lost; /* the answer was, so the client does not know of it: it ends with the repeat */
    struct charge *charge;       /* NULL once it is lost */
    LIST_ENTRY(attachment) link; /* of the region */
};

struct attachment *client_find_attachment(const struct client *client, uint64_t id);
