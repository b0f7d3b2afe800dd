/*
 * What the files of dispatch share: a request under way, and the handlers that are not in
 * dispatch.c.
 */
#pragma once

#include "daemon/faces/dispatch.h"

struct request {
    struct dispatcher *dispatcher;
    struct manager *manager;
    struct client *client;
    const struct wire_message *message;
    struct reply *reply;
    unsigned char *value; /* room for WIRE_VALUE_MAX bytes */
    struct error *error;
    const char *about; /* the name that it came to, of several; else NULL */
};

static inline const char *request_text(const struct request *request, size_t string) {
    return request->message->string[string].data;
}

int request_answer(struct request *request, const void *body, const struct wire_string *strings);

/* Bits and fields that mean nothing yet may mean something one day: they are not ignored now. */
int request_check_unused(struct request *request, uint32_t bits);

/* 0, or -EDQUOT or -ENOSPC when there have been too many requests lately, or -ETOOMANYREFS when there
 * are descriptors enough that the user has not taken. */
int request_check_limits(struct request *request);

/* Whether it was asked before, and then took effect. */
bool request_was_done(const struct request *request);

/* Answers a request that was done already, where that needs no look at anything: true if it did. */
bool request_answer_done(struct request *request, int *ret);

/* Whether nothing is to be done about it, not even an answer: see dispatch-repeat.c. Takes note of what
 * is heard. */
bool request_is_stale(struct client *client, const struct wire_header *header);

/* What the request wants a region to be, with @flags allowed; its strings from @string on are name,
 * rules, attributes. */
int request_read_spec(struct request *request, const struct wire_region_spec *wire, size_t string,
                      uint32_t flags, struct region_spec *ret);

/* The flags that a request for any new region may have. */
#define REQUEST_REGION_FLAGS (WIRE_SYNC_BLOCK | WIRE_HUGE_2M | WIRE_HUGE_1G)

/* WIRE_ATTACHMENT_... of the memory itself. */
uint32_t request_segment_flags(const struct segment *segment);

struct wire_attachment request_describe_attachment(const struct request *request,
                                                   const struct attachment *attachment,
                                                   bool created);

/* They become the reply's. */
void request_add_descriptors(struct request *request, const struct attachment_fds *fds);

/* Makes the reply that says what went wrong with the request of that header. */
void dispatch_error(struct reply *reply, const struct wire_header *header,
                    const struct error *error);

/* What is published when it is on disk, if it has to be: a client's stage, or a value, which is the
 * publication's own until publish() takes it. */
struct publication {
    int (*publish)(struct request *request, struct publication *publication);
    uint64_t stage_id;
    uint32_t expected_version;
    struct stage *value;
};

/* Publishes it, now or when the stage is flushed. */
int request_publish(struct request *request, const struct stage *stage,
                    struct publication *publication);

/* Keeps a request of @size bytes that was refused with -EINPROGRESS for when the disk answers. */
int request_hold(struct request *request, size_t size);

/* The handlers, by file: dispatch-adopt.c, dispatch-memory.c, dispatch-publish.c,
 * dispatch-snapshot.c, dispatch-values.c, dispatch-watch.c. */
int on_adopt(struct request *request);
int on_resize(struct request *request);
int on_seal(struct request *request);
int on_stage(struct request *request);
int on_publish(struct request *request);
int on_snapshot(struct request *request);
int on_put(struct request *request);
int on_get(struct request *request);
int on_watch(struct request *request);
int on_news(struct request *request);
int on_resumed(struct request *request);
