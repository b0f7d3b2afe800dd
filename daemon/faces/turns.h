/*
 * Turns: who is served before whom
 *
 * A connection that sends more than one request at a time is served after those that wait for each
 * answer, whenever one of them has something, and at least from time to time.
 */
#pragma once

#include <event2/event.h>

enum {
    TURN_FIRST,  /* unused: what libevent serves by default is in the middle */
    TURN_NORMAL, /* everything */
    TURN_LATER,  /* connections that have more waiting */
    TURN_COUNT,
};

/* The loop of a daemon; NULL: no memory. After each event of the last kind it looks for others. */
static inline struct event_base *turns_new_base(void) {
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && event_config_set_max_dispatch_interval(config, NULL, 1, TURN_LATER) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (base && event_base_priority_init(base, TURN_COUNT) < 0) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}
