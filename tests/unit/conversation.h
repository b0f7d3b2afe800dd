/*
 * Conversation: a client that talks to the dispatcher in bytes, without a socket
 *
 * It is known by a process of its own, and has a world to itself.
 */
#pragma once

#include "daemon/faces/dispatch.h"
#include "tests/unit/world.h"

#define CLIENT_ID 7u
#define SERIAL 100u

struct conversation {
    struct world world;
    struct dispatcher dispatcher;
    struct client *client;
    struct error reason;       /* what dispatch() said of a malformed message */
    struct wire_message reply; /* the last one; leads into dispatcher.reply */
};

/* The one of this test. */
extern struct conversation talk;

/* A client of WORLD_UID that has said hello as CLIENT_ID, or not yet. */
void begin(void);
void begin_before_hello(void);
void end(void);
/* Another client of the same process, before hello, after a restart of the world. */
void begin_again(void);

#define STRINGS(...) ((struct wire_string[]){__VA_ARGS__})

/* Encodes a request into the dispatcher; returns its size. */
size_t encode(uint32_t op, uint32_t flags, uint32_t serial, const void *body,
              const struct wire_string *strings);
/* Dispatches what was encoded; returns the status of the reply, which has to be well-formed. */
int exchange(size_t size);
/* Both. */
int request(uint32_t op, const void *body, const struct wire_string *strings);
/* Decodes what is in the dispatcher as a reply and returns its status. */
int decode_reply(void);

int hello(uint32_t version, uint64_t client_id);
struct wire_create_request create_defaults(uint32_t access);
int create(const char *name, uint32_t access, uint32_t flags);
int open_names(const char *names, size_t length, uint32_t count, uint32_t access);
#define OPEN(names, count, access) open_names(names, sizeof(names), count, access)
int detach(uint64_t id);

/* The attachment that the last reply carries at this place. */
struct wire_attachment attachment(size_t place);
/* Fails unless the reply has this status, these words and no descriptor. */
void expect_error(int status, int code, const char *words);
/* Fails unless the reply has such a descriptor at this place. */
void expect_descriptor(size_t place, int access_mode);
void drop_descriptors(void);
