/*
 * Connection: what can be asked of it
 */
#include "connection.h"

#include <fcntl.h>

#define OPTIONS_FORMAT "(O&O&O&O&O&O&O&zzO&O&)"
#define OPTIONS_TARGETS(o)                                                                         \
    to_u32, &(o).flags, to_u32, &(o).backing, to_u32, &(o).lifetime, to_u32, &(o).seconds, to_u32, \
        &(o).mode, to_u32, &(o).map_flags, to_u64, &(o).max_size, &(o).acl, &(o).attributes,       \
        to_u32, &(o).durability, to_u32, &(o).durability_seconds

/* A call that only succeeds or fails; what its arguments point to lives as long as @arguments. */
#define RETURN_CALL(self, call)                                                                    \
    do {                                                                                           \
        struct session *session = connection_session(self);                                        \
        int r_;                                                                                    \
                                                                                                   \
        if (!session)                                                                              \
            return NULL;                                                                           \
        session->references++;                                                                     \
        WITHOUT_GIL(r_ = (call));                                                                  \
        if (r_ < 0)                                                                                \
            raise_error(r_);                                                                       \
        session_unref(session);                                                                    \
        if (r_ < 0)                                                                                \
            return NULL;                                                                           \
        Py_RETURN_NONE;                                                                            \
    } while (0)

/* The Region of what a call gave, None for nothing, or the exception for what it failed with. */
static PyObject *wrap(struct session *session, PyObject *type, int r, shmreg_region *region,
                      bool readonly) {
    struct handle *handle;

    if (r < 0)
        return raise_error(r);
    if (!region)
        Py_RETURN_NONE;
    handle = handle_new(session, region);
    return handle ? region_wrap((PyTypeObject *)type, handle, readonly) : NULL;
}

static bool is_readonly(uint32_t access) {
    return !(access & (SHMREG_WRITE | SHMREG_PRIVATE));
}

enum maker { MAKER_CREATE, MAKER_STAGE };

static PyObject *make(PyObject *self, PyObject *arguments, enum maker maker) {
    struct shmreg_options options = {.struct_size = sizeof(options)};
    struct session *session = connection_session(self);
    shmreg_region *region = NULL;
    PyObject *type, *result;
    const char *name;
    uint64_t size;
    int r;

    if (!session || !PyArg_ParseTuple(arguments, "O!sO&" OPTIONS_FORMAT, &PyType_Type, &type, &name,
                                      to_u64, &size, OPTIONS_TARGETS(options)))
        return NULL;
    session->references++;
    WITHOUT_GIL(r = maker == MAKER_CREATE
                        ? shmreg_create(session->conn, name, size, &options, &region)
                        : shmreg_stage(session->conn, name, size, &options, &region));
    result = wrap(session, type, r, region, false);
    session_unref(session);
    return result;
}

static PyObject *create(PyObject *self, PyObject *arguments) {
    return make(self, arguments, MAKER_CREATE);
}

static PyObject *stage(PyObject *self, PyObject *arguments) {
    return make(self, arguments, MAKER_STAGE);
}

/* The handle of an adopted region may be for reading only; the descriptor tells. */
static PyObject *adopt(PyObject *self, PyObject *arguments) {
    struct shmreg_options options = {.struct_size = sizeof(options)};
    struct session *session = connection_session(self);
    shmreg_region *region = NULL;
    PyObject *type, *result;
    const char *name;
    int fd, r;

    if (!session || !PyArg_ParseTuple(arguments, "O!si" OPTIONS_FORMAT, &PyType_Type, &type, &name,
                                      &fd, OPTIONS_TARGETS(options)))
        return NULL;
    session->references++;
    WITHOUT_GIL(r = shmreg_adopt(session->conn, name, fd, &options, &region));
    result = wrap(session, type, r, region,
                  r == 0 && (fcntl(shmreg_fd(region), F_GETFL) & O_ACCMODE) == O_RDONLY);
    session_unref(session);
    return result;
}

static PyObject *open_one(PyObject *self, PyObject *arguments) {
    struct session *session = connection_session(self);
    shmreg_region *region = NULL;
    PyObject *type, *result;
    const char *name;
    uint32_t access;
    int r;

    if (!session ||
        !PyArg_ParseTuple(arguments, "O!sO&", &PyType_Type, &type, &name, to_u32, &access))
        return NULL;
    session->references++;
    WITHOUT_GIL(r = shmreg_open(session->conn, name, access, &region));
    result = wrap(session, type, r, region, is_readonly(access));
    session_unref(session);
    return result;
}

