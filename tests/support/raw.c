/*
 * Raw: see raw.h.
 */
#include "tests/support/raw.h"

#include "proto/cleanup.h"
#include "proto/socket-path.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int raw_connect(const char *path) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(socket_address(path, NULL, &address), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

uint32_t raw_hello(int fd, uint64_t client_id) {
    struct wire_hello_request hello = {.version = WIRE_VERSION, .client_id = client_id};
    const struct wire_hello_reply *body;
    struct raw_reply reply;

    raw_request(fd, WIRE_HELLO, 1, &hello, NULL);
    raw_receive(fd, &reply);
    ck_assert_int_eq(reply.message.header.status, 0);
    ck_assert_uint_eq(reply.fds.count, 1);
    raw_reply_deinit(&reply);
    body = reply.message.body;
    return body->flags;
}

int raw_greet(const char *path) {
    int fd = raw_connect(path);

    raw_hello(fd, monotonic_usec());
    return fd;
}

size_t raw_encode(enum wire_op op, uint32_t serial, const void *body,
                  const struct wire_string *strings, void *buffer) {
    struct wire_header header = {.op = (uint16_t)op, .serial = serial};
    int size = wire_encode(&header, body, strings, buffer);

    ck_assert_int_gt(size, 0);
    return (size_t)size;
}

void raw_request(int fd, enum wire_op op, uint32_t serial, const void *body,
                 const struct wire_string *strings) {
    _Alignas(8) char buffer[WIRE_MESSAGE_MAX];
    size_t size = raw_encode(op, serial, body, strings, buffer);

    ck_assert_int_eq(packet_send(fd, buffer, size, NULL, 0), 0);
}

void raw_receive(int fd, struct raw_reply *ret) {
    struct error error = {0};
    int size;

    wait_readable(fd);
    size = packet_receive(fd, ret->bytes, sizeof(ret->bytes), &ret->fds);
    ck_assert_msg(size > 0, "no reply, but the end of the connection: %d", size);
    ck_assert_msg(wire_decode(WIRE_REPLY_SIDE, ret->bytes, (size_t)size, ret->fds.count,
                              &ret->message, &error) == 0,
                  "a malformed reply: %s", error.text);
}

void raw_reply_deinit(struct raw_reply *reply) {
    packet_fds_close(&reply->fds);
}

int32_t raw_receive_status(int fd) {
    _Alignas(8) char bytes[WIRE_MESSAGE_MAX];
    const struct wire_header *header = (const struct wire_header *)bytes;
    struct packet_fds fds;

    wait_readable(fd);
    ck_assert_int_ge(packet_receive(fd, bytes, sizeof(bytes), &fds), (int)sizeof(*header));
    packet_fds_close(&fds);
    ck_assert_uint_eq(header->flags, WIRE_REPLY);
    return header->status;
}

void raw_wait_closed(int fd) {
    _Alignas(8) char bytes[WIRE_MESSAGE_MAX];
    struct packet_fds fds;
    int size;

    do {
        wait_readable(fd);
        size = packet_receive(fd, bytes, sizeof(bytes), &fds);
        if (size > 0)
            packet_fds_close(&fds);
    } while (size > 0);
    ck_assert_msg(size == 0 || size == -ECONNRESET, "the connection failed oddly: %d", size);
}
