/*
 * Connection: the Python object, without what it inherits to
 *
 * connection.c is its life and its news, connection-calls.c what can be asked of it.
 */
#pragma once

#include "native.h"

struct connection {
    PyObject_HEAD struct session *session; /* NULL when it is closed */
};

/* Its session, or NULL with an exception if it is closed. */
struct session *connection_session(PyObject *self);

PyObject *connection_close(PyObject *self, PyObject *unused);
PyObject *connection_fileno(PyObject *self, PyObject *unused);
PyObject *connection_process(PyObject *self, PyObject *unused);

extern PyMethodDef connection_calls[];