/* @names is a tuple of str. */
static int take_names(PyObject *names, const char *ret[]) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);

    if (count > SHMREG_OPEN_MAX) {
        PyErr_Format(PyExc_ValueError, "at most %d regions are opened at once", SHMREG_OPEN_MAX);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!(ret[i] = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, i))))
            return -1;
    return 0;
}

static PyObject *open_many(PyObject *self, PyObject *arguments) {
    struct session *session = connection_session(self);
    shmreg_region *regions[SHMREG_OPEN_MAX];
    const char *name[SHMREG_OPEN_MAX];
    PyObject *type, *names, *result;
    size_t count;
    uint32_t access;
    int r;

    if (!session ||
        !PyArg_ParseTuple(arguments, "O!O!O&", &PyType_Type, &type, &PyTuple_Type, &names, to_u32,
                          &access) ||
        take_names(names, name) < 0)
        return NULL;
    count = (size_t)PyTuple_GET_SIZE(names);
    session->references++;
    WITHOUT_GIL(r = shmreg_open_many(session->conn, name, count, access, regions));
    result = r < 0 ? raise_error(r) : PyList_New((Py_ssize_t)count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        PyObject *region = wrap(session, type, 0, regions[i], is_readonly(access));

        if (result && region) {
            PyList_SET_ITEM(result, (Py_ssize_t)i, region);
            continue;
        }
        Py_CLEAR(result);
        Py_XDECREF(region);
    }
    session_unref(session);
    return result;
}

static PyObject *destroy(PyObject *self, PyObject *arguments) {
    const char *name;

    if (!PyArg_ParseTuple(arguments, "s", &name))
        return NULL;
    RETURN_CALL(self, shmreg_destroy(session->conn, name));
}

