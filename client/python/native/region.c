/*
 * Region: its life and its memory
 */
#include "region.h"

PyTypeObject *region_type;

struct handle *region_handle(PyObject *self) {
    struct region *region = (struct region *)self;

    if (!region->handle) {
        raise_closed("region");
        return NULL;
    }
    if (region->handle->alone) {
        PyErr_SetString(PyExc_RuntimeError, "another thread publishes this stage");
        return NULL;
    }
    return region->handle;
}

int region_take_memory(struct region *region) {
    struct memory *old = (struct memory *)region->memory;
    struct handle *handle = region->handle;
    PyObject *memory;

    if (!handle) /* closed by another thread meanwhile */
        return 0;
    if (old && old->data == shmreg_data(handle->region) &&
        (uint64_t)old->size == shmreg_size(handle->region))
        return 0;
    if (old && old->data != shmreg_data(handle->region)) {
        handle->generation++;
        handle->n_old += handle->n_memories;
        handle->n_memories = 0;
        handle->keeps_old = true;
    }
    memory = memory_new(handle, region->readonly);
    if (!memory)
        return -1;
    region->memory = memory;
    Py_XDECREF((PyObject *)old);
    return 0;
}

PyObject *region_wrap(PyTypeObject *type, struct handle *handle, bool readonly) {
    struct region *region = NULL;

    if (!PyType_IsSubtype(type, region_type))
        PyErr_SetString(PyExc_TypeError, "not a type of regions");
    else
        region = (struct region *)type->tp_alloc(type, 0);
    if (!region) {
        handle_unref(handle);
        return NULL;
    }
    region->handle = handle;
    region->readonly = readonly;
    handle->owner = (PyObject *)region;
    if (region_take_memory(region) < 0)
        Py_CLEAR(region);
    return (PyObject *)region;
}

/* Memory that somebody has a buffer of stays mapped. */
static void let_go(struct region *region) {
    struct handle *handle = region->handle;

    if (!handle)
        return;
    region->handle = NULL;
    handle->owner = NULL;
    Py_CLEAR(region->memory);
    handle_unref(handle);
}

PyObject *region_close(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct region *region = (struct region *)self;

    if (region->handle && region->handle->n_locks > 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the region's lock is held: unlock it before the close");
        return NULL;
    }
    let_go(region);
    Py_RETURN_NONE;
}

static void region_dealloc(PyObject *self) {
    struct region *region = (struct region *)self;
    PyTypeObject *type = Py_TYPE(self);

    let_go(region);
    Py_CLEAR(region->pinned);
    type->tp_free(self);
    Py_DECREF(type);
}

static int pin(struct region *region) {
    int found;

    if (!region->pinned && !(region->pinned = PyList_New(0)))
        return -1;
    found = PySequence_Contains(region->pinned, region->memory);
    return found != 0 ? found : PyList_Append(region->pinned, region->memory);
}

/*
 * The buffer is the memory's. One consumer, numpy.ndarray(buffer=...), gives it back at once and
 * keeps a pointer and a reference to the object that it asked, this one. It is known by
 * PyBUF_ANY_CONTIGUOUS, and what it gets stays mapped as long as this object exists.
 */
static int region_get_buffer(PyObject *self, Py_buffer *view, int flags) {
    struct region *region = (struct region *)self;
    const int sign = PyBUF_ANY_CONTIGUOUS & ~PyBUF_STRIDES;

    view->obj = NULL;
    if (!region_handle(self))
        return -1;
    if ((flags & sign) && pin(region) < 0)
        return -1;
    return memory_get_buffer(region->memory, view, flags);
}

/* Never called, as the buffers are the memory's; but NumPy takes a memoryview of what has it, instead
 * of a pointer as above. */
static void region_release_buffer(PyObject *Py_UNUSED(self), Py_buffer *Py_UNUSED(view)) {
}

static PyType_Slot slots[] = {
    {Py_tp_doc, "One handle to one region: a buffer, and calls of the library."},
    {Py_tp_dealloc, region_dealloc},
    {Py_tp_methods, region_calls},
    {Py_tp_getset, region_attributes},
    {Py_bf_getbuffer, region_get_buffer},
    {Py_bf_releasebuffer, region_release_buffer},
    {0, NULL},
};

PyType_Spec region_spec = {
    .name = "shmreg._shmreg.Region",
    .basicsize = sizeof(struct region),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
