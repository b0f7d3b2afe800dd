/*
 * Connection: to a daemon, and the regions that come by it
 *
 * Closed, it takes no more calls; the socket goes with the last region that it gave.
 */
#include "connection.h"

#include <errno.h>
#include <stdlib.h>

struct session *connection_session(PyObject *self) {
    struct connection *connection = (struct connection *)self;

    if (!connection->session)
        raise_closed("connection");
    return connection->session;
}

static int connection_init(PyObject *self, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    struct connection *connection = (struct connection *)self;
    PyObject *path = NULL;
    shmreg_conn *conn;
    int r;

    if (connection->session) {
        PyErr_SetString(PyExc_RuntimeError, "connected already");
        return -1;
    }
    if (!PyArg_ParseTuple(arguments, "|O&", PyUnicode_FSConverter, &path))
        return -1;
    WITHOUT_GIL(r = shmreg_connect(path ? PyBytes_AS_STRING(path) : NULL, &conn));
    Py_XDECREF(path);
    if (r < 0) {
        raise_error(r);
        return -1;
    }
    connection->session = session_new(conn);
    if (!connection->session)
        shmreg_disconnect(conn);
    return connection->session ? 0 : -1;
}

static void let_go(struct connection *connection) {
    struct session *session = connection->session;

    connection->session = NULL;
    if (session)
        session_unref(session);
}

PyObject *connection_close(PyObject *self, PyObject *Py_UNUSED(unused)) {
    let_go((struct connection *)self);
    Py_RETURN_NONE;
}

static void connection_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    let_go((struct connection *)self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_closed(PyObject *self, void *Py_UNUSED(unused)) {
    return PyBool_FromLong(((struct connection *)self)->session == NULL);
}

PyObject *connection_fileno(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct session *session = connection_session(self);
    int r;

    if (!session)
        return NULL;
    session->references++;
    WITHOUT_GIL(r = shmreg_conn_fd(session->conn));
    if (r < 0)
        raise_error(r);
    session_unref(session);
    return r < 0 ? NULL : PyLong_FromLong(r);
}

/* What shmreg_process() reports, gathered without the GIL. */
struct reports {
    struct report {
        const shmreg_region *region;
        uint32_t what;
    } * list;
    size_t count, room;
};

static void on_news(void *data, shmreg_region *region, uint32_t what) {
    struct reports *reports = data;

    if (reports->count == reports->room) {
        size_t room = reports->room ? reports->room * 2 : 16;
        struct report *list = realloc(reports->list, room * sizeof(*list));

        if (!list) /* the region is not current all the same, which whoever waits looks at first */
            return;
        reports->list = list;
        reports->room = room;
    }
    reports->list[reports->count++] = (struct report){region, what};
}

static int by_address(const void *a, const void *b) {
    const struct report *left = a, *right = b;

    return (left->region > right->region) - (left->region < right->region);
}

/* A list of (Region, news). A region that was closed meanwhile is nobody's news any more. */
static PyObject *reports_list(struct session *session, struct reports *reports) {
    PyObject *list = PyList_New(0);
    struct handle *handle;

    if (reports->count == 0)
        return list;
    qsort(reports->list, reports->count, sizeof(*reports->list), by_address);
    LIST_FOREACH (handle, &session->handles, link) {
        struct report key = {.region = handle->region}, *found;
        PyObject *item;

        found = bsearch(&key, reports->list, reports->count, sizeof(key), by_address);
        if (!list || !found || !handle->owner)
            continue;
        item = Py_BuildValue("OI", handle->owner, found->what);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

PyObject *connection_process(PyObject *self, PyObject *Py_UNUSED(unused)) {
    struct session *session = connection_session(self);
    struct reports reports = {0};
    PyObject *list;
    int r;

    if (!session)
        return NULL;
    session_begin_process(session);
    WITHOUT_GIL(r = shmreg_process(session->conn, on_news, &reports));
    list = r < 0 ? raise_error(r) : reports_list(session, &reports);
    free(reports.list);
    session_end_process(session);
    return list;
}

static PyGetSetDef attributes[] = {
    {"closed", get_closed, NULL, "Whether it was closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "One connection to a daemon."},
    {Py_tp_init, connection_init},
    {Py_tp_dealloc, connection_dealloc},
    {Py_tp_methods, connection_calls},
    {Py_tp_getset, attributes},
    {0, NULL},
};

PyType_Spec connection_spec = {
    .name = "shmreg._shmreg.Connection",
    .basicsize = sizeof(struct connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
