/*
 * Views: ArrayBuffers that are the memory of a region, without a copy
 *
 * Each holds its region until V8 has let go of the memory: the mapping stays while any ArrayBuffer
 * may reach it, whatever was closed before. Closing detaches them: their length becomes 0, and the
 * memory is given back in the next turn of the event loop, when Node.js tells that V8 has let go.
 */
#include "addon.h"

#include <errno.h>
#include <string.h>

struct view {
    struct region *region; /* held */
    napi_ref buffer;       /* weak */
    unsigned generation;
    LIST_ENTRY(view) link;
};

/* shmreg_drop_old() must be alone with the handle; with threads that wait, it is left to the close. */
static void drop_old(struct region *region) {
    if (region->n_old == 0 && atomic_load(&region->waits) == 0)
        shmreg_drop_old(region->handle);
}

static void finalize(napi_env env, void *data, void *hint) {
    struct view *view = hint;
    struct region *region = view->region;

    (void)data;
    LIST_REMOVE(view, link);
    if (view->buffer)
        napi_delete_reference(env, view->buffer);
    if (view->generation != region->generation) {
        region->n_old--;
        drop_old(region);
    }
    region_unref(region);
    free(view);
}

void views_grow_old(struct region *region) {
    struct view *view;

    region->generation++;
    region->n_old = 0;
    LIST_FOREACH (view, &region->views, link)
        region->n_old++;
    drop_old(region);
}

void views_detach(napi_env env, struct region *region, bool only_old) {
    napi_value buffer;
    struct view *view;

    LIST_FOREACH (view, &region->views, link)
        if (!(only_old && view->generation == region->generation) &&
            napi_get_reference_value(env, view->buffer, &buffer) == napi_ok && buffer)
            napi_detach_arraybuffer(env, buffer);
}

static napi_value view_new(napi_env env, struct region *region, uint64_t offset, size_t length) {
    struct view *view = calloc(1, sizeof(*view));
    char *data = shmreg_data(region->handle);
    napi_status status;
    napi_value buffer;

    if (!view)
        return throw_error(env, -ENOMEM, "no memory for an ArrayBuffer");
    view->region = region_ref(region);
    view->generation = region->generation;
    LIST_INSERT_HEAD(&region->views, view, link);
    status = napi_create_external_arraybuffer(env, data + offset, length, finalize, view, &buffer);
    if (status != napi_ok) {
        finalize(env, data, view);
        return status == napi_no_external_buffers_allowed
                   ? throw_error(env, -EOPNOTSUPP,
                                 "this JavaScript engine allows no ArrayBuffer of foreign memory")
                   : throw_status(env);
    }
    if (napi_create_reference(env, buffer, 0, &view->buffer) != napi_ok)
        return throw_status(env);
    return buffer;
}

/* A number that was negative is larger than any size. */
static bool is_within(const struct region *region, uint64_t offset, uint64_t length) {
    uint64_t size = shmreg_size(region->handle);

    return offset <= size && length <= size - offset;
}

/* view(region, offset, length): an ArrayBuffer */
napi_value native_view(napi_env env, napi_callback_info info) {
    uint64_t offset, length;
    struct region *region;
    napi_value arguments[3];

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    region = take_range(env, arguments, &offset, &length);
    if (!region)
        return NULL;
    if (!is_within(region, offset, length))
        return throw_error(env, -EINVAL, "these bytes are not all within the region");
    return view_new(env, region, offset, length);
}

/* write(region, offset, buffer): without a view, which would keep the memory for a while */
napi_value native_write(napi_env env, napi_callback_info info) {
    struct region *region;
    napi_value arguments[3];
    size_t length;
    int64_t offset;
    void *data;

    if (!take_arguments(env, info, arguments, 3))
        return NULL;
    region = to_region(env, arguments[0]);
    if (!region || !to_int64(env, arguments[1], &offset))
        return NULL;
    if (napi_get_buffer_info(env, arguments[2], &data, &length) != napi_ok)
        return throw_status(env);
    if (!is_within(region, (uint64_t)offset, length))
        return throw_error(env, -EINVAL, "these bytes are not all within the region");
    if (length > 0)
        memmove((char *)shmreg_data(region->handle) + offset, data, length);
    return result_of(env, 0);
}

/* detach(region): all its ArrayBuffers */
napi_value native_detach(napi_env env, napi_callback_info info) {
    struct region *region;
    napi_value value;

    if (!take_arguments(env, info, &value, 1))
        return NULL;
    region = to_region(env, value);
    if (!region)
        return NULL;
    views_detach(env, region, false);
    return result_of(env, 0);
}
