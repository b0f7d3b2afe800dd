/*
 * Watches: the news of a connection in the event loop
 *
 * The library's descriptor becomes readable, the loop calls back, JavaScript asks what it was. A
 * watch keeps the process alive only while JavaScript says so.
 */
#include "addon.h"

#include <errno.h>
#include <uv.h>

struct watch {
    uv_poll_t poll;
    struct connection *connection; /* held */
    napi_env env;
    napi_ref callback;
    napi_async_context context;
    napi_async_cleanup_hook_handle hook;
};

static void closed(uv_handle_t *handle) {
    struct watch *watch = handle->data;

    napi_remove_async_cleanup_hook(watch->hook);
    connection_unref(watch->connection);
    free(watch);
}

/* The descriptor ends with the connection, and the poll must end before it; so the watch holds the
 * connection until the loop has let go. */
void watch_end(struct watch *watch) {
    uv_poll_stop(&watch->poll);
    if (watch->callback)
        napi_delete_reference(watch->env, watch->callback);
    if (watch->context)
        napi_async_destroy(watch->env, watch->context);
    uv_close((uv_handle_t *)&watch->poll, closed);
}

/* The thread ends. */
static void clean_up(napi_async_cleanup_hook_handle hook, void *data) {
    struct watch *watch = data;

    (void)hook;
    if (watch->connection->watch != watch)
        return; /* being closed already */
    watch->connection->watch = NULL;
    watch_end(watch);
}

/* Even an error of poll(2) is for shmreg_process() to find out. */
static void readable(uv_poll_t *poll, int status, int events) {
    struct watch *watch = poll->data;
    napi_value callback, receiver, error;
    napi_handle_scope scope;

    (void)status;
    (void)events;
    if (napi_open_handle_scope(watch->env, &scope) != napi_ok)
        return;
    if (napi_get_reference_value(watch->env, watch->callback, &callback) == napi_ok &&
        napi_get_global(watch->env, &receiver) == napi_ok &&
        napi_make_callback(watch->env, watch->context, receiver, callback, 0, NULL, NULL) ==
            napi_pending_exception &&
        napi_get_and_clear_last_exception(watch->env, &error) == napi_ok)
        napi_fatal_exception(watch->env, error);
    napi_close_handle_scope(watch->env, scope);
}

static bool start(napi_env env, struct watch *watch, napi_value callback) {
    uv_unref((uv_handle_t *)&watch->poll);
    return napi_add_async_cleanup_hook(env, clean_up, watch, &watch->hook) == napi_ok &&
           napi_create_reference(env, callback, 1, &watch->callback) == napi_ok &&
           napi_async_init(env, NULL, from_string(env, "shmreg"), &watch->context) == napi_ok &&
           uv_poll_start(&watch->poll, UV_READABLE, readable) == 0;
}

/* A watch that the loop knows already, so that watch_end() is the way to free it. */
static struct watch *watch_new(napi_env env, struct connection *connection, int fd) {
    struct watch *watch = calloc(1, sizeof(*watch));
    struct uv_loop_s *loop;

    if (!watch || napi_get_uv_event_loop(env, &loop) != napi_ok ||
        uv_poll_init(loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    watch->env = env;
    watch->connection = connection_ref(connection);
    watch->poll.data = watch;
    return watch;
}

/* watch(connection, callback): calls it when process() may have something to say */
napi_value native_watch(napi_env env, napi_callback_info info) {
    struct connection *connection;
    napi_value arguments[2];
    struct watch *watch;
    int fd;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    connection = to_connection(env, arguments[0]);
    if (!connection)
        return NULL;
    fd = shmreg_conn_fd(connection->conn);
    if (fd < 0)
        return throw_error(env, fd, NULL);
    watch = watch_new(env, connection, fd);
    if (!watch)
        return throw_error(env, -ENOMEM, "the event loop does not take the connection");
    if (!start(env, watch, arguments[1])) {
        throw_status(env);
        watch_end(watch);
        return NULL;
    }
    connection->watch = watch;
    return result_of(env, 0);
}

/* hold(connection, whether): its watch keeps the process alive */
napi_value native_hold(napi_env env, napi_callback_info info) {
    struct connection *connection;
    napi_value arguments[2];
    bool holds;

    if (!take_arguments(env, info, arguments, 2))
        return NULL;
    connection = to_connection(env, arguments[0]);
    if (!connection || !to_bool(env, arguments[1], &holds))
        return NULL;
    if (connection->watch && holds)
        uv_ref((uv_handle_t *)&connection->watch->poll);
    else if (connection->watch)
        uv_unref((uv_handle_t *)&connection->watch->poll);
    return result_of(env, 0);
}

struct report {
    napi_env env;
    napi_value list;
    uint32_t length;
};

static void add(void *data, shmreg_region *handle, uint32_t what) {
    struct report *report = data;

    napi_set_element(report->env, report->list, report->length++,
                     from_double(report->env, (double)(uintptr_t)handle));
    napi_set_element(report->env, report->list, report->length++, from_double(report->env, what));
}

/* process(connection): [id, what, id, what, ...]. That the daemon is away is no error: the library
 * goes on looking for it. */
napi_value native_process(napi_env env, napi_callback_info info) {
    struct report report = {.env = env};
    struct connection *connection;
    napi_value value;

    if (!take_arguments(env, info, &value, 1))
        return NULL;
    connection = to_connection(env, value);
    if (!connection)
        return NULL;
    if (napi_create_array(env, &report.list) != napi_ok)
        return throw_status(env);
    shmreg_process(connection->conn, add, &report);
    return report.list;
}
