/*
 * Region: what can be asked of it
 *
 * Times are milliseconds, as in the library; the package around makes seconds of them, and short
 * sleeps of long ones where a signal handler of Python's may have to run.
 */
#include "region.h"

#include <errno.h>
#include <string.h>

static PyObject *none(void) {
    Py_RETURN_NONE;
}

/* None, or the exception for what @call has returned. */
#define RETURN_CALL(self, call)                                                                    \
    do {                                                                                           \
        struct handle *handle = region_handle(self);                                               \
        PyObject *result_;                                                                         \
        int r_;                                                                                    \
                                                                                                   \
        if (!handle)                                                                               \
            return NULL;                                                                           \
        handle_begin(handle);                                                                      \
        WITHOUT_GIL(r_ = (call));                                                                  \
        result_ = r_ < 0 ? raise_error(r_) : none();                                               \
        handle_end(handle);                                                                        \
        return result_;                                                                            \
    } while (0)

/* True if there is news; False if the time has passed. shmreg_drop_old() may run beside it. */
static PyObject *wait(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    int msec, r;

    if (!handle || !PyArg_ParseTuple(arguments, "i", &msec))
        return NULL;
    handle_begin_wait(handle);
    WITHOUT_GIL(r = shmreg_wait(handle->region, msec));
    if (r < 0 && r != -ETIMEDOUT)
        raise_error(r);
    handle_end_wait(handle);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(r == 0);
}

static PyObject *refresh(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct handle *handle = region_handle(self);
    int r;

    if (!handle)
        return NULL;
    handle_begin(handle);
    WITHOUT_GIL(r = shmreg_refresh(handle->region));
    if (r < 0)
        raise_error(r);
    else
        region_take_memory((struct region *)self);
    handle_end(handle);
    return PyErr_Occurred() ? NULL : none();
}

static PyObject *publish(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    uint32_t expected, version = 0;
    int r;

    if (!handle || !PyArg_ParseTuple(arguments, "O&", to_u32, &expected))
        return NULL;
    if (handle->n_busy > 0 || handle->n_waits > 0) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is in a call on this stage");
        return NULL;
    }
    handle_begin(handle);
    handle->alone = true;
    WITHOUT_GIL(r = shmreg_publish(handle->region, expected, &version));
    handle->alone = false;
    if (r < 0)
        raise_error(r);
    handle_end(handle);
    return r < 0 ? NULL : PyLong_FromUnsignedLong(version);
}

