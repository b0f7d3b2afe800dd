/*
 * The messages of the client protocol: for each operation of WIRE_OPS the struct of its request and that of
 * its reply.
 *
 * They travel as they are, so none has a hole; what is reserved is 0.
 */
#pragma once

#include <stdint.h>

/* The first message of a connection. A client that comes back after the daemon went away gives the
 * same client_id; if the daemon still knows it, and the process is the same, its attachments are
 * taken over as they were and the reply says WIRE_HELLO_RESUMED. */
struct wire_hello_request {
    uint32_t version;   /* the newest version the client speaks */
    uint32_t features;  /* WIRE_FEATURE_...: what it understands */
    uint64_t client_id; /* random, chosen by the client */
};

/* Understands RESUMED (the client), WIRE_REPEATED (the daemon). */
#define WIRE_FEATURE_RESUME 1u

#define WIRE_HELLO_RESUMED 1u

struct wire_hello_reply {
    uint32_t version;  /* the version both speak from now on */
    uint32_t features; /* those that both have */
    uint64_t client_id;
    uint32_t flags;        /* WIRE_HELLO_RESUMED */
    uint32_t status_slots; /* slots of the status page, whose descriptor comes along */
};

/* Access asked for in CREATE and OPEN. WIRE_NO_ACCESS: create, but do not attach. */
#define WIRE_NO_ACCESS 0u
#define WIRE_READ 1u
#define WIRE_WRITE 2u

#define WIRE_MODE_DEFAULT UINT32_MAX

/* Flags of a region to be made. */
#define WIRE_EXISTING_OK 1u /* CREATE: attach to the region if it is already there */
#define WIRE_SYNC_BLOCK 2u  /* with a sync block */
#define WIRE_HUGE_2M 4u     /* memfd of huge pages, MFD_HUGE_2MB of memfd_create(2) */
#define WIRE_HUGE_1G 8u     /* the same, MFD_HUGE_1GB */

/* What a region shall be. */
struct wire_region_spec {
    uint32_t backing;            /* enum backing, or 0 for the daemon's default */
    uint32_t lifetime;           /* enum lifetime, or 0 for persistent */
    uint32_t seconds;            /* linger of `attached`, duration of `lease` */
    uint32_t mode;               /* 0 to 0666, or WIRE_MODE_DEFAULT */
    uint32_t flags;              /* WIRE_EXISTING_OK, WIRE_SYNC_BLOCK */
    uint32_t durability;         /* enum durability, or 0 for the backing's default */
    uint32_t durability_seconds; /* between two syncs, for `interval` */
    uint32_t reserved;           /* 0 */
    uint64_t size;               /* bytes */
    uint64_t max_size;           /* bytes, 0 for size */
};

struct wire_create_request {
    uint32_t string_length[3]; /* name, access rules, attributes ("" for none) */
    uint32_t access;           /* WIRE_NO_ACCESS, WIRE_READ, WIRE_WRITE */
    struct wire_region_spec spec;
};

/* Flags of an attachment. */
#define WIRE_ATTACHMENT_CREATED 1u    /* this very request created the region */
#define WIRE_ATTACHMENT_SYNC_BLOCK 2u /* the descriptor of its sync block follows its own */
#define WIRE_ATTACHMENT_SEALED 4u     /* nobody writes to it any more */
#define WIRE_ATTACHMENT_HUGE_2M 8u    /* to be mapped in pages of that size */
#define WIRE_ATTACHMENT_HUGE_1G 16u

/* One client's hold on one segment; its descriptor comes along in the same order. */
struct wire_attachment {
    uint64_t region_id;
    uint64_t attachment_id;
    uint64_t size;
    uint64_t max_size;
    uint32_t version;
    uint32_t slot;         /* of the status page */
    uint32_t slot_version; /* what the slot said when the segment was opened */
    uint32_t access;       /* WIRE_READ or WIRE_WRITE */
    uint32_t backing;      /* enum backing */
    uint32_t flags;        /* WIRE_ATTACHMENT_... */
};

/* Replies of CREATE and OPEN: the string is an array of struct wire_attachment. */
struct wire_create_reply {
    uint32_t string_length[1];
    uint32_t count;
};

struct wire_open_request {
    uint32_t string_length[1]; /* the names, each with its NUL */
    uint32_t count;            /* 1 to WIRE_OPEN_MAX: all of them are opened, or none */
    uint32_t access;           /* WIRE_READ or WIRE_WRITE */
    uint32_t reserved;         /* 0 */
};

struct wire_open_reply {
    uint32_t string_length[1];
    uint32_t count;
};

struct wire_detach_request {
    uint64_t attachment_id;
};

struct wire_detach_reply {
    uint64_t reserved;
};

struct wire_destroy_request {
    uint32_t string_length[1]; /* name */
    uint32_t reserved;
};

struct wire_destroy_reply {
    uint64_t reserved;
};

/* Makes the bytes the whole content of the region, in one step. */
struct wire_put_request {
    uint32_t string_length[2]; /* name, value */
    uint32_t flags;            /* WIRE_PUT_CREATE */
    uint32_t mode;             /* of a region this creates, or WIRE_MODE_DEFAULT */
};

#define WIRE_PUT_CREATE 1u /* make the region if it is not there: persistent, default backing */

struct wire_put_reply {
    uint32_t version;
    uint32_t reserved;
};

