/*
 * Actor: one process of the soak, which is many clients
 *
 * It has connections of its own, each with a few handles, and goes on doing a random operation on a
 * random one. What operations there are, and which errors each may meet, stands in one table. All
 * actors use the same names, so that they are in each other's way.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/shmreg.h"
#include "tests/support/daemon.h"

#define ACTOR_CLIENTS 25u /* connections of one process */
#define ACTOR_HANDLES 4u  /* of one connection */
#define ACTOR_TURNS 40u   /* operations of one connection before another one has its turn */
#define ACTOR_GROUP 20100 /* of all actors: whoever made a region, the others may manage it */
#define ACTOR_ERRORS_MAX 6
#define ACTOR_OPERATIONS_MAX 32u

struct handle {
    shmreg_region *region;
    uint32_t event; /* the last one seen of its sync block */
};

struct client {
    shmreg_conn *conn;
    struct handle handles[ACTOR_HANDLES];
};

/* One process, and the client and handle whose turn it is. */
struct actor {
    const struct test_daemon *daemon;
    uint64_t random;
    struct client clients[ACTOR_CLIENTS];
    struct client *client;
    unsigned turns; /* that the client still has */
    struct handle *handle;
};

/* What all actors have done, in memory that they share with the test. */
struct tally {
    _Atomic bool stop;
    _Atomic uint64_t errors; /* that are not documented */
    _Atomic uint64_t done[ACTOR_OPERATIONS_MAX];
    _Atomic uint64_t refused[ACTOR_OPERATIONS_MAX]; /* with an error that is */
};

struct operation {
    const char *name;
    int (*run)(struct actor *actor);
    unsigned weight;
    bool needs_handle;
    int errors[ACTOR_ERRORS_MAX]; /* that are documented, and can happen here; ended by 0 */
};

extern const struct operation actor_operations[];
extern const unsigned actor_n_operations;

/* One name that some regions have, number @i of all; NULL when there are no more. */
const char *actor_name(unsigned i, char ret[static 16]);

/* Waits until the daemon, which may be away, has accepted a connection. */
shmreg_conn *actor_connect(const struct test_daemon *daemon);

/* The operations of a process, until @tally says stop; then all is given back, and it is checked that
 * the library has kept nothing. */
void actor_run(const struct test_daemon *daemon, uint64_t seed, struct tally *tally);

/* A number below @bound; whether something that happens once in @turns happens now. */
uint64_t actor_random(struct actor *actor, uint64_t bound);
bool actor_once_in(struct actor *actor, unsigned turns);

/* Closes the handle whose turn it is and puts another, or none, in its place. */
void actor_replace(struct actor *actor, shmreg_region *region);
