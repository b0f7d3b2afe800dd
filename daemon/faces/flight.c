/*
 * Flight: see flight.h.
 */
#include "daemon/faces/flight.h"

#include "daemon/core/clock.h"
#include "proto/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* A user who takes nothing does not have all his sockets asked with every request. */
#define ASK_AGAIN_USEC (USEC_PER_SEC / 20)

/* A peer that goes takes what is unread along, but not at once. */
static const struct timeval look_first = {.tv_usec = 20000}, look_again = {.tv_sec = 1};

struct flight_user {
    LIST_ENTRY(flight_user) link;
    uid_t uid;
    unsigned count;     /* of all that follow, at most */
    uint64_t full_usec; /* when it was last seen to be true */
    LIST_HEAD(, flight) flights;
};

/* What a message takes of the kernel's memory beside its bytes, at least. */
#define MESSAGE_OVERHEAD 512u

/* What an ended connection has left. */
struct lingering {
    struct flight flight; /* with a socket of its own */
    struct charge *charge;
    LIST_ENTRY(lingering) link;
};

/* Bytes of the kernel's memory in which messages wait to be read. */
static uint64_t unread_memory(const struct flight *flight) {
    int unread;

    return flight->count > 0 && ioctl(flight->fd, SIOCOUTQ, &unread) == 0 && unread > 0
               ? (uint64_t)unread
               : 0;
}

static bool is_unread(const struct flight *flight) {
    return unread_memory(flight) > 0;
}

/* No more descriptors than if all that waits were as full of them as the fullest message. */
static unsigned most_unread(const struct flight *flight) {
    uint64_t memory = unread_memory(flight);

    if (memory == 0)
        return 0;
    return (unsigned)MIN(flight->count, memory * flight->densest_count / flight->densest_size +
                                            flight->densest_count);
}

void flight_forget(struct flight *flight) {
    struct flight_user *user = flight->user;

    if (!user)
        return;
    LIST_REMOVE(flight, link);
    user->count -= flight->count;
    flight->user = NULL;
    if (!LIST_EMPTY(&user->flights))
        return;
    LIST_REMOVE(user, link);
    free(user);
}

static struct flight_user *find(struct flights *flights, uid_t uid) {
    struct flight_user *user;

    LIST_FOREACH (user, &flights->users, link)
        if (user->uid == uid)
            return user;
    user = calloc(1, sizeof(*user));
    if (user) {
        user->uid = uid;
        LIST_INSERT_HEAD(&flights->users, user, link);
    }
    return user;
}

void flight_begin(struct flights *flights, struct flight *flight, uid_t uid, int fd) {
    *flight = (struct flight){.flights = flights, .user = find(flights, uid), .fd = fd};
    if (flight->user)
        LIST_INSERT_HEAD(&flight->user->flights, flight, link);
}

void flight_add(struct flight *flight, unsigned count, size_t size) {
    size_t memory = size + MESSAGE_OVERHEAD;

    if (!flight->user || count == 0)
        return;
    flight->count += count;
    flight->user->count += count;
    if (flight->densest_count * memory >= count * flight->densest_size && flight->densest_size > 0)
        return;
    flight->densest_count = count;
    flight->densest_size = memory;
}

void flight_look(struct flight *flight) {
    unsigned count = most_unread(flight);

    if (!flight->user)
        return;
    flight->user->count -= flight->count - count;
    flight->count = count;
}

bool flight_is_full(const struct flight *flight) {
    struct flight_user *user = flight->user;
    struct flight *each;
    uint64_t now;

    if (!user || user->count < flight->flights->share)
        return false;
    now = clock_usec(CLOCK_MONOTONIC);
    if (now - user->full_usec < ASK_AGAIN_USEC)
        return true;
    LIST_FOREACH (each, &user->flights, link)
        flight_look(each);
    if (user->count < flight->flights->share / 2)
        return false;
    user->full_usec = now;
    return true;
}

static void release(struct lingering *lingering) {
    flight_forget(&lingering->flight);
    close_fd(&lingering->flight.fd);
    charge_release(lingering->charge);
    LIST_REMOVE(lingering, link);
    free(lingering);
}

static void on_clock(int fd, short what, void *data) {
    struct flights *flights = data;
    struct lingering *lingering, *next;

    (void)fd;
    (void)what;
    for (lingering = LIST_FIRST(&flights->lingering); lingering; lingering = next) {
        next = LIST_NEXT(lingering, link);
        if (!is_unread(&lingering->flight))
            release(lingering);
    }
    flights->looks_soon = false;
    if (!LIST_EMPTY(&flights->lingering))
        event_add(flights->clock, &look_again);
}

/* The peer sees the end after what is there to be read. */
static void linger(struct flight *flight, int *fd, struct charge **charge) {
    struct flights *flights = flight->flights;
    struct lingering *lingering = calloc(1, sizeof(*lingering));

    if (!lingering)
        return;
    shutdown(*fd, SHUT_RDWR);
    lingering->flight = *flight;
    lingering->flight.fd = steal_fd(fd);
    lingering->charge = steal_pointer(*charge);
    LIST_INSERT_HEAD(&flight->user->flights, &lingering->flight, link);
    flight->user->count += flight->count; /* until the connection's own is forgotten */
    LIST_INSERT_HEAD(&flights->lingering, lingering, link);
    /* However many end one after the other, the first is not put off. */
    if (!flights->looks_soon && event_add(flights->clock, &look_first) == 0)
        flights->looks_soon = true;
}

void flight_end(struct flight *flight, int *fd, struct charge **charge) {
    if (flight->user && is_unread(flight))
        linger(flight, fd, charge);
    flight_forget(flight);
}

/* Whatever RLIMIT_NOFILE is now: the daemon has raised it at its start. */
int flights_init(struct flights *flights, struct event_base *base) {
    struct rlimit limit = {0, 0};

    *flights = (struct flights){.share = FLIGHT_SHARE_MIN};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / FLIGHT_SHARES > flights->share)
        flights->share = (unsigned)MIN(limit.rlim_cur / FLIGHT_SHARES, UINT_MAX);
    flights->clock = evtimer_new(base, on_clock, flights);
    return flights->clock ? 0 : -ENOMEM;
}

void flights_deinit(struct flights *flights) {
    struct lingering *lingering;

    while ((lingering = LIST_FIRST(&flights->lingering)))
        release(lingering);
    if (flights->clock)
        event_free(flights->clock);
}
