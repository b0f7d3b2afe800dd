/*
 * Regions: how they come to be, and what is asked of a handle.
 */
#include "addon.h"

#include <errno.h>
#include <string.h>

struct region *region_ref(struct region *region) {
    atomic_fetch_add(&region->references, 1);
    return region;
}

void region_unref(struct region *region) {
    if (atomic_fetch_sub(&region->references, 1) > 1)
        return;
    shmreg_close(region->handle);
    connection_unref(region->connection);
    free(region);
}

/* JavaScript has closed it, or lost it. Collected, it leaves its arrays alone. */
static void end(napi_env env, void *content) {
    struct region *region = content;

    (void)env;
    atomic_store(&region->closed, true);
    if (region->locked)
        shmreg_unlock(region->handle);
    region->locked = false;
    region_unref(region);
}

napi_value region_wrap(napi_env env, struct connection *connection, shmreg_region *handle) {
    struct region *region = calloc(1, sizeof(*region));

    if (!region) {
        shmreg_close(handle);
        return throw_error(env, -ENOMEM, "no memory for a region");
    }
    region->references = 1;
    region->connection = connection_ref(connection);
    region->handle = handle;
    return box_new(env, region, end);
}

struct region *to_region(napi_env env, napi_value value) {
    return box_open(env, value, "region");
}

struct region *take_region(napi_env env, napi_callback_info info) {
    napi_value value;

    return take_arguments(env, info, &value, 1) ? to_region(env, value) : NULL;
}

struct region *take_range(napi_env env, const napi_value arguments[3], uint64_t *ret_offset,
                          uint64_t *ret_length) {
    struct region *region = to_region(env, arguments[0]);
    int64_t offset, length;

    if (!region || !to_int64(env, arguments[1], &offset) || !to_int64(env, arguments[2], &length))
        return NULL;
    *ret_offset = (uint64_t)offset;
    *ret_length = (uint64_t)length;
    return region;
}

typedef int (*maker)(shmreg_conn *conn, const char *name, uint64_t size,
                     const struct shmreg_options *options, shmreg_region **ret);

/* (connection, name, size, options) */
static napi_value make(napi_env env, napi_callback_info info, maker function) {
    __attribute__((cleanup(options_deinit))) struct shmreg_options options = {0};
    struct connection *connection;
    _cleanup_free_ char *name = NULL;
    shmreg_region *handle = NULL;
    napi_value arguments[4];
    int64_t size;
    int r;

    if (!take_arguments(env, info, arguments, 4))
        return NULL;
    connection = to_connection(env, arguments[0]);
    if (!connection || !to_string(env, arguments[1], &name) ||
        !to_int64(env, arguments[2], &size) || !to_options(env, arguments[3], &options))
        return NULL;
    r = function(connection->conn, name, (uint64_t)size, &options, &handle);
    return r < 0 ? throw_error(env, r, NULL) : region_wrap(env, connection, handle);
}

napi_value native_create(napi_env env, napi_callback_info info) {
    return make(env, info, shmreg_create);
}

napi_value native_stage(napi_env env, napi_callback_info info) {
    return make(env, info, shmreg_stage);
}

/* As a maker, with the descriptor where others have the size. */
static int adopt(shmreg_conn *conn, const char *name, uint64_t fd,
                 const struct shmreg_options *options, shmreg_region **ret) {
    return fd > INT32_MAX ? -EBADF : shmreg_adopt(conn, name, (int)fd, options, ret);
}

napi_value native_adopt(napi_env env, napi_callback_info info) {
    return make(env, info, adopt);
}

/* open(connection, name, access) */
napi_value native_open(napi_env env, napi_callback_info info) {
    struct connection *connection;
    _cleanup_free_ char *name = NULL;
    shmreg_region *handle = NULL;
    napi_value arguments[3];
    uint32_t access;
    int r;

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    connection = to_connection(env, arguments[0]);
    if (!connection || !to_string(env, arguments[1], &name) ||
        !to_uint32(env, arguments[2], &access))
        return NULL;
    r = shmreg_open(connection->conn, name, access, &handle);
    return r < 0 ? throw_error(env, r, NULL) : region_wrap(env, connection, handle);
}

