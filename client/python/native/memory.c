/*
 * Memory: what a buffer is taken of
 *
 * Whoever has a buffer, or only a pointer and a reference to the object it came from, as NumPy's
 * arrays do, has a reference to a memory, and that keeps the mapping. So nothing has to be counted,
 * and no order of ends leads to an address that is not mapped.
 */
#include "native.h"

PyTypeObject *memory_type;

PyObject *memory_new(struct handle *handle, bool readonly) {
    struct memory *memory = (struct memory *)memory_type->tp_alloc(memory_type, 0);
    uint64_t size = shmreg_size(handle->region);

    if (!memory)
        return NULL;
    memory->handle = handle_ref(handle);
    memory->generation = handle->generation;
    memory->data = shmreg_data(handle->region);
    memory->size = size > PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX : (Py_ssize_t)size;
    memory->readonly = readonly;
    handle->n_memories++;
    return (PyObject *)memory;
}

static void memory_dealloc(PyObject *self) {
    struct memory *memory = (struct memory *)self;
    struct handle *handle = memory->handle;
    PyTypeObject *type = Py_TYPE(self);

    if (handle) {
        if (memory->generation == handle->generation)
            handle->n_memories--;
        else
            handle->n_old--;
        handle_settle(handle);
        handle_unref(handle);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

int memory_get_buffer(PyObject *self, Py_buffer *view, int flags) {
    struct memory *memory = (struct memory *)self;

    return PyBuffer_FillInfo(view, self, memory->data, memory->size, memory->readonly, flags);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, "The memory of one version of a region: what a buffer of it keeps mapped."},
    {Py_tp_dealloc, memory_dealloc},
    {Py_bf_getbuffer, memory_get_buffer},
    {0, NULL},
};

PyType_Spec memory_spec = {
    .name = "shmreg._shmreg.Memory",
    .basicsize = sizeof(struct memory),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
