/*
 * Session: the core and the model side by side
 */
#pragma once

#include "tests/fuzz/core.h"
#include "tests/fuzz/model.h"

struct session {
    struct core core;
    struct model model;
    struct client *clients[CLIENTS];
    pid_t processes[CLIENTS]; /* 0: none */
};

/* Gives the operation, which the model has done already, to the core; its result. */
int session_perform(struct session *session, const struct operation *operation);

/* Fails unless the core is as the model says. */
void session_compare(struct session *session);
