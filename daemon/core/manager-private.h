/*
 * What the files of the manager share: the manager itself and the steps they have in common.
 */
#pragma once

#include "daemon/core/cache.h"
#include "daemon/core/disk.h"
#include "daemon/core/manager.h"
#include "daemon/core/kept.h"
#include "daemon/core/meta.h"
#include "daemon/core/prelude.h"
#include "daemon/ground/registry.h"
#include "daemon/ground/status.h"
#include "daemon/ground/worker.h"

/* The request of a client that is carried out just now, if any. */
struct request_under_way {
    struct client *client; /* NULL for none, or one of an operator */
    uint32_t serial;
    bool retracted;
};

struct manager {
    struct event_base *base;
    const struct config *config;
    char *runtime_directory, *state_directory;
    char instance[INSTANCE_MAX];
    struct registry *volatile_registry, *durable_registry;
    struct status_page *status;
    struct audit *audit;
    struct quota *quota;
    struct declarations *declarations;
    struct processes *processes;
    struct workers *workers;
    struct segment_places places;
    struct kept kept;
    void *regions; /* tsearch(3) tree by name */
    unsigned n_regions;
    struct cache cache;
    TAILQ_HEAD(, client) clients;
    LIST_HEAD(, observer) observers;
    struct prelude prelude;
    struct request_under_way request;
    uint64_t next_id;      /* of regions, stages and attachments */
    uint64_t reserved_ids; /* ids below are reserved in the registries */
};

/* The registry that has the record of a region of that backing. */
struct registry *manager_registry(const struct manager *manager, enum backing backing);

/* An id that was never used before, also not before a crash. */
int manager_next_id(struct manager *manager, uint64_t *ret, struct error *error);

/* After -EEXIST: somebody else has made a file with the name that the last id gives a segment, as only
 * root can. True if there is a point in trying the next one, which nobody can foresee. */
bool manager_skip_ids(struct manager *manager, unsigned *attempts);

void manager_notify(struct manager *manager, enum region_event event, const struct region *region,
                    const char *reason);

struct region *manager_lookup(const struct manager *manager, const char *name);

/* manager_find() of a region to which the caller has all of @rights. */
int manager_find_with(struct manager *manager, const struct caller *caller, const char *name,
                      uint32_t rights, struct region **ret, struct error *error);

/* Puts a region into the tree of names, which takes the caller's reference; or takes it out. */
int manager_insert(struct manager *manager, struct region *region);
void manager_take_out(struct manager *manager, struct region *region);

/*
 * Makes one change of a region's record, and in the same transaction records that the request under
 * way has taken effect, with the version that its answer tells of.
 *
 * After manager_retract() the commits of this request take back what it did, so it has not.
 */
int manager_commit(struct manager *manager, struct registry *registry,
                   const struct registry_change *change, uint32_t version, struct error *error);
void manager_retract(struct manager *manager);

/* In the durable registry's META: the session of the request that changed it last. */
#define SESSION_COPY_KEY "session"

/* Makes @session the client's; or deletes the record. */
int manager_record_session(struct client *client, const struct client_session *session,
                           struct error *error);
void manager_forget_session(struct client *client);

/* The request that made the region must not make it once more. */
void manager_note_destroyed(const struct region *region);

/* Ends an attachment, and with it the region if nothing else keeps that. */
void manager_end_attachment(struct attachment *attachment);

/* Writes the region's record. */
int manager_record(struct manager *manager, const struct region *region, struct error *error);

/* What the audit is told: see audit.h. @caller may be NULL where nobody wanted the end. */
void manager_audit_created(struct manager *manager, struct region *region);
void manager_audit_ended(struct manager *manager, const struct region *region,
                         const struct caller *caller, enum region_event event, const char *reason);
void manager_audit_changed(struct manager *manager, const struct region *region,
                           const struct caller *caller, enum log_kind kind, const char *what);
void manager_audit_rights(struct manager *manager, const struct region *region,
                          const struct caller *caller, const struct access *old);

/* Notes and tells what @caller has changed about a region: "attributes". */
void manager_announce_change(struct manager *manager, const struct region *region,
                             const struct caller *caller, const char *what);

