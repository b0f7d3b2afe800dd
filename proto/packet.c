/*
 * One packet with its descriptors: see packet.h.
 */
#include "proto/packet.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

void packet_fds_close(struct packet_fds *fds) {
    for (size_t i = 0; i < fds->count; i++)
        close_fd(&fds->fd[i]);
    fds->count = 0;
}

int packet_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PACKET_FDS_MAX)];
    struct iovec vector = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t r;

    if (n_fds > 0) {
        struct cmsghdr *rights;

        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * n_fds);
    }
    do
        r = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static void take_descriptors(struct msghdr *message, struct packet_fds *ret) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(ret->fd + ret->count, CMSG_DATA(c), count * sizeof(int));
        ret->count += count;
    }
}

static int receive(int socket, void *buffer, size_t capacity, void *control, size_t control_size,
                   struct packet_fds *ret) {
    struct iovec vector = {.iov_base = buffer, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = control_size,
    };
    ssize_t size;

    ret->count = 0;
    do
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return -errno;

    take_descriptors(&message, ret);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        /* There was room for PACKET_FDS_MAX: if fewer came, the process may not open more. */
        bool starved = !(message.msg_flags & MSG_TRUNC) && ret->count < PACKET_FDS_MAX;

        return starved ? -EMFILE : -EBADMSG;
    }
    /* An empty packet looks like the end of the stream, and is taken for it. */
    return (int)size;
}

int packet_receive(int socket, void *buffer, size_t capacity, struct packet_fds *ret) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PACKET_FDS_MAX)];

    /* Not CMSG_SPACE(): the kernel would put one descriptor more into its padding. */
    return receive(socket, buffer, capacity, control, CMSG_LEN(sizeof(int) * PACKET_FDS_MAX), ret);
}

int packet_receive_bare(int socket, void *buffer, size_t capacity, struct packet_fds *ret) {
    return receive(socket, buffer, capacity, NULL, 0, ret);
}
