/*
 * Model: what the documents say that a daemon does, as a plain table
 *
 * Regions, their segments and who holds them, without memory, records or sockets. An operation first
 * collects its faults: every error code that the manuals name for it as things stand. Without any it
 * changes the table. The daemon's core, which is given the same operation, must refuse it with one of
 * the faults, or carry it out if there are none, and afterwards tell what the table says.
 *
 * The rules come from shmreg.h, shmregd.json(5) and docs/, each function having those of one
 * operation; what the core does to fulfil them is none of the model's business.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/ground/limits.h"
#include "proto/words.h"

/* Three clients, two of them of one user, and an operator, who is root and not connected. */
#define CLIENTS 3u
#define OPERATOR CLIENTS
#define ACTORS (CLIENTS + 1)

/* The names that can be taken, in order; index NAMES and up are names that nothing can have. */
#define NAMES 5u
#define BAD_NAMES 3u
extern const char *const model_names[NAMES + BAD_NAMES];

/* Access rules and attributes, the last of each with a mistake. */
#define ACLS 5u
#define ATTRIBUTES 4u
extern const char *const model_acls[ACLS];
extern const char *const model_attributes[ATTRIBUTES];
extern const uid_t model_uids[ACTORS];

#define HOLDS_MAX 64u
#define SEGMENTS_MAX (HOLDS_MAX + NAMES)
#define NONE UINT32_MAX

#define OPERATIONS(X)                                                                              \
    X(CONNECT)                                                                                     \
    X(DISCONNECT)                                                                                  \
    X(DIE)     /* a client's process ends */                                                       \
    X(RESTART) /* the daemon is killed and started again */                                        \
    X(CREATE)                                                                                      \
    X(OPEN)                                                                                        \
    X(DETACH)                                                                                      \
    X(DESTROY)                                                                                     \
    X(PUT)                                                                                         \
    X(STAGE)                                                                                       \
    X(PUBLISH)                                                                                     \
    X(RESIZE)                                                                                      \
    X(SEAL)                                                                                        \
    X(SET_ACCESS)                                                                                  \
    X(SET_ATTRIBUTES)                                                                              \
    X(RENEW)                                                                                       \
    X(LIMIT) /* the configuration is read again, with another limit */

enum operation_kind {
#define X(name) DO_##name,
    OPERATIONS(X)
#undef X
        OPERATION_COUNT,
};

struct operation {
    enum operation_kind kind;
    unsigned actor, name;
    uint64_t size, max_size;
    uint32_t backing, lifetime, seconds, mode, access;
    unsigned acl, attributes;
    bool attaches, existing_ok, keeps_mode, keeps_acl;
    uint32_t serial;  /* of the request; 0: not to be recognised */
    unsigned hold;    /* which one, whoever has it */
    uint32_t version; /* expected */
    char letter;      /* what is written, where something is */
    enum limit_kind kind_of_limit;
    bool limit_of_all;
    uint64_t limit;
};

struct model_segment {
    uint64_t region; /* 0 while nobody has published it */
    uint32_t version;
    uid_t charged;
    uint32_t backing;
    uint64_t size, max_size;
    bool sealed;
    char letter; /* its first byte */
};

struct model_region {
    uint64_t id; /* 0: there is none; else a number never used again */
    uid_t owner;
    uint32_t mode, lifetime, seconds;
    unsigned acl, attributes;
    unsigned segment; /* the current one */
    uint64_t process; /* whose end ends it, of lifetime `owner` */
    uint64_t creator; /* client and serial of the request that made it */
    uint32_t serial;
};

/* An attachment, or a stage. */
struct model_hold {
    bool used;
    uint64_t id; /* the core's */
    unsigned client, segment;
    uint64_t region; /* for a stage: the one it was made for */
    uint32_t access;
    bool staged;
    struct operation spec; /* of a stage */
};

struct model_client {
    bool connected;
    uint64_t process; /* a number for each process; 0: none */
};

struct model {
    struct model_region regions[NAMES];
    struct model_segment segments[SEGMENTS_MAX];
    struct model_hold holds[HOLDS_MAX];
    struct model_client clients[CLIENTS];
    uint64_t user_limit[LIMIT_KIND_COUNT], total_limit[LIMIT_KIND_COUNT];
    uint64_t last_region, last_process;

    /* Of the last operation: */
    int faults[16];
    unsigned n_faults;
    unsigned hold; /* that it has made or given; NONE */
};

void model_init(struct model *model);

/* True if the operation has no faults; then it is done. */
bool model_step(struct model *model, const struct operation *operation);

/* Whether the operation may be answered so: with one of its faults, or 0. */
bool model_expects(const struct model *model, int result);

/* How much is charged to a user, or (NULL) to all. */
uint64_t model_used(const struct model *model, const uid_t *uid, enum limit_kind kind);

unsigned model_count_holds(const struct model *model, uint64_t region, uint32_t access);
bool model_client_has_holds(const struct model *model, unsigned client);
