/*
 * Balance: what a daemon says it has, on its admin socket
 */
#pragma once

#include <stdint.h>

#include "tests/support/daemon.h"

struct balance {
    uint64_t clients, regions;
    /* of the whole daemon's limits */
    uint64_t bytes, attachments, connections;
    uint64_t attachments_limit; /* 0: none */
};

void balance_read(const struct test_daemon *daemon, struct balance *ret);
