/*
 * Raw: the client protocol without the library
 *
 * Sends whatever bytes a test wants, and decodes what comes back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/packet.h"
#include "proto/wire.h"

/* A reply with everything it came with; raw_reply_deinit() closes the descriptors. */
struct raw_reply {
    _Alignas(8) char bytes[WIRE_MESSAGE_MAX];
    struct packet_fds fds;
    struct wire_message message;
};

int raw_connect(const char *path);
/* Says HELLO as that client; returns the flags of the answer. */
uint32_t raw_hello(int fd, uint64_t client_id);
/* Both, as a client of its own. */
int raw_greet(const char *path);

/* A request, encoded: returns its size. */
size_t raw_encode(enum wire_op op, uint32_t serial, const void *body,
                  const struct wire_string *strings, void *buffer);
/* Encodes and sends it. */
void raw_request(int fd, enum wire_op op, uint32_t serial, const void *body,
                 const struct wire_string *strings);

/* The next reply, whatever its status. */
void raw_receive(int fd, struct raw_reply *ret);
void raw_reply_deinit(struct raw_reply *reply);
/* The status of the next reply, which may be to an operation that does not exist. */
int32_t raw_receive_status(int fd);

/* Waits until the daemon has closed the connection; replies that come before are dropped. */
void raw_wait_closed(int fd);