/* 0: locked; 1: locked, and its last owner died; 2: the time has passed. */
static PyObject *lock(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    int msec, r;

    if (!handle || !PyArg_ParseTuple(arguments, "i", &msec))
        return NULL;
    handle_begin(handle);
    WITHOUT_GIL(r = shmreg_lock(handle->region, msec));
    if (r == 0 || r == -EOWNERDEAD)
        handle->n_locks++;
    else if (r != -ETIMEDOUT)
        raise_error(r);
    handle_end(handle);
    if (PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(r == 0 ? 0 : r == -EOWNERDEAD ? 1 : 2);
}

static PyObject *unlock(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct handle *handle = region_handle(self);
    int r;

    if (!handle)
        return NULL;
    r = shmreg_unlock(handle->region);
    if (r < 0)
        return raise_error(r);
    if (handle->n_locks > 0)
        handle->n_locks--;
    Py_RETURN_NONE;
}

static PyObject *lock_recovered(PyObject *self, PyObject *Py_UNUSED(unused)) {
    RETURN_CALL(self, shmreg_lock_recovered(handle->region));
}

static PyObject *write_begin(PyObject *self, PyObject *Py_UNUSED(unused)) {
    RETURN_CALL(self, shmreg_write_begin(handle->region));
}

static PyObject *write_end(PyObject *self, PyObject *Py_UNUSED(unused)) {
    RETURN_CALL(self, shmreg_write_end(handle->region));
}

static PyObject *notify(PyObject *self, PyObject *Py_UNUSED(unused)) {
    RETURN_CALL(self, shmreg_notify(handle->region));
}

/* The sequence, or None if the time has passed. */
static PyObject *read_begin(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    uint64_t begun = 0;
    int msec, r;

    if (!handle || !PyArg_ParseTuple(arguments, "i", &msec))
        return NULL;
    handle_begin(handle);
    WITHOUT_GIL(r = shmreg_read_begin(handle->region, msec, &begun));
    if (r < 0 && r != -ETIMEDOUT)
        raise_error(r);
    handle_end(handle);
    if (PyErr_Occurred())
        return NULL;
    return r < 0 ? none() : PyLong_FromUnsignedLongLong(begun);
}

static PyObject *read_retry(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    uint64_t begun;

    if (!handle || !PyArg_ParseTuple(arguments, "O&", to_u64, &begun))
        return NULL;
    return PyBool_FromLong(shmreg_read_retry(handle->region, begun));
}

/* (whether it is another, the event as it is) */
static PyObject *wait_event(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    uint32_t last, event = 0;
    int msec, r;

    if (!handle || !PyArg_ParseTuple(arguments, "O&i", to_u32, &last, &msec))
        return NULL;
    handle_begin_wait(handle);
    WITHOUT_GIL(r = shmreg_wait_event(handle->region, last, msec, &event));
    if (r < 0 && r != -ETIMEDOUT)
        raise_error(r);
    handle_end_wait(handle);
    if (PyErr_Occurred())
        return NULL;
    return Py_BuildValue("OI", r == 0 ? Py_True : Py_False, event);
}

static PyObject *lock_range(PyObject *self, PyObject *arguments) {
    uint64_t offset, length;
    int exclusive, wait_for_it;

    if (!PyArg_ParseTuple(arguments, "O&O&pp", to_u64, &offset, to_u64, &length, &exclusive,
                          &wait_for_it))
        return NULL;
    RETURN_CALL(self, shmreg_lock_range(handle->region, offset, length, exclusive, wait_for_it));
}

static PyObject *unlock_range(PyObject *self, PyObject *arguments) {
    uint64_t offset, length;

    if (!PyArg_ParseTuple(arguments, "O&O&", to_u64, &offset, to_u64, &length))
        return NULL;
    RETURN_CALL(self, shmreg_unlock_range(handle->region, offset, length));
}

static PyObject *flush(PyObject *self, PyObject *arguments) {
    uint64_t offset, length;

    if (!PyArg_ParseTuple(arguments, "O&O&", to_u64, &offset, to_u64, &length))
        return NULL;
    RETURN_CALL(self, shmreg_flush(handle->region, offset, length));
}

struct copy {
    void *to;
    const void *from;
    size_t size;
};

static void copy_access(void *data) {
    const struct copy *copy = data;

    memcpy(copy->to, copy->from, copy->size);
}

static PyObject *copy(PyObject *self, PyObject *arguments) {
    struct handle *handle = region_handle(self);
    struct memory *memory = (struct memory *)((struct region *)self)->memory;
    Py_ssize_t offset, size;
    PyObject *bytes;
    struct copy it;
    int r;

    if (!handle || !PyArg_ParseTuple(arguments, "nn", &offset, &size))
        return NULL;
    if (offset < 0 || size < 0 || offset > memory->size || size > memory->size - offset) {
        PyErr_SetString(PyExc_ValueError, "the range is not within the region");
        return NULL;
    }
    bytes = PyBytes_FromStringAndSize(NULL, size);
    if (!bytes)
        return NULL;
    Py_INCREF(memory);
    handle_begin(handle);
    it = (struct copy){PyBytes_AS_STRING(bytes), (const char *)memory->data + offset, (size_t)size};
    WITHOUT_GIL(r = shmreg_guard(handle->region, copy_access, &it, NULL));
    if (r < 0) {
        Py_CLEAR(bytes);
        raise_error(r);
    }
    handle_end(handle);
    Py_DECREF(memory);
    return bytes;
}

static PyObject *get_file_descriptor(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct handle *handle = region_handle(self);

    return handle ? PyLong_FromLong(shmreg_fd(handle->region)) : NULL;
}

static PyObject *get_version(PyObject *self, void *Py_UNUSED(unused)) {
    struct handle *handle = region_handle(self);

    return handle ? PyLong_FromUnsignedLong(shmreg_version(handle->region)) : NULL;
}

static PyObject *get_size(PyObject *self, void *Py_UNUSED(unused)) {
    struct region *region = (struct region *)self;

    if (!region_handle(self))
        return NULL;
    return PyLong_FromSsize_t(((struct memory *)region->memory)->size);
}

static PyObject *get_is_current(PyObject *self, void *Py_UNUSED(unused)) {
    struct handle *handle = region_handle(self);

    return handle ? PyBool_FromLong(shmreg_is_current(handle->region)) : NULL;
}

static PyObject *get_closed(PyObject *self, void *Py_UNUSED(unused)) {
    return PyBool_FromLong(((struct region *)self)->handle == NULL);
}

static PyObject *get_readonly(PyObject *self, void *Py_UNUSED(unused)) {
    return PyBool_FromLong(((struct region *)self)->readonly);
}

PyMethodDef region_calls[] = {
    {"close", region_close, METH_NOARGS, "close()"},
    {"_wait", wait, METH_VARARGS, "_wait(msec) -> bool"},
    {"refresh", refresh, METH_NOARGS, "refresh(): goes to what the name leads to now"},
    {"_publish", publish, METH_VARARGS, "_publish(expected_version) -> version"},
    {"_lock", lock, METH_VARARGS, "_lock(msec) -> 0, 1 for a dead owner, 2 for a timeout"},
    {"_unlock", unlock, METH_NOARGS, "_unlock()"},
    {"_lock_recovered", lock_recovered, METH_NOARGS, "_lock_recovered()"},
    {"_read_begin", read_begin, METH_VARARGS, "_read_begin(msec) -> int or None"},
    {"read_retry", read_retry, METH_VARARGS, "read_retry(begun) -> bool"},
    {"write_begin", write_begin, METH_NOARGS, "write_begin()"},
    {"write_end", write_end, METH_NOARGS, "write_end()"},
    {"notify", notify, METH_NOARGS, "notify(): wakes who waits for the region's event"},
    {"_wait_event", wait_event, METH_VARARGS, "_wait_event(last, msec) -> (bool, event)"},
    {"_lock_range", lock_range, METH_VARARGS, "_lock_range(offset, length, exclusive, wait)"},
    {"_unlock_range", unlock_range, METH_VARARGS, "_unlock_range(offset, length)"},
    {"_flush", flush, METH_VARARGS, "_flush(offset, length)"},
    {"_copy", copy, METH_VARARGS, "_copy(offset, size) -> bytes"},
    {"fileno", get_file_descriptor, METH_NOARGS, "fileno() -> int: the region's descriptor"},
    {NULL, NULL, 0, NULL},
};

PyGetSetDef region_attributes[] = {
    {"version", get_version, NULL, "The version that is mapped; 0 for a stage.", NULL},
    {"size", get_size, NULL, "Bytes.", NULL},
    {"is_current", get_is_current, NULL, "Whether it is still what it was when opened.", NULL},
    {"closed", get_closed, NULL, "Whether it was closed.", NULL},
    {"readonly", get_readonly, NULL, "Whether its buffers are read-only.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
