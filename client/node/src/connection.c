/*
 * Connections, and what is asked of a daemon by the name of a region.
 */
#include "addon.h"

#include <errno.h>

struct connection *connection_ref(struct connection *connection) {
    atomic_fetch_add(&connection->references, 1);
    return connection;
}

void connection_unref(struct connection *connection) {
    if (atomic_fetch_sub(&connection->references, 1) > 1)
        return;
    shmreg_disconnect(connection->conn);
    free(connection);
}

static void end(napi_env env, void *content) {
    struct connection *connection = content;
    struct watch *watch = connection->watch;

    (void)env;
    connection->watch = NULL;
    if (watch)
        watch_end(watch);
    connection_unref(connection);
}

struct connection *to_connection(napi_env env, napi_value value) {
    return box_open(env, value, "connection");
}

/* connect(path or undefined) */
napi_value native_connect(napi_env env, napi_callback_info info) {
    struct connection *connection;
    _cleanup_free_ char *path = NULL;
    shmreg_conn *conn;
    napi_value value;
    int r;

    if (!take_arguments(env, info, &value, 1) || !to_string(env, value, &path))
        return NULL;
    r = shmreg_connect(path, &conn);
    if (r < 0)
        return throw_error(env, r, NULL);
    connection = calloc(1, sizeof(*connection));
    if (!connection) {
        shmreg_disconnect(conn);
        return throw_error(env, -ENOMEM, "no memory for a connection");
    }
    connection->references = 1;
    connection->conn = conn;
    return box_new(env, connection, end);
}

/* Of those functions that begin with a connection and a name. False: thrown. */
static bool take_name(napi_env env, const napi_value arguments[2], shmreg_conn **ret_conn,
                      char **ret_name) {
    struct connection *connection = to_connection(env, arguments[0]);

    if (!connection || !to_string(env, arguments[1], ret_name))
        return false;
    *ret_conn = connection->conn;
    return true;
}

/* put(connection, name, buffer, mode) */
napi_value native_put(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL;
    napi_value arguments[4];
    shmreg_conn *conn;
    uint32_t mode;
    size_t size;
    void *data;

    if (!take_arguments(env, info, arguments, 4) || !take_name(env, arguments, &conn, &name) ||
        !to_uint32(env, arguments[3], &mode))
        return NULL;
    if (napi_get_buffer_info(env, arguments[2], &data, &size) != napi_ok)
        return throw_status(env);
    return result_of(env, shmreg_put(conn, name, data, size, mode));
}

/* get(connection, name): a Buffer */
napi_value native_get(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL;
    _cleanup_free_ void *content = NULL;
    napi_value arguments[2], buffer;
    shmreg_conn *conn;
    size_t size;
    int r;

    if (!take_arguments(env, info, arguments, 2) || !take_name(env, arguments, &conn, &name))
        return NULL;
    content = malloc(SHMREG_VALUE_MAX);
    if (!content)
        return throw_error(env, -ENOMEM, "no memory for a value");
    r = shmreg_get(conn, name, content, SHMREG_VALUE_MAX, &size);
    if (r < 0)
        return throw_error(env, r, NULL);
    if (napi_create_buffer_copy(env, size, content, NULL, &buffer) != napi_ok)
        return throw_status(env);
    return buffer;
}

/* destroy(connection, name) */
napi_value native_destroy(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL;
    napi_value arguments[2];
    shmreg_conn *conn;

    if (!take_arguments(env, info, arguments, 2) || !take_name(env, arguments, &conn, &name))
        return NULL;
    return result_of(env, shmreg_destroy(conn, name));
}

/* resize(connection, name, size) */
napi_value native_resize(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL;
    napi_value arguments[3];
    shmreg_conn *conn;
    int64_t size;

    if (!take_arguments(env, info, arguments, 3) || !take_name(env, arguments, &conn, &name) ||
        !to_int64(env, arguments[2], &size))
        return NULL;
    return result_of(env, shmreg_resize(conn, name, (uint64_t)size));
}

/* seal(connection, name) */
napi_value native_seal(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL;
    napi_value arguments[2];
    shmreg_conn *conn;

    if (!take_arguments(env, info, arguments, 2) || !take_name(env, arguments, &conn, &name))
        return NULL;
    return result_of(env, shmreg_seal(conn, name));
}

/* renew(connection, name, seconds) */
napi_value native_renew(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL;
    napi_value arguments[3];
    shmreg_conn *conn;
    uint32_t seconds;

    if (!take_arguments(env, info, arguments, 3) || !take_name(env, arguments, &conn, &name) ||
        !to_uint32(env, arguments[2], &seconds))
        return NULL;
    return result_of(env, shmreg_renew(conn, name, seconds));
}

/* setAttributes(connection, name, json) */
napi_value native_setAttributes(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL, *json = NULL;
    napi_value arguments[3];
    shmreg_conn *conn;

    if (!take_arguments(env, info, arguments, 3) || !take_name(env, arguments, &conn, &name) ||
        !to_string(env, arguments[2], &json))
        return NULL;
    return result_of(env, shmreg_set_attributes(conn, name, json));
}

/* setAccess(connection, name, mode, acl or undefined) */
napi_value native_setAccess(napi_env env, napi_callback_info info) {
    _cleanup_free_ char *name = NULL, *acl = NULL;
    napi_value arguments[4];
    shmreg_conn *conn;
    uint32_t mode;

    if (!take_arguments(env, info, arguments, 4) || !take_name(env, arguments, &conn, &name) ||
        !to_uint32(env, arguments[2], &mode) || !to_string(env, arguments[3], &acl))
        return NULL;
    return result_of(env, shmreg_set_access(conn, name, mode, acl));
}

static napi_value from_description(napi_env env, const struct shmreg_description *description) {
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"id", (double)description->id},
        {"size", (double)description->size},
        {"maxSize", (double)description->max_size},
        {"created", (double)description->created_usec},
        {"changed", (double)description->changed_usec},
        {"version", description->version},
        {"backing", description->backing},
        {"lifetime", description->lifetime},
        {"seconds", description->seconds},
        {"remainingSeconds", description->remaining_seconds},
        {"mode", description->mode},
        {"ownerUid", description->owner_uid},
        {"ownerGid", description->owner_gid},
        {"rights", description->rights},
        {"readers", description->readers},
        {"writers", description->writers},
        {"flags", description->flags},
        {"durability", description->durability},
        {"durabilitySeconds", description->durability_seconds},
    };
    napi_value object;

    if (napi_create_object(env, &object) != napi_ok)
        return throw_status(env);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        set_double(env, object, numbers[i].key, numbers[i].value);
    set_string(env, object, "name", description->name);
    set_string(env, object, "acl", description->acl);
    set_string(env, object, "attributes", description->attributes);
    napi_set_named_property(env, object, "sealed", from_bool(env, description->sealed));
    return object;
}

/* describe(connection, name): all numbers and strings as in C */
napi_value native_describe(napi_env env, napi_callback_info info) {
    struct shmreg_description *description;
    _cleanup_free_ char *name = NULL;
    napi_value arguments[2], object;
    shmreg_conn *conn;
    int r;

    if (!take_arguments(env, info, arguments, 2) || !take_name(env, arguments, &conn, &name))
        return NULL;
    r = shmreg_describe(conn, name, &description);
    if (r < 0)
        return throw_error(env, r, NULL);
    object = from_description(env, description);
    shmreg_description_free(description);
    return object;
}
