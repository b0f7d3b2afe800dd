/*
 * What the parts of the extension module share
 *
 * Python objects come and go in any order: a memoryview outlives its region, a region its connection,
 * another thread is in the middle of a call. So the Python objects own nothing themselves, they hold
 * references: a `session` is a connection to the daemon, a `handle` one handle to a region; each ends
 * with its last reference, and every call that runs without the GIL holds one meanwhile. Counts are
 * changed with the GIL held, so they need no lock.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <shmreg.h>

struct handle {
    struct session *session;
    shmreg_region *region;
    unsigned references;
    PyObject *owner; /* the Region that has it, which clears this as it lets go; or NULL */

    unsigned n_busy;     /* calls on it that shmreg_drop_old() must not run beside */
    unsigned n_waits;    /* calls that it may */
    bool alone;          /* in a call that no other may run beside */
    unsigned generation; /* one more with each version that it is led to */
    unsigned n_memories; /* of the present generation */
    unsigned n_old;      /* memories of those before */
    bool keeps_old;      /* the library has older versions mapped */
    unsigned n_locks;    /* held through it: 0 or 1 */
    LIST_ENTRY(handle) link;
};

struct session {
    shmreg_conn *conn;
    unsigned references;
    unsigned n_processing; /* calls of shmreg_process(), beside which nothing is closed */
    LIST_HEAD(, handle) handles;
    LIST_HEAD(, handle) closing; /* without a reference, to be closed after those calls */
};

struct session *session_new(shmreg_conn *conn);
void session_unref(struct session *session);

/* Takes over @region, also when it fails: NULL with a Python exception. */
struct handle *handle_new(struct session *session, shmreg_region *region);
struct handle *handle_ref(struct handle *handle);
void handle_unref(struct handle *handle);

/* Around a call without the GIL. */
void handle_begin(struct handle *handle);
void handle_end(struct handle *handle);
void handle_begin_wait(struct handle *handle);
void handle_end_wait(struct handle *handle);
void session_begin_process(struct session *session);
void session_end_process(struct session *session);

/* Gives back older versions that no memory is left of, if nobody is in the way. */
void handle_settle(struct handle *handle);

/* Memory: what a buffer is taken of. One version of a region at one size; it keeps its handle. */
struct memory {
    PyObject_HEAD struct handle *handle;
    unsigned generation;
    void *data;
    Py_ssize_t size;
    bool readonly;
};

PyObject *memory_new(struct handle *handle, bool readonly);
int memory_get_buffer(PyObject *self, Py_buffer *view, int flags);

/* The Region of @type that has this handle, which it takes over. */
PyObject *region_wrap(PyTypeObject *type, struct handle *handle, bool readonly);

/* Sets the exception for a negative errno that the library has just returned; returns NULL. */
PyObject *raise_error(int r);
PyObject *raise_closed(const char *what);

/* Converters for PyArg_ParseTuple(), which say what does not fit. */
int to_u32(PyObject *object, void *ret);
int to_u64(PyObject *object, void *ret);

/* Defines NAME_TYPE, the specification of a heap type. */
extern PyType_Spec connection_spec, region_spec, memory_spec;
extern PyTypeObject *memory_type, *region_type;

/* Runs an expression without the GIL. */
#define WITHOUT_GIL(statement)                                                                     \
    do {                                                                                           \
        Py_BEGIN_ALLOW_THREADS;                                                                    \
        statement;                                                                                 \
        Py_END_ALLOW_THREADS;                                                                      \
    } while (0)
