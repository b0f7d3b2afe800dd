/*
 * Operations: all that changes something, as a table
 *
 * Each is prepared, asked for and, when the fault has had its way, judged by what is there then.
 */
#pragma once

#include "tests/fault/scene.h"

#define ON_SHM 1u
#define ON_FILE 2u
#define ON_MEMFD 4u
#define ON_ALL (ON_SHM | ON_FILE | ON_MEMFD)

struct operation {
    const char *name;
    unsigned backings; /* by default of the daemon: ON_SHM... */
    unsigned turns;    /* of the loop after the answer, till all is done */
    bool slow;         /* waits for a clock */
    void (*prepare)(struct scene *scene);
    void (*request)(struct scene *scene);
    void (*verify)(struct scene *scene); /* leaves no region behind */
};

/* Each ends with an operation without a name. */
extern const struct operation region_operations[];  /* a region comes, changes, goes */
extern const struct operation content_operations[]; /* its content does */
extern const struct operation stage_operations[];   /* stage and publish */
extern const struct operation hold_operations[];    /* who holds it */
extern const struct operation daemon_operations[];  /* what nobody asks for on the client socket */

/* What more than one of them does. */
void prepare_nothing(struct scene *scene);
/* Somebody sleeps on a value of OLD_SIZE bytes. */
void prepare_value(struct scene *scene);
/* A request that changes nothing and is answered. */
void request_answer(struct scene *scene);
/* Receives the one attachment that was asked for, with its descriptor, which is the caller's. */
int receive_attachment(struct scene *scene);
