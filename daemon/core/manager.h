/*
 * Manager: the one place where a region comes to be, changes, and ends
 *
 * Every request of a client or an operator arrives here with the caller it comes from. The manager
 * checks rights and limits, makes the change, records it, and only then returns 0: what was
 * answered survives a kill of the daemon. On any error nothing has changed, and the sentence in
 * @error says which name, which limit, which right. It knows no socket and no JSON protocol.
 */
#pragma once

#include <event2/event.h>
#include <stdint.h>

#include "daemon/core/audit.h"
#include "daemon/core/caller.h"
#include "daemon/core/client.h"
#include "daemon/core/region.h"
#include "daemon/ground/config.h"
#include "daemon/ground/fdstore.h"
#include "proto/error.h"

struct manager;

struct manager_options {
    struct event_base *base;
    const struct config *config;
    const char *runtime_directory; /* volatile registry, status page */
    const char *state_directory;   /* durable registry, file segments, quarantine */
    struct fdstore *fdstore;       /* memfds that the last daemon left */
};

/* Opens registries and status page, loads what they hold, makes it agree with what is in /dev/shm
 * and the state directory, and reaps what is left over. */
int manager_new(const struct manager_options *options, struct manager **ret, struct error *error);
/* Closes everything; regions stay as they are recorded. */
void manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free);

/* Makes the declared regions (see declare.h), after the start: this has workers begin. */
void manager_declare(struct manager *manager);

/* New limits and defaults, and what is declared now; the configuration must outlive the manager or the
 * next call of this. -ENOMEM: nothing has changed. */
int manager_configure(struct manager *manager, const struct config *config);
const struct config *manager_config(const struct manager *manager);
const char *manager_instance(const struct manager *manager);
const char *manager_runtime_directory(const struct manager *manager);
const char *manager_state_directory(const struct manager *manager);
int manager_status_page_fd(const struct manager *manager);
struct quota *manager_quota(struct manager *manager);
struct audit *manager_audit(struct manager *manager);
const struct kept *manager_kept(const struct manager *manager);
struct declarations *manager_declarations(const struct manager *manager);

/*
 * Clients. @pidfd (-1: it is opened by pid) is taken over, on success the caller's groups, too.
 * -EDQUOT, -ENOSPC: the limit on connections.
 */
int manager_add_client(struct manager *manager, struct caller *caller, int pidfd,
                       struct client **ret, struct error *error);
/* The connection ended: its attachments end, too. */
void manager_remove_client(struct manager *manager, struct client *client);
/* HELLO: true when the same process was known by this id before a restart; the client then has the
 * attachments it had. */
bool manager_identify_client(struct manager *manager, struct client *client, uint64_t id);

/* Takes up a client where the last daemon left it: its connection, whose process @caller and @pidfd
 * (taken over, @caller on success) come from, is still there. -ENOENT or -ESRCH: not enough is known
 * of it. @turn: see struct resumption. */
int manager_resume_client(struct manager *manager, struct caller *caller, int pidfd, uint64_t id,
                          uint32_t turn, struct client **ret);

/* Whether the client is told of changes to what it is attached to, also by the next daemon. */
int manager_watch(struct client *client, bool watches, struct error *error);

/* Records what is known of a client that has nothing to be recorded for yet, so that the next daemon
 * can resume it. */
int manager_keep_client(struct client *client, struct error *error);

/*
 * Around all that is done for one request of a client, which is known by its serial (0: by none).
 * What the request changes is recorded as done by it. What it attached before, if it is repeated
 * since the answer was lost, ends with it: what it attaches this time is what the client has.
 */
void manager_begin_request(struct client *client, uint32_t serial, bool repeated);
void manager_end_request(struct client *client, uint32_t serial, bool repeated);

struct region_spec {
    const char *name;
    uint64_t size;
    uint64_t max_size;    /* 0: size */
    enum backing backing; /* 0: as configured, memfd for huge pages */
    enum huge_pages huge_pages;
    enum lifetime lifetime; /* 0: persistent */
    uint32_t seconds;
    uint32_t mode;
    const char *acl;        /* "" for none */
    const char *attributes; /* "" for {} */
    bool sync_block;
    enum durability durability; /* 0: `publish` for a file, `none` for others */
    uint32_t durability_seconds;
    struct request_tag tag; /* zero for none */
};

