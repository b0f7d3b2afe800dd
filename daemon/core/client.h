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

struct manager;
struct region;
struct segment;
struct stage;

struct client {
    struct manager *manager;
    struct caller caller;
    uint64_t id; /* chosen by the client, 0 before HELLO */
    bool connected;
    bool watches;         /* is to be told when a region that it is attached to changes */
    void *face;           /* whatever serves it, which this leaves alone */
    struct charge charge; /* one connection */
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
    struct charge charge;
    LIST_ENTRY(attachment) link; /* of the region */
};

struct attachment *client_find_attachment(const struct client *client, uint64_t id);
