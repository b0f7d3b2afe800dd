/*
 * The service manager's side: see fdstore.h.
 */
#include "daemon/ground/fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "proto/cleanup.h"

#define NAME_MAX_LENGTH 255 /* of systemd */

int fdstore_init(struct fdstore *store) {
    char **names = NULL;
    int n = sd_listen_fds_with_names(true, &names);

    *store = (struct fdstore){0};
    if (n <= 0)
        return n;
    store->stored = calloc((size_t)n, sizeof(*store->stored));
    for (int i = 0; i < n; i++) {
        if (store->stored)
            store->stored[i] = (struct stored_fd){names[i], SD_LISTEN_FDS_START + i};
        else {
            free(names[i]);
            close(SD_LISTEN_FDS_START + i);
        }
    }
    free(names);
    if (!store->stored)
        return -ENOMEM;
    store->n_stored = (size_t)n;
    return 0;
}

void fdstore_deinit(struct fdstore *store) {
    for (size_t i = 0; i < store->n_stored; i++) {
        free(store->stored[i].name);
        close_fd(&store->stored[i].fd);
    }
    free(store->stored);
    *store = (struct fdstore){0};
}

int fdstore_take(struct fdstore *store, const char *name) {
    for (size_t i = 0; i < store->n_stored; i++)
        if (store->stored[i].fd >= 0 && strcmp(store->stored[i].name, name) == 0)
            return steal_fd(&store->stored[i].fd);
    return -ENOENT;
}

bool fdstore_available(void) {
    const char *socket = getenv("NOTIFY_SOCKET");

    return socket && *socket;
}

static unsigned count_places(void) {
    const char *given = getenv("FDSTORE");
    unsigned long places = given ? strtoul(given, NULL, 10) : FDSTORE_MAX;

    return places < FDSTORE_MAX ? (unsigned)places : FDSTORE_MAX;
}

/* A segment that is renamed has two places for a moment. */
unsigned fdstore_share(enum fdstore_share share) {
    unsigned places = count_places(), clients = places / 4, monitors = places / 32;

    switch (share) {
    case FDSTORE_CLIENTS:
        return clients;
    case FDSTORE_MONITORS:
        return monitors;
    default:
        return places - clients - monitors - (places > 0);
    }
}

/* What systemd takes as a name; anything else would be stored as "stored". */
static bool name_is_valid(const char *name) {
    size_t length = strlen(name);

    if (length == 0 || length > NAME_MAX_LENGTH)
        return false;
    for (const char *c = name; *c; c++)
        if (*c < ' ' || *c > '~' || *c == ':')
            return false;
    return true;
}

static int notify(const char *command, const char *name, const int *fd) {
    char message[sizeof("FDSTOREREMOVE=1\nFDNAME=") + NAME_MAX_LENGTH];
    int r;

    if (!name_is_valid(name))
        return -EINVAL;
    snprintf(message, sizeof(message), "%s=1\nFDNAME=%s", command, name);
    r = sd_pid_notify_with_fds(0, false, message, fd, fd ? 1 : 0);
    if (r == 0)
        return -ENOTCONN;
    return r < 0 ? r : 0;
}

int fdstore_push(const char *name, int fd) {
    return notify("FDSTORE", name, &fd);
}

int fdstore_drop(const char *name) {
    return notify("FDSTOREREMOVE", name, NULL);
}
