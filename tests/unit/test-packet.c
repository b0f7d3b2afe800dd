/*
 * Packets over real socket pairs: what is sent arrives, and no descriptor that a peer sends stays
 * open when its packet is refused. Descriptors are counted in /proc/self/fd.
 */
#include "proto/cleanup.h"
#include "proto/packet.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SENDABLE_MAX 253 /* SCM_MAX_FD of the kernel */

static size_t count_descriptors(void) {
    _cleanup_closedir_ DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;

    ck_assert_ptr_nonnull(directory);
    while (readdir(directory))
        count++;
    return count;
}

struct pair {
    int sender, receiver;
};

static struct pair make_pair(int flags) {
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, ends), 0);
    return (struct pair){.sender = ends[0], .receiver = ends[1]};
}

/* Sends one byte with @count descriptors of /dev/null, more than packet_send() would. */
static void send_descriptors(int socket, size_t count, size_t bytes) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * SENDABLE_MAX)] = {0};
    _cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct iovec vector = {.iov_base = "x", .iov_len = bytes};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count),
    };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    ck_assert_int_ge(null, 0);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &null, sizeof(int));
    ck_assert_int_eq((int)sendmsg(socket, &message, 0), (int)bytes);
}

START_TEST(bytes_arrive_as_one_packet) {
    struct pair pair = make_pair(0);
    struct packet_fds fds;
    char buffer[64];

    ck_assert_int_eq(packet_send(pair.sender, "one", 3, NULL, 0), 0);
    ck_assert_int_eq(packet_send(pair.sender, "three", 5, NULL, 0), 0);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 3);
    ck_assert_mem_eq(buffer, "one", 3);
    ck_assert_uint_eq(fds.count, 0);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 5);
    ck_assert_mem_eq(buffer, "three", 5);
}
END_TEST

START_TEST(descriptors_arrive_in_order_and_close_on_exec) {
    struct pair pair = make_pair(0);
    size_t before = count_descriptors();
    int sent[] = {open("/dev/null", O_RDONLY), open("/dev/zero", O_RDONLY)};
    struct packet_fds fds;
    char buffer[8];

    ck_assert_int_eq(packet_send(pair.sender, "x", 1, sent, 2), 0);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 1);
    ck_assert_uint_eq(fds.count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct stat ours, theirs;

        ck_assert_int_ne(fds.fd[i], sent[i]);
        ck_assert(fcntl(fds.fd[i], F_GETFD) & FD_CLOEXEC);
        ck_assert_int_eq(fstat(sent[i], &ours), 0);
        ck_assert_int_eq(fstat(fds.fd[i], &theirs), 0);
        ck_assert_uint_eq(ours.st_rdev, theirs.st_rdev);
        close_fd(&sent[i]);
    }
    packet_fds_close(&fds);
    ck_assert_uint_eq(fds.count, 0);
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(one_descriptor_more_than_any_message_has_is_seen) {
    struct pair pair = make_pair(0);
    size_t before = count_descriptors();
    struct packet_fds fds;
    char buffer[8];

    send_descriptors(pair.sender, PACKET_FDS_MAX, 1);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 1);
    ck_assert_uint_eq(fds.count, PACKET_FDS_MAX);
    packet_fds_close(&fds);
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(too_many_descriptors_are_refused) {
    static const size_t counts[] = {PACKET_FDS_MAX + 1, PACKET_FDS_MAX + 2, 200, SENDABLE_MAX};
    struct pair pair = make_pair(0);
    size_t before = count_descriptors();

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        struct packet_fds fds;
        char buffer[8];

        send_descriptors(pair.sender, counts[i], 1);
        ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), -EBADMSG);
        packet_fds_close(&fds);
        ck_assert_uint_eq(count_descriptors(), before);
    }
}
END_TEST

START_TEST(without_room_for_descriptors_none_is_opened) {
    struct pair pair = make_pair(0);
    size_t before = count_descriptors();
    struct packet_fds fds;
    char buffer[8];

    send_descriptors(pair.sender, 20, 1);
    ck_assert_int_eq(packet_send(pair.sender, "next", 4, NULL, 0), 0);
    ck_assert_int_eq(packet_receive_bare(pair.receiver, buffer, sizeof(buffer), &fds), -EMFILE);
    ck_assert_uint_eq(fds.count, 0);
    ck_assert_uint_eq(count_descriptors(), before);
    ck_assert_int_eq(packet_receive_bare(pair.receiver, buffer, sizeof(buffer), &fds), 4);
}
END_TEST

START_TEST(a_packet_too_large_is_refused_with_its_descriptors) {
    struct pair pair = make_pair(0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    size_t before = count_descriptors();
    char large[100] = {0}, buffer[99];
    struct packet_fds fds;

    ck_assert_int_eq(packet_send(pair.sender, large, sizeof(large), &null, 1), 0);
    ck_assert_int_eq(packet_send(pair.sender, "next", 4, NULL, 0), 0);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), -EBADMSG);
    packet_fds_close(&fds);
    ck_assert_uint_eq(count_descriptors(), before);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 4);
}
END_TEST

START_TEST(descriptors_over_the_limit_of_the_process_are_refused) {
    struct pair pair = make_pair(0);
    size_t before = count_descriptors();
    struct rlimit limit;
    struct packet_fds fds;
    char buffer[8];

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    send_descriptors(pair.sender, 20, 1);
    limit.rlim_cur = (rlim_t)pair.receiver + 10;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), -EMFILE);
    packet_fds_close(&fds);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(an_empty_packet_ends_the_stream) {
    struct pair pair = make_pair(0);
    size_t before = count_descriptors();
    struct packet_fds fds;
    char buffer[8];

    send_descriptors(pair.sender, 3, 0);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 0);
    packet_fds_close(&fds);
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(the_end_of_the_stream_is_zero) {
    struct pair pair = make_pair(0);
    struct packet_fds fds;
    char buffer[8];

    close(pair.sender);
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), 0);
    ck_assert_uint_eq(fds.count, 0);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_an_error_and_no_signal) {
    struct pair pair = make_pair(0);

    close(pair.receiver);
    ck_assert_int_eq(packet_send(pair.sender, "x", 1, NULL, 0), -EPIPE);
}
END_TEST

START_TEST(a_socket_that_does_not_block_says_try_again) {
    struct pair pair = make_pair(SOCK_NONBLOCK);
    struct packet_fds fds;
    char buffer[1024] = {0};
    int r, sent = 0;

    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), -EAGAIN);
    while ((r = packet_send(pair.sender, buffer, sizeof(buffer), NULL, 0)) == 0)
        sent++;
    ck_assert_int_eq(r, -EAGAIN);
    while (sent-- > 0)
        ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds),
                         (int)sizeof(buffer));
    ck_assert_int_eq(packet_receive(pair.receiver, buffer, sizeof(buffer), &fds), -EAGAIN);
}
END_TEST

SUITE_MAIN("packet", bytes_arrive_as_one_packet, descriptors_arrive_in_order_and_close_on_exec,
           one_descriptor_more_than_any_message_has_is_seen, too_many_descriptors_are_refused,
           a_packet_too_large_is_refused_with_its_descriptors,
           descriptors_over_the_limit_of_the_process_are_refused,
           without_room_for_descriptors_none_is_opened, an_empty_packet_ends_the_stream,
           the_end_of_the_stream_is_zero, a_peer_that_is_gone_is_an_error_and_no_signal,
           a_socket_that_does_not_block_says_try_again);
