/*
 * The service manager's side: FD store, notifications, sockets it hands over
 *
 * Descriptors pushed here come back after a restart or a crash of the daemon (FDSTORE=1 of
 * sd_notify(3), FileDescriptorStoreMax= of systemd.service(5)). Without a service manager
 * all of it does nothing and says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Descriptors that were handed over at start, by name. */
struct stored_fd {
    char *name;
    int fd; /* -1 once it was taken */
};

struct fdstore {
    struct stored_fd *stored;
    size_t n_stored;
};

/* Collects what the service manager passed (sd_listen_fds_with_names(3)); close-on-exec. */
int fdstore_init(struct fdstore *store);
/* Closes what was not taken. */
void fdstore_deinit(struct fdstore *store);

/* The descriptor of that name, now the caller's; -ENOENT. Two of the same name: the first. */
int fdstore_take(struct fdstore *store, const char *name);

/* True if a service manager is there to keep descriptors ($NOTIFY_SOCKET). */
bool fdstore_available(void);

/*
 * How the places of the store are shared out; there are as many as $FDSTORE says (systemd 254), or as the
 * units have. A client or monitor whose socket is not stored connects again, while memory that is not
 * stored is lost.
 */
enum fdstore_share { FDSTORE_CLIENTS, FDSTORE_MONITORS, FDSTORE_MEMORY };
unsigned fdstore_share(enum fdstore_share share);

/* Keeps a copy of @fd under @name, or lets go of the copies under @name. -EINVAL for a name that
 * systemd would not take; -ENOTCONN without a service manager. */
int fdstore_push(const char *name, int fd);
int fdstore_drop(const char *name);
