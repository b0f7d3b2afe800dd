/*
 * The client protocol
 *
 * Messages on the client socket (SOCK_SEQPACKET, so that one packet is one message) are a 16-byte
 * header, one fixed-size struct for the operation, then its strings. Everything is in host byte
 * order: both ends run on one machine. WIRE_OPS below is the only list of operations; structs,
 * names, the decoder and the fuzzers are built from it. docs/protocol.md explains the conversation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"
#include "proto/wire-messages.h"

#define WIRE_VERSION 1u
#define WIRE_MESSAGE_MAX 65536u /* bytes of a whole message */
#define WIRE_STRINGS_MAX 4u     /* strings of one message */
#define WIRE_OPEN_MAX 64u       /* regions of one OPEN */
#define WIRE_VALUE_MAX 61440u   /* bytes of one PUT or GET: 60 KiB */
#define WIRE_ATTRIBUTES_MAX 4096u

/*
 * The operations: X(NAME, name, number, request strings, request descriptors, reply strings,
 * reply descriptors).
 *
 * NEWS and RESUMED are the two messages that nobody asks for: see WATCH, and below.
 *
 * Strings are written as one letter each: 't' text that ends with its only NUL byte, 'b' bytes. A
 * request carries exactly the descriptors stated, a reply at most so many. A struct that has
 * strings starts with their lengths (for text with the NUL), and the strings follow it without
 * gaps. A reply with a negative status is always a struct wire_error_reply, without descriptors.
 */
#define WIRE_OPS(X)                                                                                \
    X(HELLO, hello, 1, "", 0, "", 1)                                                               \
    X(CREATE, create, 2, "ttt", 0, "b", 2)                                                         \
    X(OPEN, open, 3, "b", 0, "b", 2 * WIRE_OPEN_MAX)                                               \
    X(DETACH, detach, 4, "", 0, "", 0)                                                             \
    X(DESTROY, destroy, 5, "t", 0, "", 0)                                                          \
    X(PUT, put, 6, "tb", 0, "", 0)                                                                 \
    X(GET, get, 7, "t", 0, "b", 0)                                                                 \
    X(RENEW, renew, 8, "t", 0, "", 0)                                                              \
    X(DESCRIBE, describe, 9, "t", 0, "ttt", 0)                                                     \
    X(SET_ATTRIBUTES, set_attributes, 10, "tt", 0, "", 0)                                          \
    X(SET_ACCESS, set_access, 11, "tt", 0, "", 0)                                                  \
    X(STAGE, stage, 12, "ttt", 0, "b", 1)                                                          \
    X(PUBLISH, publish, 13, "", 0, "b", 1)                                                         \
    X(RESIZE, resize, 14, "t", 0, "", 0)                                                           \
    X(SEAL, seal, 15, "t", 0, "", 0)                                                               \
    X(SNAPSHOT, snapshot, 16, "tttt", 0, "", 0)                                                    \
    X(ADOPT, adopt, 17, "ttt", 1, "b", 2)                                                          \
    X(WATCH, watch, 18, "", 0, "", 0)                                                              \
    X(NEWS, news, 19, "", 0, "", 0)                                                                \
    X(RESUMED, resumed, 20, "", 0, "", 0)

enum wire_op {
#define X(NAME, name, number, ...) WIRE_##NAME = number,
    WIRE_OPS(X)
#undef X
};

/* Header flags: set in replies; in a request: send no reply, not even an error (for DETACH); in a
 * reply: it tells of progress, and another reply to the same request follows (for SNAPSHOT); in a
 * request: it was sent before, and a daemon that is gone may have carried it out. */
#define WIRE_REPLY 1u
#define WIRE_NO_REPLY 2u
#define WIRE_CONTINUES 4u
#define WIRE_REPEATED 8u

struct wire_header {
    uint16_t op;    /* enum wire_op; a reply repeats it */
    uint16_t flags; /* WIRE_REPLY, WIRE_NO_REPLY, WIRE_CONTINUES, WIRE_REPEATED */
    uint32_t
        serial; /* chosen by the client, each larger than the one before; repeated in the reply */
    int32_t status;  /* 0 or a negative errno in replies; with WIRE_REPEATED the turn; else 0 */
    uint32_t length; /* bytes after the header */
};

enum wire_side {
    WIRE_REQUEST_SIDE,
    WIRE_REPLY_SIDE,
};

/* A decoded message. Pointers lead into the bytes it was decoded from. */
struct wire_message {
    struct wire_header header;
    const void *body; /* the operation's struct; cast it by header.op */
    size_t n_strings;
    struct {
        const char *data;
        size_t length; /* for text without its NUL */
    } string[WIRE_STRINGS_MAX];
};

/*
 * Decodes a message of @size bytes at @data (aligned to 8) that came with @n_fds descriptors.
 *
 * This is the one place where lengths, string bounds, terminators and descriptor counts are
 * checked. Returns 0; -EBADMSG for a malformed message (with the reason in @error); -EOPNOTSUPP for
 * an operation that is not in the table, with the header valid.
 */
int wire_decode(enum wire_side side, const void *data, size_t size, size_t n_fds,
                struct wire_message *ret, struct error *error);

/* A string to encode; for text, leave length 0 and data a C string. */
struct wire_string {
    const void *data;
    size_t length;
};

/*
 * Encodes a message into @buffer of WIRE_MESSAGE_MAX bytes. @header needs op, serial, status and
 * flags; @body is the operation's struct (its string lengths are filled in), @strings its strings
 * in order. Returns the size of the message, or -EMSGSIZE when it does not fit.
 */
int wire_encode(const struct wire_header *header, const void *body,
                const struct wire_string *strings, void *buffer);

/* Encodes the reply that says what went wrong, to the request with this header. */
int wire_encode_error(const struct wire_header *request, const struct error *error, void *buffer);

/* "open" for WIRE_OPEN; NULL for a number that is no operation. */
const char *wire_op_name(uint32_t op);
/* Whether a reply to it may carry descriptors; of a number that is none: false. */
bool wire_op_gives_descriptors(uint32_t op);
