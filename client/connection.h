/*
 * Connection: one client of the daemon
 *
 * Two locks. `talk` is held from a request to the end of its reply, so other threads' requests wait
 * for it; what it guards is of no use to a forked child. `state` guards what a child inherits and
 * what shmreg_close() touches; nobody waits for anything while holding it, so neither fork(2) nor
 * a shared open nor a close ever waits for the daemon. Who takes both takes `talk` first. The
 * socket is changed only with both held.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/un.h>

#include "client/block.h"
#include "client/loop.h"
#include "client/mapping.h"
#include "client/page.h"
#include "client/region.h"
#include "client/shmreg.h"
#include "proto/cleanup.h"
#include "proto/packet.h"
#include "proto/wire.h"

struct shmreg_conn {
    pthread_mutex_t talk;
    struct sockaddr_un address;
    uint64_t client_id; /* 0 before the first HELLO */
    uint32_t serial;    /* of the last request */
    uint32_t given_up;  /* serial of one that was sent and then not waited for; 0 for none */
    uint32_t features;  /* of the link */
    uint32_t turn;      /* of the daemon that took over the link; 0 for the one that made it */

    pthread_mutex_t state;
    int socket;
    bool linked;    /* HELLO was answered, and the end of the stream was not seen */
    bool inherited; /* from the process that forked; nothing here is known to the daemon as ours */
    const struct page *page; /* of the last HELLO */
    struct page_list pages;
    struct loop loop;
    LIST_HEAD(, shmreg_region) regions; /* every handle */
    struct block_list blocks;
    TAILQ_HEAD(, shmreg_region) news; /* those that have some */
    struct mapping_table table;
    struct mapping_list mappings; /* every one that a handle leads to */
    struct mapping_list detaches; /* closed, but a daemon killed now might not know */
    struct mapping *next_detach;  /* the first of them that was not sent */
    size_t n_detaches_sent;

    LIST_ENTRY(shmreg_conn) link; /* of all connections, for fork(2) */

    _Alignas(uint64_t) char request[WIRE_MESSAGE_MAX];
    _Alignas(uint64_t) char reply[WIRE_MESSAGE_MAX];
};

/* One request and its reply. */
struct call {
    enum wire_op op;
    const void *body;
    const struct wire_string *strings;
    const int *fd;                       /* to send along; NULL for none */
    void (*progress)(struct call *call); /* for each reply that another one follows; or NULL */

    bool repeated;             /* asked again, since the daemon went away before it answered */
    bool resumed;              /* by another daemon, on the same link */
    bool starved;              /* this process has no room for the descriptors that came */
    struct wire_message reply; /* leads into the connection's buffer: valid while it is locked */
    struct packet_fds fds;
};

/* talk_lock() returns its argument, for a variable with _cleanup_(cleanup_talk_unlock). */
struct shmreg_conn *talk_lock(struct shmreg_conn *conn);
void talk_unlock(struct shmreg_conn *conn);
DEFINE_CLEANUP(struct shmreg_conn *, talk_unlock);

static inline void call_close_fds(struct call *call) {
    packet_fds_close(&call->fds);
}

/*
 * Sends the request and waits for its reply, connecting again if the daemon went away. With `talk`
 * held. Returns 0, or a negative errno of the connection or of the daemon, with its sentence kept.
 */
int connection_call(struct shmreg_conn *conn, struct call *call);

/* A message that nobody asked for. */
static inline bool is_unasked(const struct wire_header *header) {
    return (header->op == WIRE_NEWS || header->op == WIRE_RESUMED) && header->flags == WIRE_REPLY &&
           header->serial == 0;
}

/* Takes note of RESUMED: what is known of slots is to be looked at anew, what was closed is sent
 * again, and a loop is told. */
void connection_resume(struct shmreg_conn *conn, const struct wire_resumed_reply *resumed);

/* One exchange on the socket as it is: the reply may be an error of the daemon. If another daemon
 * takes over the link meanwhile, it is asked again, with that marked in @data. -ECONNRESET when
 * the daemon is gone, -EAGAIN when it takes longer than a time limit of the socket, -EPROTO. */
int connection_exchange(struct shmreg_conn *conn, void *data, size_t size, struct call *call);

/* The sentence of an error reply is kept, its status returned; 0 for any other reply. */
int call_status(const struct call *call);

/* With `state` held: sends what can be sent without waiting. */
void connection_flush_detaches(struct shmreg_conn *conn);
/* With `state` held: frees the first @count. */
void connection_forget_detaches(struct shmreg_conn *conn, size_t count);

/* The link: connects, says HELLO, and restores what is held; no wait lasts beyond @deadline_msec of
 * monotonic_msec(). -ENOENT, -ECONNREFUSED, -EACCES, -ECONNRESET, -EAGAIN while no daemon serves
 * the socket, or what HELLO was answered. */
int link_make(struct shmreg_conn *conn, int64_t deadline_msec);
/* The same, tried again until the deadline; then -ETIMEDOUT. */
int link_make_again(struct shmreg_conn *conn, int64_t deadline_msec);
void link_drop(struct shmreg_conn *conn);

#define LINK_PATIENCE_MSEC 5000

int64_t monotonic_msec(void);
int64_t monotonic_nsec(void);

/* One exchange of a small request in the course of a larger one: the latter's request stays as it
 * is, its reply does not. */
int link_exchange(struct shmreg_conn *conn, struct call *call);

/* Which connections a forked child has to take care of. */
int fork_watch(struct shmreg_conn *conn);
void fork_unwatch(struct shmreg_conn *conn);

/* Turns the reply of OPEN or CREATE into handles, all of them or none; what it fails with are still
 * regions for region_free(). With `talk` held. */
int regions_from_reply(struct call *call, struct shmreg_region *regions[], size_t count);

/* The options with their defaults; -EINVAL for what is not valid, or for flags other than @flags.
 * Then what they ask of the daemon. */
/* Flags of any new region. */
#define OPTIONS_REGION_FLAGS (SHMREG_SYNC_BLOCK | SHMREG_HUGE_2M | SHMREG_HUGE_1G)
int options_complete(const struct shmreg_options *options, uint32_t flags,
                     struct shmreg_options *ret);
/* Carries out CREATE or ADOPT with options that are complete; *region is a new handle, or NULL: then
 * nothing is attached. @fd is what is handed over. */
int region_create(struct shmreg_conn *conn, enum wire_op op, const char *name, uint64_t size,
                  const int *fd, const struct shmreg_options *options,
                  struct shmreg_region **region);
struct wire_region_spec options_spec(const struct shmreg_options *options, uint64_t size);

/* -EINVAL with its sentence for what is no name of a region. */
int check_name(const char *name);
/* The same for what is too long to be sent. */
int check_acl(const char *acl);
int check_attributes(const char *attributes);