#define DEFAULT_MODE 0600u
#define MODE_UNSET UINT32_MAX /* as the namespace has it, or DEFAULT_MODE */

/* Creates a region. @client is the one whose process an `owner` region depends on; NULL from the
 * admin socket. -EEXIST, -EINVAL, -EACCES, -EDQUOT, -ENOSPC... If the same tag made it before, that
 * region. */
int manager_create(struct manager *manager, const struct caller *caller, struct client *client,
                   const struct region_spec *spec, struct region **ret, struct error *error);

/* The descriptors that an attachment comes with, which are the caller's to close. */
struct attachment_fds {
    int segment;
    int sync_block; /* -1 if the region has none */
};

/* Creates a region and attaches its creator, or does neither. With @existing_ok, attaches to a
 * region of that name that is there already. */
int manager_create_and_attach(struct manager *manager, struct client *client,
                              const struct region_spec *spec, bool existing_ok, uint32_t access,
                              struct attachment **ret, struct attachment_fds *ret_fds,
                              bool *ret_created, struct error *error);

/* Makes a region of the memory that @fd, which stays the caller's, leads to: see adopted.h. Of the
 * spec, size 0 is all of it. With @access it attaches the client, or does neither; else *ret and
 * *ret_fds are left as they are. */
int manager_adopt(struct manager *manager, struct client *client, const struct region_spec *spec,
                  int fd, uint32_t access, struct attachment **ret, struct attachment_fds *ret_fds,
                  struct error *error);

/* Destroys a region. */
int manager_destroy(struct manager *manager, const struct caller *caller, const char *name,
                    struct error *error);

/* The region, if the caller has any right to it: -EINVAL, -ENOENT, -EACCES. */
int manager_find(struct manager *manager, const struct caller *caller, const char *name,
                 struct region **ret, struct error *error);

/* Attaches to the current version. The attachment is the client's. */
int manager_attach(struct manager *manager, struct client *client, const char *name,
                   uint32_t access, struct attachment **ret, struct attachment_fds *ret_fds,
                   struct error *error);
/* -ENOENT: the client has no such attachment or stage. */
int manager_detach(struct manager *manager, struct client *client, uint64_t attachment_id,
                   struct error *error);
uint32_t manager_slot_version(const struct manager *manager, const struct region *region);

/*
 * A stage: a new segment that nobody else sees until it is published as a version of the region
 * named, or as a new region. Its bytes are charged to the region's owner, and when it is published to
 * who is that then. Of @spec, only size and max_size (0: the region's, or as much as it takes) count
 * for a region that exists.
 */
struct stage;
int manager_stage(struct manager *manager, const struct caller *caller,
                  const struct region_spec *spec, struct stage **ret, struct error *error);
int stage_write(struct stage *stage, uint64_t offset, const void *data, size_t size,
                struct error *error);
/* @expected_version: -ESTALE if the region is at another; 0: never mind. Frees the stage, whatever
 * it returns. */
int manager_publish(struct manager *manager, const struct caller *caller, struct stage *stage,
                    uint32_t expected_version, uint32_t *ret_version, struct error *error);
/* Gives it up: its memory goes with the last mapping. */
void stage_free(struct stage *stage);
DEFINE_CLEANUP(struct stage *, stage_free);

/*
 * A stage of a client, which ends with it, or by manager_detach() with the stage's id. It is charged
 * as an attachment, and becomes one for writing, with the same id, when it is published; after an
 * error of that it is still a stage. *ret_sync_block_fd is -1 if the region has none. The same request again (by the tag of @spec) gives the same
 * stage, and a stage that has been published already is answered so again.
 */
int manager_stage_as_client(struct manager *manager, struct client *client,
                            const struct region_spec *spec, struct stage **ret, int *ret_fd,
                            struct error *error);
int manager_publish_as_client(struct manager *manager, struct client *client, uint64_t stage_id,
                              uint32_t expected_version, struct attachment **ret,
                              int *ret_sync_block_fd, struct error *error);

/* Stages and writes a whole value; or publishes it, too. */
int manager_stage_value(struct manager *manager, const struct caller *caller, const char *name,
                        const void *data, size_t size, uint32_t mode, struct stage **ret,
                        struct error *error);
