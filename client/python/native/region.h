/*
 * Region: the Python object, without what it inherits to
 *
 * region.c is its life and its memory, region-calls.c what can be asked of it.
 */
#pragma once

#include "native.h"

struct region {
    PyObject_HEAD struct handle *handle; /* NULL when it is closed */
    PyObject *memory;                    /* the struct memory that buffers are taken of */
    PyObject *pinned;                    /* a list of such: see region_get_buffer() */
    bool readonly;
};

/* Its handle, or NULL with an exception if it is closed. */
struct handle *region_handle(PyObject *self);

/* After a call that may have led the handle elsewhere, or made the region larger. */
int region_take_memory(struct region *region);

PyObject *region_close(PyObject *self, PyObject *unused);

extern PyMethodDef region_calls[];
extern PyGetSetDef region_attributes[];
