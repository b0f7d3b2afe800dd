/*
 * Disposal: closing descriptors that came from anybody
 *
 * close(2) waits for the file system's flush, and that of FUSE for a server who may never answer. A
 * descriptor that is not known to be in memory is closed by a thread of its own, which nobody waits for.
 */
#pragma once

#include "proto/packet.h"

/* Closes every descriptor that is still in @fds, sooner or later. */
void disposal_close(struct packet_fds *fds);