static bool take_names(napi_env env, napi_value array, char *names[], uint32_t count) {
    napi_value value;

    for (uint32_t i = 0; i < count; i++) {
        if (napi_get_element(env, array, i, &value) != napi_ok) {
            throw_status(env);
            return false;
        }
        if (!to_string(env, value, &names[i]))
            return false;
    }
    return true;
}

/* All of them or, with an exception, none. */
static napi_value wrap_all(napi_env env, struct connection *connection, shmreg_region *handles[],
                           uint32_t count) {
    napi_value array, value;
    bool failed = napi_create_array_with_length(env, count, &array) != napi_ok;

    for (uint32_t i = 0; i < count; i++) {
        value = failed ? NULL : region_wrap(env, connection, handles[i]);
        if (failed)
            shmreg_close(handles[i]);
        else if (!value || napi_set_element(env, array, i, value) != napi_ok)
            failed = true;
    }
    return failed ? throw_status(env) : array;
}

/* openMany(connection, names, access): an array */
napi_value native_openMany(napi_env env, napi_callback_info info) {
    shmreg_region *handles[SHMREG_OPEN_MAX] = {0};
    char *names[SHMREG_OPEN_MAX] = {0};
    struct connection *connection;
    napi_value arguments[3];
    uint32_t count, access;
    int r = -1;

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    connection = to_connection(env, arguments[0]);
    if (!connection || !to_uint32(env, arguments[2], &access))
        return NULL;
    if (napi_get_array_length(env, arguments[1], &count) != napi_ok)
        return throw_status(env);
    if (count > SHMREG_OPEN_MAX)
        return throw_error(env, -EINVAL, "more than 64 regions at once");
    if (take_names(env, arguments[1], names, count)) {
        r = shmreg_open_many(connection->conn, (const char *const *)names, count, access, handles);
        if (r < 0)
            throw_error(env, r, NULL);
    }
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    return r < 0 ? NULL : wrap_all(env, connection, handles, count);
}

/* publish(region, expected version): the version it has become */
napi_value native_publish(napi_env env, napi_callback_info info) {
    uint32_t expected, version = 0;
    napi_value arguments[2];
    struct region *region;
    int r;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    region = to_region(env, arguments[0]);
    if (!region || !to_uint32(env, arguments[1], &expected))
        return NULL;
    r = shmreg_publish(region->handle, expected, &version);
    return r < 0 ? throw_error(env, r, NULL) : from_double(env, version);
}

/* The number by which process() speaks of it. */
napi_value native_id(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);

    return region ? from_double(env, (double)(uintptr_t)region->handle) : NULL;
}

napi_value native_size(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);

    return region ? from_double(env, (double)shmreg_size(region->handle)) : NULL;
}

napi_value native_version(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);

    return region ? from_double(env, shmreg_version(region->handle)) : NULL;
}

napi_value native_fd(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);

    return region ? from_double(env, shmreg_fd(region->handle)) : NULL;
}

napi_value native_isCurrent(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);

    return region ? from_bool(env, shmreg_is_current(region->handle)) : NULL;
}

/* refresh(region): whether its memory is another now */
napi_value native_refresh(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);
    const void *before;
    bool moved;
    int r;

    if (!region)
        return NULL;
    before = shmreg_data(region->handle);
    r = shmreg_refresh(region->handle);
    if (r < 0)
        return throw_error(env, r, NULL);
    moved = shmreg_data(region->handle) != before;
    if (moved)
        views_grow_old(region);
    return from_bool(env, moved);
}

/* dropOld(region): detaches the arrays of earlier versions, whose memory goes with them */
napi_value native_dropOld(napi_env env, napi_callback_info info) {
    struct region *region = take_region(env, info);

    if (!region)
        return NULL;
    views_detach(env, region, true);
    return result_of(env, 0);
}

/* flush(region, offset, length) */
napi_value native_flush(napi_env env, napi_callback_info info) {
    uint64_t offset, length;
    struct region *region;
    napi_value arguments[3];

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    region = take_range(env, arguments, &offset, &length);
    return region ? result_of(env, shmreg_flush(region->handle, offset, length)) : NULL;
}