/* Records a change of which those who are attached must learn, and shows it: the region's slot moves
 * on. On error nothing has moved. The slot of a region is touched by nothing but this and the next
 * five. */
int manager_record_shown(struct manager *manager, struct region *region, struct error *error);

/* The same in two steps, for a change that is made in between. */
int manager_record_move(struct manager *manager, struct region *region, struct error *error);
void manager_show(const struct region *region);

/* Takes a slot for a new region; or the one of a loaded region, or another if that cannot be, and
 * shows what a kill has kept it from saying: @slot_version is what the region was recorded with. */
int manager_take_slot(struct region *region, struct error *error);
int manager_claim_slot(struct region *region, uint32_t slot, uint32_t slot_version,
                       struct error *error);

/* Shows that the region has ended, and gives the slot back. */
void manager_end_slot(struct region *region);

/* Makes the region real: on disk, its lifetime started (for `owner`, of that process), into the
 * tree, its record written. The caller's reference becomes the manager's; on error it stays the
 * caller's, and manager_discard_region() undoes the rest. */
int manager_install(struct manager *manager, struct region *region, struct process *owner,
                    struct error *error);

/* 0 if @access is one that an attachment can have. */
int manager_check_access(uint32_t access, struct error *error);

/* Ends a region: record, name, lifetime, slot. Only attachments keep its memory from now on. On
 * error (the record could not be deleted) it lives on. @caller: who wants it; NULL: nobody did. */
int manager_end_region(struct region *region, const struct caller *caller, enum region_event event,
                       const char *reason, struct error *error);

/* 0 if a region can be like that; @client would own it, @attaches if it is attached at once. */
int manager_check_spec(const struct config *config, const struct region_spec *spec,
                       const struct client *client, bool attaches, struct error *error);

/* Completes what a region shall be and checks it, and that the caller may create that name. *ret
 * becomes NULL, or the region if the request with the spec's tag made it before; -EEXIST if somebody
 * else has. */
int manager_check_new(struct manager *manager, const struct caller *caller,
                      const struct client *client, struct region_spec *spec, bool attaches,
                      struct region **ret, struct error *error);

/* A region of zeroes that is not installed yet, after the check. */
int manager_make_region(struct manager *manager, const struct caller *caller,
                        const struct region_spec *spec, struct region **ret, struct error *error);

/* A region object that is not installed yet: name, charge, rights, slot; no segment. */
int manager_new_region(struct manager *manager, const struct caller *caller,
                       const struct payer *payer, const struct region_spec *spec, uint64_t id,
                       struct region **ret, struct error *error);
/* Gives up a region that was never installed. */
void manager_discard_region(struct region *region);

/* The backing of a region like that. */
enum backing manager_backing(const struct manager *manager, const struct region_spec *spec);

/* A segment whose max_size, in whole pages, is charged. */
int manager_new_segment(struct manager *manager, const struct payer *payer, enum backing backing,
                        enum huge_pages huge_pages, uint64_t id, uint32_t version, uint64_t size,
                        uint64_t max_size, struct segment **ret, struct error *error);

/* segment_write(). Both end regions of lifetime `cache` where no space is left. */
int manager_write_segment(struct manager *manager, const struct segment *segment, uint64_t offset,
                          const void *data, size_t size, struct error *error);

/* Writes the record of a holder, so that it still counts after a restart of the daemon; or ends the
 * attachment, record and all, which is all but the lifetime of its region. */
int manager_record_holder(struct manager *manager, const struct attachment *attachment,
                          struct error *error);
void manager_drop_holder(struct attachment *attachment);

/* Frees a client's stage with its record, but not the name of its segment; or gives it up. */
void manager_forget_stage(struct stage *stage);
void manager_end_stage(struct stage *stage);

/* Ends a client in this process only: its attachments' and stages' records stay. */
void client_forget(struct client *client);

/* A client that was known to the last daemon process and is not connected. @caller is taken over.
 */
int manager_add_holder(struct manager *manager, struct caller *caller, uint64_t client_id,
                       struct process *process, struct client **ret);
struct client *manager_find_holder(const struct manager *manager, uint64_t client_id,
                                   const struct process *process);

/* 0 if the text is a JSON object that is not too long. */
int attributes_check(const char *attributes, struct error *error);