static PyObject *put(PyObject *self, PyObject *arguments) {
    struct session *session = connection_session(self);
    const char *name;
    Py_buffer data;
    uint32_t mode;
    int r;

    if (!session || !PyArg_ParseTuple(arguments, "sy*O&", &name, &data, to_u32, &mode))
        return NULL;
    session->references++;
    WITHOUT_GIL(r = shmreg_put(session->conn, name, data.buf, (size_t)data.len, mode));
    if (r < 0)
        raise_error(r);
    PyBuffer_Release(&data);
    session_unref(session);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *get(PyObject *self, PyObject *arguments) {
    struct session *session = connection_session(self);
    PyObject *bytes = NULL;
    const char *name;
    char *buffer;
    size_t size;
    int r;

    if (!session || !PyArg_ParseTuple(arguments, "s", &name))
        return NULL;
    buffer = PyMem_Malloc(SHMREG_VALUE_MAX);
    if (!buffer)
        return PyErr_NoMemory();
    session->references++;
    WITHOUT_GIL(r = shmreg_get(session->conn, name, buffer, SHMREG_VALUE_MAX, &size));
    bytes = r < 0 ? raise_error(r) : PyBytes_FromStringAndSize(buffer, (Py_ssize_t)size);
    session_unref(session);
    PyMem_Free(buffer);
    return bytes;
}

static void on_progress(void *data, uint64_t done, uint64_t total) {
    PyGILState_STATE state = PyGILState_Ensure();

    /* A failure is told once the copy has ended, and nothing more is reported then. */
    if (!PyErr_Occurred())
        Py_XDECREF(
            PyObject_CallFunction(data, "KK", (unsigned long long)done, (unsigned long long)total));
    PyGILState_Release(state);
}

static PyObject *snapshot(PyObject *self, PyObject *arguments) {
    struct shmreg_options options = {.struct_size = sizeof(options)};
    struct session *session = connection_session(self);
    const char *source, *name;
    PyObject *progress;
    int r;

    if (!session || !PyArg_ParseTuple(arguments, "ss" OPTIONS_FORMAT "O", &source, &name,
                                      OPTIONS_TARGETS(options), &progress))
        return NULL;
    session->references++;
    WITHOUT_GIL(r = shmreg_snapshot(session->conn, source, name, &options,
                                    progress == Py_None ? NULL : on_progress, progress));
    if (r < 0 && !PyErr_Occurred())
        raise_error(r);
    session_unref(session);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *resize(PyObject *self, PyObject *arguments) {
    const char *name;
    uint64_t size;

    if (!PyArg_ParseTuple(arguments, "sO&", &name, to_u64, &size))
        return NULL;
    RETURN_CALL(self, shmreg_resize(session->conn, name, size));
}

static PyObject *seal(PyObject *self, PyObject *arguments) {
    const char *name;

    if (!PyArg_ParseTuple(arguments, "s", &name))
        return NULL;
    RETURN_CALL(self, shmreg_seal(session->conn, name));
}

static PyObject *renew(PyObject *self, PyObject *arguments) {
    const char *name;
    uint32_t seconds;

    if (!PyArg_ParseTuple(arguments, "sO&", &name, to_u32, &seconds))
        return NULL;
    RETURN_CALL(self, shmreg_renew(session->conn, name, seconds));
}

static PyObject *set_attributes(PyObject *self, PyObject *arguments) {
    const char *name, *json;

    if (!PyArg_ParseTuple(arguments, "ss", &name, &json))
        return NULL;
    RETURN_CALL(self, shmreg_set_attributes(session->conn, name, json));
}

static PyObject *set_access(PyObject *self, PyObject *arguments) {
    const char *name, *acl;
    uint32_t mode;

    if (!PyArg_ParseTuple(arguments, "sO&z", &name, to_u32, &mode, &acl))
        return NULL;
    RETURN_CALL(self, shmreg_set_access(session->conn, name, mode, acl));
}

static PyObject *description_dict(const struct shmreg_description *d) {
    return Py_BuildValue(
        "{sssssssKsKsKsLsLsIsIsIsIsIsIsIsIsIsIsIsIsIsIsO}", "name", d->name, "acl", d->acl,
        "attributes", d->attributes, "id", (unsigned long long)d->id, "size",
        (unsigned long long)d->size, "max_size", (unsigned long long)d->max_size, "created_usec",
        (long long)d->created_usec, "changed_usec", (long long)d->changed_usec, "version",
        d->version, "backing", d->backing, "lifetime", d->lifetime, "seconds", d->seconds,
        "remaining_seconds", d->remaining_seconds, "mode", d->mode, "owner_uid", d->owner_uid,
        "owner_gid", d->owner_gid, "rights", d->rights, "readers", d->readers, "writers",
        d->writers, "flags", d->flags, "durability", d->durability, "durability_seconds",
        d->durability_seconds, "sealed", d->sealed ? Py_True : Py_False);
}

static PyObject *describe(PyObject *self, PyObject *arguments) {
    struct session *session = connection_session(self);
    struct shmreg_description *description = NULL;
    PyObject *result;
    const char *name;
    int r;

    if (!session || !PyArg_ParseTuple(arguments, "s", &name))
        return NULL;
    session->references++;
    WITHOUT_GIL(r = shmreg_describe(session->conn, name, &description));
    result = r < 0 ? raise_error(r) : description_dict(description);
    if (r == 0)
        shmreg_description_free(description);
    session_unref(session);
    return result;
}

PyMethodDef connection_calls[] = {
    {"close", connection_close, METH_NOARGS, "close()"},
    {"fileno", connection_fileno, METH_NOARGS, "fileno() -> int: readable when there is news"},
    {"_process", connection_process, METH_NOARGS, "_process() -> [(Region, news)]"},
    {"_create", create, METH_VARARGS, "_create(type, name, size, options) -> Region"},
    {"_stage", stage, METH_VARARGS, "_stage(type, name, size, options) -> Region"},
    {"_adopt", adopt, METH_VARARGS, "_adopt(type, name, fd, options) -> Region"},
    {"_open", open_one, METH_VARARGS, "_open(type, name, access) -> Region"},
    {"_open_many", open_many, METH_VARARGS, "_open_many(type, names, access) -> [Region]"},
    {"destroy", destroy, METH_VARARGS, "destroy(name): ends a region"},
    {"_put", put, METH_VARARGS, "_put(name, data, mode)"},
    {"get", get, METH_VARARGS, "get(name) -> bytes: the content, in one round trip"},
    {"_snapshot", snapshot, METH_VARARGS, "_snapshot(source, name, options, progress)"},
    {"resize", resize, METH_VARARGS, "resize(name, size): grows a region in place"},
    {"seal", seal, METH_VARARGS, "seal(name): nobody writes to this version any more"},
    {"_renew", renew, METH_VARARGS, "_renew(name, seconds)"},
    {"_set_attributes", set_attributes, METH_VARARGS, "_set_attributes(name, json)"},
    {"_set_access", set_access, METH_VARARGS, "_set_access(name, mode, acl)"},
    {"_describe", describe, METH_VARARGS, "_describe(name) -> dict"},
    {NULL, NULL, 0, NULL},
};