int manager_put(struct manager *manager, const struct caller *caller, const char *name,
                const void *data, size_t size, uint32_t mode, uint32_t *ret_version,
                struct error *error);

/* The current segment for reading (the caller's reference), after checking the right to read. */
int manager_read(struct manager *manager, const struct caller *caller, const char *name,
                 struct segment **ret, struct error *error);

/* Grows the current version to @size, up to its max_size; every mapping goes on. -EINVAL, -EPERM:
 * it is sealed; -ENOSPC. */
int manager_resize(struct manager *manager, const struct caller *caller, const char *name,
                   uint64_t size, struct error *error);

/* From now on nobody writes to the current version; the next one is not sealed. -EBUSY: somebody
 * still may. */
int manager_seal(struct manager *manager, const struct caller *caller, const char *name,
                 struct error *error);

/* The host is short of memory: ends regions of lifetime `cache` that are idle, the least recently used
 * first, until @percent of the bytes that all of them are charged are given back; at least one, if there is
 * one. Returns how many. */
unsigned manager_relieve_pressure(struct manager *manager, unsigned percent);

int manager_set_access(struct manager *manager, const struct caller *caller, const char *name,
                       const uint32_t *mode, const char *acl, struct error *error);
int manager_set_attributes(struct manager *manager, const struct caller *caller, const char *name,
                           const char *attributes, struct error *error);
/* Whose it is, who pays for it, too, with what its present version takes: for administrators. -EDQUOT,
 * -ENOSPC. */
int manager_set_owner(struct manager *manager, const struct caller *caller, const char *name,
                      uid_t uid, gid_t gid, struct error *error);
/* Not to or from `owner`. A lease runs from now on. */
int manager_set_lifetime(struct manager *manager, const struct caller *caller, const char *name,
                         enum lifetime lifetime, uint32_t seconds, struct error *error);
int manager_set_durability(struct manager *manager, const struct caller *caller, const char *name,
                           enum durability durability, uint32_t seconds, struct error *error);
int manager_renew(struct manager *manager, const struct caller *caller, const char *name,
                  uint32_t seconds, struct error *error);

/* Calls @each for every region in order of name, whatever the caller's rights, or for every client,
 * until it returns something other than 0, which is then returned. @each may not change anything.
 */
int manager_each_region(struct manager *manager, int (*each)(void *data, struct region *region),
                        void *data);
int manager_each_client(struct manager *manager, int (*each)(void *data, struct client *client),
                        void *data);
/* For whoever was refused with -EINPROGRESS: disk_await(). */
struct disk_wait;
int manager_await_disk(struct manager *manager, void (*answered)(void *data), void *data,
                       struct disk_wait **ret);

unsigned manager_n_regions(const struct manager *manager);

/* What happens to regions, for whoever watches. */
#define REGION_EVENTS(X)                                                                           \
    X(CREATED, "created")                                                                          \
    X(PUBLISHED, "published")                                                                      \
    X(CHANGED, "changed")                                                                          \
    X(DESTROYED, "destroyed")                                                                      \
    X(REAPED, "reaped")

enum region_event {
#define X(name, word) REGION_##name,
    REGION_EVENTS(X)
#undef X
};
const char *region_event_word(enum region_event event);

/* Either function may be NULL. */
struct observer {
    /* @region is whole during the call; @reason is a sentence. May not change anything. */
    void (*notice)(struct observer *observer, enum region_event event, const struct region *region,
                   const char *reason);
    /* The region's slot on the status page has moved. Under the same conditions. */
    void (*moved)(struct observer *observer, const struct region *region);
    LIST_ENTRY(observer) link;
};
void manager_observe(struct manager *manager, struct observer *observer);
void manager_unobserve(struct observer *observer);

/* What happened while the manager was made, and since manager_declare(), in order: @told may not change anything. False if there is
 * more than was kept. The @version is the region's, which may have ended. */
typedef void manager_told(void *data, enum region_event event, const struct region *region,
                          uint32_t version, const char *reason);
bool manager_tell_prelude(struct manager *manager, manager_told *told, void *data);
/* Nobody asks for it any more. */
void manager_end_prelude(struct manager *manager);
