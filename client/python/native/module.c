/*
 * The extension module shmreg._shmreg: libshmreg for the package around it, which has the manual
 *
 * It speaks in numbers and in what C has; words, defaults and everything that can be said in Python
 * are the package's. What it must do is keep memory mapped as long as anything leads to it.
 */
#include "native.h"

static PyObject *make_error; /* shmreg._errors.make_error(errno, text) */

PyObject *raise_error(int r) {
    PyObject *error = PyObject_CallFunction(make_error, "is", -r, shmreg_error_message());

    if (!error)
        return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

PyObject *raise_closed(const char *what) {
    PyErr_Format(PyExc_ValueError, "the %s is closed", what);
    return NULL;
}

int to_u64(PyObject *object, void *ret) {
    PyObject *index = PyNumber_Index(object);
    unsigned long long value;

    if (!index)
        return 0;
    value = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "%R is not a number from 0 to 2**64 - 1", object);
        return 0;
    }
    *(uint64_t *)ret = value;
    return 1;
}

int to_u32(PyObject *object, void *ret) {
    uint64_t value;

    if (!to_u64(object, &value))
        return 0;
    if (value > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%R is not a number from 0 to 2**32 - 1", object);
        return 0;
    }
    *(uint32_t *)ret = (uint32_t)value;
    return 1;
}

static int add_type(PyObject *module, const char *name, PyType_Spec *spec, PyTypeObject **ret) {
    PyObject *type = PyType_FromSpec(spec);

    if (!type)
        return -1;
    if (ret) {
        Py_INCREF(type);
        *ret = (PyTypeObject *)type;
    }
    if (PyModule_AddObject(module, name, type) < 0) {
        Py_DECREF(type);
        return -1;
    }
    return 0;
}

static int add_numbers(PyObject *module) {
    static const struct {
        const char *name;
        long value;
    } numbers[] = {
        {"READ", SHMREG_READ},
        {"WRITE", SHMREG_WRITE},
        {"PRIVATE", SHMREG_PRIVATE},
        {"POPULATE", SHMREG_POPULATE},
        {"HUGE", SHMREG_HUGE},
        {"SEQUENTIAL", SHMREG_SEQUENTIAL},
        {"RANDOM", SHMREG_RANDOM},
        {"WILLNEED", SHMREG_WILLNEED},
        {"LOCK", SHMREG_LOCK},
        {"NO_DUMP", SHMREG_NO_DUMP},
        {"EXISTING_OK", SHMREG_EXISTING_OK},
        {"DETACHED", SHMREG_DETACHED},
        {"SYNC_BLOCK", SHMREG_SYNC_BLOCK},
        {"HUGE_2M", SHMREG_HUGE_2M},
        {"HUGE_1G", SHMREG_HUGE_1G},
        {"OPEN_MAX", SHMREG_OPEN_MAX},
        {"VALUE_MAX", SHMREG_VALUE_MAX},
        {"NEWS_PUBLISHED", SHMREG_NEWS_PUBLISHED},
        {"NEWS_RESIZED", SHMREG_NEWS_RESIZED},
        {"NEWS_SEALED", SHMREG_NEWS_SEALED},
        {"NEWS_DESTROYED", SHMREG_NEWS_DESTROYED},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (PyModule_AddIntConstant(module, numbers[i].name, numbers[i].value) < 0)
            return -1;
    return 0;
}

PyMODINIT_FUNC PyInit__shmreg(void);

PyMODINIT_FUNC PyInit__shmreg(void) {
    static struct PyModuleDef definition = {
        PyModuleDef_HEAD_INIT,
        .m_name = "shmreg._shmreg",
        .m_size = -1,
    };
    PyObject *errors = PyImport_ImportModule("shmreg._errors");
    PyObject *module = NULL;

    if (!errors)
        return NULL;
    make_error = PyObject_GetAttrString(errors, "make_error");
    Py_DECREF(errors);
    if (!make_error)
        return NULL;
    module = PyModule_Create(&definition);
    if (module && add_type(module, "Memory", &memory_spec, &memory_type) == 0 &&
        add_type(module, "Region", &region_spec, &region_type) == 0 &&
        add_type(module, "Connection", &connection_spec, NULL) == 0 && add_numbers(module) == 0)
        return module;
    Py_XDECREF(module);
    return NULL;
}
