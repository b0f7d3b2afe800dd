/*
 * Sessions and handles: who keeps what the library gave, and when it goes back
 *
 * Two rules of shmreg.h are kept here. shmreg_close() is the last call on a handle and must not run
 * beside shmreg_process(). shmreg_drop_old() must not run beside other calls on the handle, nor while
 * a buffer leads to an older version. What cannot be done at once is done by whoever stood in its way.
 */
#include "native.h"

struct session *session_new(shmreg_conn *conn) {
    struct session *session = PyMem_Calloc(1, sizeof(*session));

    if (!session) {
        PyErr_NoMemory();
        return NULL;
    }
    session->conn = conn;
    session->references = 1;
    return session;
}

void session_unref(struct session *session) {
    if (--session->references > 0)
        return;
    shmreg_disconnect(session->conn);
    PyMem_Free(session);
}

struct handle *handle_new(struct session *session, shmreg_region *region) {
    struct handle *handle = PyMem_Calloc(1, sizeof(*handle));

    if (!handle) {
        shmreg_close(region);
        PyErr_NoMemory();
        return NULL;
    }
    session->references++;
    handle->session = session;
    handle->region = region;
    handle->references = 1;
    LIST_INSERT_HEAD(&session->handles, handle, link);
    return handle;
}

struct handle *handle_ref(struct handle *handle) {
    handle->references++;
    return handle;
}

static void handle_close(struct handle *handle) {
    struct session *session = handle->session;

    /* A lock that is held must not lose its page: it and what it needs then stay, until the end. */
    if (handle->n_locks > 0)
        return;
    LIST_REMOVE(handle, link);
    shmreg_close(handle->region);
    PyMem_Free(handle);
    session_unref(session);
}

void handle_unref(struct handle *handle) {
    if (--handle->references > 0)
        return;
    if (handle->session->n_processing == 0) {
        handle_close(handle);
        return;
    }
    LIST_REMOVE(handle, link);
    LIST_INSERT_HEAD(&handle->session->closing, handle, link);
}

void handle_settle(struct handle *handle) {
    if (!handle->keeps_old || handle->n_old > 0 || handle->n_busy > 0)
        return;
    handle->keeps_old = false;
    shmreg_drop_old(handle->region);
}

void handle_begin(struct handle *handle) {
    handle_ref(handle);
    handle->n_busy++;
}

void handle_end(struct handle *handle) {
    handle->n_busy--;
    handle_settle(handle);
    handle_unref(handle);
}

void handle_begin_wait(struct handle *handle) {
    handle_ref(handle);
    handle->n_waits++;
}

void handle_end_wait(struct handle *handle) {
    handle->n_waits--;
    handle_unref(handle);
}

void session_begin_process(struct session *session) {
    session->references++;
    session->n_processing++;
}

void session_end_process(struct session *session) {
    struct handle *handle;

    if (--session->n_processing == 0)
        while ((handle = LIST_FIRST(&session->closing))) {
            LIST_REMOVE(handle, link);
            LIST_INSERT_HEAD(&session->handles, handle, link);
            handle_close(handle);
        }
    session_unref(session);
}
