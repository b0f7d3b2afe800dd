/*
 * Disposal: see disposal.h.
 */
#include "daemon/faces/disposal.h"

#include "daemon/ground/log.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)PTHREAD_STACK_MIN)

/* What one user's thread has to close. The last packet that is taken may be a full one. */
struct backlog {
    LIST_ENTRY(backlog) link;
    uid_t uid;
    unsigned count;
    int fd[DISPOSAL_WAITING_MAX + PACKET_FDS_MAX];
};

/* Threads that are stuck outlive whatever might own them. */
static struct {
    pthread_mutex_t lock;
    LIST_HEAD(, backlog) backlogs;
    unsigned n_backlogs;
} disposal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct backlog *find(uid_t uid) {
    struct backlog *backlog;

    LIST_FOREACH (backlog, &disposal.backlogs, link)
        if (backlog->uid == uid)
            return backlog;
    return NULL;
}

static bool has_room(uid_t uid) {
    const struct backlog *backlog;
    bool room;

    if (uid == DISPOSAL_NOBODY)
        return false;
    pthread_mutex_lock(&disposal.lock);
    backlog = find(uid);
    room =
        backlog ? backlog->count < DISPOSAL_WAITING_MAX : disposal.n_backlogs < DISPOSAL_USERS_MAX;
    pthread_mutex_unlock(&disposal.lock);
    return room;
}

int disposal_receive(uid_t uid, int socket, void *buffer, size_t capacity, struct packet_fds *ret) {
    return has_room(uid) ? packet_receive(socket, buffer, capacity, ret)
                         : packet_receive_bare(socket, buffer, capacity, ret);
}

static void *close_all(void *data) {
    struct backlog *backlog = data;

    pthread_mutex_lock(&disposal.lock);
    while (backlog->count > 0) {
        int fd = backlog->fd[--backlog->count];

        pthread_mutex_unlock(&disposal.lock);
        close(fd);
        pthread_mutex_lock(&disposal.lock);
    }
    LIST_REMOVE(backlog, link);
    disposal.n_backlogs--;
    pthread_mutex_unlock(&disposal.lock);
    free(backlog);
    return NULL;
}

/* Signals are for the loop. */
static bool start_thread(struct backlog *backlog) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    int r;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setsigmask_np(&attributes, &all);
    r = pthread_create(&thread, &attributes, close_all, backlog);
    pthread_attr_destroy(&attributes);
    return r == 0;
}

/* With the lock held. The thread begins with what is added before that is given up. */
static struct backlog *find_or_start(uid_t uid) {
    struct backlog *backlog = find(uid);

    if (backlog)
        return backlog;
    backlog = calloc(1, sizeof(*backlog));
    if (!backlog)
        return NULL;
    backlog->uid = uid;
    if (!start_thread(backlog)) {
        free(backlog);
        return NULL;
    }
    LIST_INSERT_HEAD(&disposal.backlogs, backlog, link);
    disposal.n_backlogs++;
    return backlog;
}

static void close_aside(uid_t uid, int fd) {
    struct backlog *backlog;

    pthread_mutex_lock(&disposal.lock);
    backlog = find_or_start(uid);
    if (backlog)
        backlog->fd[backlog->count++] = fd;
    pthread_mutex_unlock(&disposal.lock);
    /* To lose one is better than to wait. */
    if (!backlog)
        log_warning("no thread to close a descriptor that a client sent: it stays open");
}

void disposal_close(uid_t uid, struct packet_fds *fds) {
    for (size_t i = 0; i < fds->count; i++) {
        if (fcntl(fds->fd[i], F_GET_SEALS) >= 0)
            close(fds->fd[i]);
        else
            close_aside(uid, fds->fd[i]);
    }
    fds->count = 0;
}
