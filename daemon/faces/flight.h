/*
 * Flight: descriptors that were sent, and that nobody has taken yet
 *
 * The kernel lets a user have as many under way as his process may have open (unix(7), ETOOMANYREFS),
 * and all of these are the daemon's: who takes none would keep everybody else from getting any. So
 * each user has a share. A socket tells how much memory waits in it, which says how many descriptors
 * that can be at most; it is asked when the share seems to be used up. What an ended connection leaves unread counts on, and so does its place under the
 * limit on connections, until somebody reads it or lets go of the other end.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/core/quota.h"

#define FLIGHT_SHARES 8u      /* of RLIMIT_NOFILE, */
#define FLIGHT_SHARE_MIN 512u /* unless one is less than a few replies */

struct flight_user;
struct lingering;

/* One connection's. */
struct flight {
    struct flights *flights;
    struct flight_user *user; /* NULL: it is not counted */
    int fd;
    unsigned count; /* that may be unread, at most */
    /* Of all messages sent, the one with the most descriptors for its size. */
    unsigned densest_count;
    size_t densest_size;
    LIST_ENTRY(flight) link;
};

struct flights {
    LIST_HEAD(, flight_user) users;
    unsigned share;
    LIST_HEAD(, lingering) lingering; /* what ended connections have left */
    struct event *clock;              /* while there is any */
    bool looks_soon;                  /* it has been set for one that has just ended */
};

/* 0 or -ENOMEM. */
int flights_init(struct flights *flights, struct event_base *base);
/* After every connection has ended. */
void flights_deinit(struct flights *flights);

/* A connection of that user begins; the socket stays its own. */
void flight_begin(struct flights *flights, struct flight *flight, uid_t uid, int fd);
/* So many went with a message of that size. */
void flight_add(struct flight *flight, unsigned count, size_t size);
/* Counts no more than can be unread still. */
void flight_look(struct flight *flight);
/* Whether the user is to take some before there are more for him. */
bool flight_is_full(const struct flight *flight);
/* It is not counted any more, whatever is unread. */
void flight_forget(struct flight *flight);
/* The connection ends. If something is unread, socket and charge are taken over. */
void flight_end(struct flight *flight, int *fd, struct charge **charge);
