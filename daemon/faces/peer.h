/*
 * Peer: the credentials of the process at the other end of a socket
 */
#pragma once

#include "daemon/core/caller.h"
#include "daemon/ground/config.h"

/*
 * Reads SO_PEERCRED, SO_PEERGROUPS and, where the kernel has it, SO_PEERPIDFD (unix(7)); else the
 * pidfd is opened by pid; and the units that the process belongs to. *ret_pidfd may be -1 when the process has ended already. caller_deinit()
 * frees what @ret points to. Returns 0 or a negative errno.
 */
int peer_read(int socket, const struct config *config, struct caller *ret, int *ret_pidfd);
