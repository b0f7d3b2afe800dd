/*
 * fork(2)
 *
 * A child must not speak on a socket it shares with its parent, nor keep it open: the daemon would
 * not see the parent end. So the child closes it at once, before fork(2) returns, and its first
 * call makes a connection of its own. The short `state` locks are held across the fork, so that the
 * child finds every list whole; a `talk` lock that another thread of the parent holds is of no
 * meaning in the child, and is made anew.
 */
#include "client/connection.h"

#include "client/failure.h"

#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t connections_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, shmreg_conn) connections = LIST_HEAD_INITIALIZER(connections);
static int register_error;

static void before_fork(void) {
    struct shmreg_conn *conn;

    pthread_mutex_lock(&connections_lock);
    LIST_FOREACH (conn, &connections, link)
        pthread_mutex_lock(&conn->state);
}

static void after_fork_in_parent(void) {
    struct shmreg_conn *conn;

    LIST_FOREACH (conn, &connections, link)
        pthread_mutex_unlock(&conn->state);
    pthread_mutex_unlock(&connections_lock);
}

static void after_fork_in_child(void) {
    struct shmreg_conn *conn;
    struct mapping *mapping;

    LIST_FOREACH (conn, &connections, link) {
        TAILQ_FOREACH (mapping, &conn->mappings, link)
            if (mapping->access & SHMREG_NO_FORK)
                mapping_forget_memory(mapping);
        block_list_forget_owners(&conn->blocks);
        pthread_mutex_init(&conn->talk, NULL);
        close_fd(&conn->socket);
        loop_close(&conn->loop);
        conn->linked = false;
        conn->inherited = true;
        pthread_mutex_unlock(&conn->state);
    }
    pthread_mutex_unlock(&connections_lock);
}

static void register_handlers(void) {
    register_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int fork_watch(struct shmreg_conn *conn) {
    pthread_once(&once, register_handlers);
    if (register_error != 0)
        return fail(-register_error, "cannot prepare for fork: %s", strerror(register_error));
    pthread_mutex_lock(&connections_lock);
    LIST_INSERT_HEAD(&connections, conn, link);
    pthread_mutex_unlock(&connections_lock);
    return 0;
}

void fork_unwatch(struct shmreg_conn *conn) {
    pthread_mutex_lock(&connections_lock);
    LIST_REMOVE(conn, link);
    pthread_mutex_unlock(&connections_lock);
}
