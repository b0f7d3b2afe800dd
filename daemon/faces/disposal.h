/*
 * Disposal: taking and closing descriptors that come from anybody
 *
 * close(2) waits for the file system's flush, and that of FUSE for a server who may never answer, in
 * a sleep that no signal ends. What is not known to be in memory is closed by a thread that nobody
 * waits for: one of each user's, one descriptor after the other. While too many of a user's wait,
 * nothing more is taken from him: the kernel drops what comes without closing it.
 */
#pragma once

#include <sys/types.h>

#include "proto/packet.h"

#define DISPOSAL_WAITING_MAX 64u /* of a user's, from which on none are taken */
#define DISPOSAL_USERS_MAX 64u /* whose threads there are at once; of others none are taken then */

/* Who cannot be served: none are taken from him. */
#define DISPOSAL_NOBODY ((uid_t)-1)

/* packet_receive() from that user. -EMFILE, too, when there were descriptors that are not taken. */
int disposal_receive(uid_t uid, int socket, void *buffer, size_t capacity, struct packet_fds *ret);

/* Closes every descriptor that is still in @fds, sooner or later. */
void disposal_close(uid_t uid, struct packet_fds *fds);
