/*
 * One packet with its descriptors, on a SOCK_SEQPACKET socket
 *
 * sendmsg(2), recvmsg(2) and SCM_RIGHTS (unix(7)) for both ends. Received descriptors are
 * close-on-exec and belong to the packet until they are taken out of it.
 */
#pragma once

#include <stddef.h>

/* One more than any message may carry, so that too many are seen and refused, not cut off. */
#define PACKET_FDS_MAX 129u

struct packet_fds {
    size_t count;
    int fd[PACKET_FDS_MAX];
};

/* Closes every descriptor that is still in @fds. */
void packet_fds_close(struct packet_fds *fds);

/*
 * Sends @size bytes and, if @n_fds is not 0, copies of the descriptors, which stay the caller's.
 * Returns 0, or a negative errno: -EAGAIN on a non-blocking socket that is full, -EPIPE or
 * -ECONNRESET when the peer is gone (never SIGPIPE), -ETOOMANYREFS when too many descriptors are
 * under way.
 */
int packet_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds);

/*
 * Receives one packet. Returns its size, 0 at the end of the stream or for an empty packet, or
 * a negative errno: -EAGAIN on an empty non-blocking socket, -EBADMSG for a packet that is larger
 * than @capacity or carries more descriptors than PACKET_FDS_MAX, -EMFILE for more of them than the
 * process may open (then the bytes are in @buffer all the same). What came of the descriptors is in
 * @ret, whatever it returns, and the caller's to close.
 */
int packet_receive(int socket, void *buffer, size_t capacity, struct packet_fds *ret);

/* The same without any descriptors. -EMFILE when there were some: the kernel has dropped them. */
int packet_receive_bare(int socket, void *buffer, size_t capacity, struct packet_fds *ret);