struct wire_get_request {
    uint32_t string_length[1]; /* name */
    uint32_t capacity;         /* the most bytes the client takes: EMSGSIZE if there are more */
};

struct wire_get_reply {
    uint32_t string_length[1]; /* value */
    uint32_t version;
};

struct wire_renew_request {
    uint32_t string_length[1]; /* name */
    uint32_t seconds;          /* from now on; 0 for the duration the region has */
};

struct wire_renew_reply {
    uint64_t reserved;
};

struct wire_describe_request {
    uint32_t string_length[1]; /* name */
    uint32_t reserved;
};

struct wire_describe_reply {
    uint32_t string_length[3]; /* name, access rules, attributes */
    uint32_t version;
    uint64_t region_id;
    uint64_t size;
    uint64_t max_size;
    int64_t created_usec; /* CLOCK_REALTIME */
    int64_t changed_usec; /* CLOCK_REALTIME, of the newest version */
    uint32_t backing;
    uint32_t lifetime;
    uint32_t seconds;
    uint32_t mode;
    uint32_t owner_uid;
    uint32_t owner_gid;
    uint32_t rights; /* the caller's own: RIGHT_READ... of rights.h */
    uint32_t readers;
    uint32_t writers;
    uint32_t
        remaining_seconds; /* until a lease ends or a linger runs out; UINT32_MAX: not counting */
    uint32_t flags;        /* WIRE_ATTACHMENT_... */
    uint32_t durability;   /* enum durability */
    uint32_t durability_seconds;
    uint32_t reserved;
};

struct wire_set_attributes_request {
    uint32_t string_length[2]; /* name, attributes */
};

struct wire_set_attributes_reply {
    uint64_t reserved;
};

struct wire_set_access_request {
    uint32_t string_length[2]; /* name, access rules */
    uint32_t mode;             /* 0 to 0666, or WIRE_MODE_DEFAULT to leave it */
    uint32_t flags;            /* WIRE_SET_ACL */
};

#define WIRE_SET_ACL 1u /* replace the access rules; else they stay */

struct wire_set_access_reply {
    uint64_t reserved;
};

/* Makes a segment that only this client sees, to be filled and published. For a region that exists,
 * only size and max_size of the spec count. */
struct wire_stage_request {
    uint32_t string_length[3]; /* name, access rules, attributes ("" for none) */
    uint32_t reserved;         /* 0 */
    struct wire_region_spec spec;
};

/* The string is one struct wire_attachment, whose attachment_id is the stage's; region_id and
 * version are 0. */
struct wire_stage_reply {
    uint32_t string_length[1];
    uint32_t count; /* 1 */
};

/* Makes the stage the region's current version, in one step. */
struct wire_publish_request {
    uint64_t stage_id;
    uint32_t expected_version; /* -ESTALE if the region is at another; 0: never mind */
    uint32_t reserved;         /* 0 */
};

/* The string is one struct wire_attachment, for writing: what the stage has become. No descriptor
 * comes along but that of the sync block, if the region has one. */
struct wire_publish_reply {
    uint32_t string_length[1];
    uint32_t count; /* 1 */
};

struct wire_resize_request {
    uint32_t string_length[1]; /* name */
    uint32_t reserved;         /* 0 */
    uint64_t size;             /* bytes: not less than now, not more than max_size */
};

struct wire_resize_reply {
    uint64_t reserved;
};

/* Nobody writes to the current version any more. */
struct wire_seal_request {
    uint32_t string_length[1]; /* name */
    uint32_t reserved;         /* 0 */
};

struct wire_seal_reply {
    uint64_t reserved;
};

/* A new region with the present content of another. */
struct wire_snapshot_request {
    uint32_t string_length[4];    /* source, name, access rules, attributes ("" for none) */
    struct wire_region_spec spec; /* size, max_size and backing 0: as the source */
};

struct wire_snapshot_reply {
    uint64_t done; /* bytes copied so far */
    uint64_t total;
};

/* Makes a region of the memory that the descriptor leads to. */
struct wire_adopt_request {
    uint32_t string_length[3];    /* name, access rules, attributes ("" for none) */
    uint32_t access;              /* WIRE_NO_ACCESS, WIRE_READ, WIRE_WRITE */
    struct wire_region_spec spec; /* size 0: as large as it is; no backing */
};

struct wire_adopt_reply {
    uint32_t string_length[1];
    uint32_t count;
};

/* From now on NEWS is sent after changes of regions that this client is attached to: one message,
 * without saying which, however much has changed; the status page says what. */
struct wire_watch_request {
    uint32_t enable;   /* 0 or 1 */
    uint32_t reserved; /* 0 */
};

struct wire_watch_reply {
    uint64_t reserved;
};

/* As a request it means nothing; its reply, with serial 0, is sent unasked. */
struct wire_news_request {
    uint64_t reserved;
};

struct wire_news_reply {
    uint64_t reserved;
};

/* As a request it means nothing; its reply, with serial 0, is sent unasked: another daemon has taken
 * over this very connection, with all that it had. What was not answered yet is asked again, with
 * WIRE_REPEATED and this turn. */
struct wire_resumed_request {
    uint64_t reserved;
};

struct wire_resumed_reply {
    uint32_t turn; /* 1 to INT32_MAX */
    uint32_t reserved;
};

struct wire_error_reply {
    uint32_t string_length[1]; /* the sentence */
    uint32_t reserved;
};
