/*
 * Actor: see actor.h.
 */
#include "tests/soak/actor.h"

#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is asked of connect_some_time(), and what came of it. */
struct connecting {
    const struct test_daemon *daemon;
    shmreg_conn *conn;
};

uint64_t actor_random(struct actor *actor, uint64_t bound) {
    actor->random ^= actor->random << 13;
    actor->random ^= actor->random >> 7;
    actor->random ^= actor->random << 17;
    return (actor->random >> 11) % bound;
}

bool actor_once_in(struct actor *actor, unsigned turns) {
    return actor_random(actor, turns) == 0;
}

/* Nobody may be listening at the moment, or the new socket not be open to all yet. */
static bool is_connected(void *data) {
    struct connecting *connecting = data;
    int r = shmreg_connect(connecting->daemon->socket, &connecting->conn);

    ck_assert_msg(r == 0 || r == -ENOENT || r == -ECONNREFUSED || r == -EACCES, "connect: %d: %s",
                  r, shmreg_error_message());
    return r == 0;
}

shmreg_conn *actor_connect(const struct test_daemon *daemon) {
    struct connecting connecting = {.daemon = daemon};

    wait_until(is_connected, &connecting);
    return connecting.conn;
}

void actor_replace(struct actor *actor, shmreg_region *region) {
    shmreg_close(actor->handle->region);
    *actor->handle = (struct handle){.region = region};
}

static unsigned choose_operation(struct actor *actor) {
    unsigned total = 0, i = 0;
    uint64_t choice;

    for (unsigned j = 0; j < actor_n_operations; j++)
        total += actor_operations[j].weight;
    choice = actor_random(actor, total);
    while (choice >= actor_operations[i].weight)
        choice -= actor_operations[i++].weight;
    return i;
}

static bool is_documented(const struct operation *operation, int r) {
    for (unsigned i = 0; i < ACTOR_ERRORS_MAX && operation->errors[i] != 0; i++)
        if (operation->errors[i] == r)
            return true;
    return false;
}

/* A client is left with its handles where it is, as most clients are most of the time. */
static void choose_client(struct actor *actor) {
    if (actor->turns == 0) {
        actor->client = &actor->clients[actor_random(actor, ACTOR_CLIENTS)];
        actor->turns = ACTOR_TURNS;
    }
    actor->turns--;
    actor->handle = &actor->client->handles[actor_random(actor, ACTOR_HANDLES)];
}

static void act(struct actor *actor, struct tally *tally) {
    const struct operation *operation;
    unsigned i = choose_operation(actor);
    int r;

    operation = &actor_operations[i];
    choose_client(actor);
    if (operation->needs_handle && !actor->handle->region)
        return;
    r = operation->run(actor);
    if (r >= 0) {
        tally->done[i]++;
    } else if (is_documented(operation, r)) {
        tally->refused[i]++;
    } else {
        tally->errors++;
        fprintf(stderr, "%s: %s: %s\n", operation->name, strerror(-r), shmreg_error_message());
    }
}

static void leave(struct actor *actor) {
    for (unsigned i = 0; i < ACTOR_CLIENTS; i++)
        shmreg_disconnect(actor->clients[i].conn);
}

void actor_run(const struct test_daemon *daemon, uint64_t seed, struct tally *tally) {
    int descriptors = count_files("/proc/self/fd", "");
    struct actor actor = {.daemon = daemon, .random = seed | 1};

    for (unsigned i = 0; i < ACTOR_CLIENTS; i++)
        actor.clients[i].conn = actor_connect(daemon);
    while (!tally->stop)
        act(&actor, tally);
    leave(&actor);
    ck_assert_int_eq(count_files("/proc/self/fd", ""), descriptors);
}
