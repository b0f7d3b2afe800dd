/*
 * What the files of the admin face share: its connections and its methods.
 */
#pragma once

#include <sys/queue.h>

#include "daemon/faces/admin.h"
#include "daemon/faces/admin-parameters.h"
#include "daemon/faces/varlink-connection.h"
#include "proto/region-name.h"

/* A value that arrives in parts. */
struct upload {
    struct stage *stage; /* NULL: none is under way */
    char name[REGION_NAME_MAX + 1];
    uint64_t size;
    uint64_t next; /* offset of the next part */
    uint32_t expected_version;
};

struct admin_connection {
    struct admin *admin;
    struct manager *manager;
    struct varlink_connection *varlink;
    struct caller caller;
    struct charge *charge;  /* NULL: over the limit, and the first call will be refused */
    struct event *deadline; /* of one over the limit */
    struct upload upload;
    bool can_be_kept; /* a monitor's, if the service manager takes it */
    uint64_t kept_as; /* its number in the FD store; 0: it is not there */
    LIST_ENTRY(admin_connection) link;
};

/* Of those whose sockets are kept for the next daemon. */
struct admin_keeper {
    unsigned n_kept;
    uint64_t next_id;
};

typedef void (*admin_handler)(struct admin_connection *connection, const struct varlink_call *call);

struct admin_method {
    const char *name;
    admin_handler answer;
    struct parameter parameters[16];
    bool administrators; /* nobody else may call it */
};

/* Answers any call. */
void admin_call(struct admin_connection *connection, const struct varlink_call *call);

/* Replies with the error of io.shmreg.Admin that stands for @r; the sentence is @error's. After
 * -EINPROGRESS the call is answered when the disk is. */
void admin_fail(const struct varlink_call *call, int r, const struct error *error);

/* Keeps a call that was refused with -EINPROGRESS for when the disk answers. */
int admin_hold(const struct varlink_call *call);

const struct admin_options *admin_options(const struct admin *admin);
struct admin_keeper *admin_keeper(struct admin *admin);

/* @fd becomes the connection's own, also on error. */
int admin_add_connection(struct admin *admin, int fd, struct admin_connection **ret);
void admin_end_connection(struct admin_connection *connection);

void upload_end(struct upload *upload);

/* The handlers, by file: admin-daemon.c, */
void admin_ping(struct admin_connection *connection, const struct varlink_call *call);
void admin_get_status(struct admin_connection *connection, const struct varlink_call *call);
void admin_list_clients(struct admin_connection *connection, const struct varlink_call *call);
/* admin-reload.c, */
void admin_reload(struct admin_connection *connection, const struct varlink_call *call);
/* admin-list.c, */
void admin_list_regions(struct admin_connection *connection, const struct varlink_call *call);
/* admin-regions.c, */
void admin_get_region(struct admin_connection *connection, const struct varlink_call *call);
void admin_create_region(struct admin_connection *connection, const struct varlink_call *call);
void admin_destroy_region(struct admin_connection *connection, const struct varlink_call *call);
void admin_set_access(struct admin_connection *connection, const struct varlink_call *call);
void admin_set_attributes(struct admin_connection *connection, const struct varlink_call *call);
void admin_resize_region(struct admin_connection *connection, const struct varlink_call *call);
void admin_seal_region(struct admin_connection *connection, const struct varlink_call *call);
void admin_renew_lease(struct admin_connection *connection, const struct varlink_call *call);
/* admin-usage.c, */
void admin_list_usage(struct admin_connection *connection, const struct varlink_call *call);
/* admin-snapshot.c, */
void admin_snapshot_region(struct admin_connection *connection, const struct varlink_call *call);
/* admin-put.c, */
void admin_put_value(struct admin_connection *connection, const struct varlink_call *call);
/* admin-get.c, */
void admin_get_value(struct admin_connection *connection, const struct varlink_call *call);
/* admin-monitor.c. */
void admin_monitor(struct admin_connection *connection, const struct varlink_call *call);

/* On a connection that the last daemon left: goes on with what happened since. */
int admin_resume_monitor(struct admin_connection *connection);

/* Has a monitor's socket kept for the next daemon, or no longer, as its output is now. */
void admin_keep(struct admin_connection *connection);
/* One that may be kept is about to end, while the daemon goes on. */
void admin_end_kept(struct admin_connection *connection);
/* Takes up the monitors that the last daemon left. */
void admin_resume_kept(struct admin *admin, struct fdstore *store);

/* What the parameters want a region to be; its texts live until admin_spec_deinit(). */
struct admin_spec {
    struct region_spec spec;
    char *acl, *attributes;
};
int admin_read_spec(const json_t *parameters, struct admin_spec *ret, struct error *error);
void admin_spec_deinit(struct admin_spec *spec);

/* "0640" as a number, or the default where it is absent; -EINVAL with a sentence. */
int admin_mode(const json_t *parameters, uint32_t otherwise, uint32_t *ret, struct error *error);
