/*
 * Monitor: tells a subscriber what happens to regions, as it happens
 */
#include "daemon/faces/admin-private.h"

#include <errno.h>

/* Bytes that a subscriber may leave unread. */
#define UNREAD_MAX 1048576u

struct monitor {
    struct varlink_stream stream;
    struct observer observer;
    struct admin_connection *connection;
};

static void tell(struct varlink_connection *varlink, const char *event, const char *region,
                 uint64_t id, uint32_t version, const char *reason) {
    varlink_send_at_once(varlink, json_pack("{s:s, s:s, s:I, s:I, s:s}", "event", event, "region",
                                            region, "id", (json_int_t)id, "version",
                                            (json_int_t)version, "reason", reason));
}

static void on_told(void *data, enum region_event event, const struct region *region,
                    uint32_t version, const char *reason) {
    struct admin_connection *connection = data;
    struct varlink_connection *varlink = connection->varlink;

    if (access_rights(&region->access, &connection->caller) == 0)
        return;
    if (varlink_backlog(varlink) >= UNREAD_MAX)
        varlink_cut_off(varlink, "a subscriber that does not read");
    else
        tell(varlink, region_event_word(event), region->name, region->id, version, reason);
    admin_keep(connection);
}

static void on_notice(struct observer *observer, enum region_event event,
                      const struct region *region, const char *reason) {
    struct monitor *monitor =
        (struct monitor *)((char *)observer - offsetof(struct monitor, observer));

    on_told(monitor->connection, event, region, region->segment->version, reason);
}

static void monitor_free(struct varlink_stream *stream) {
    struct monitor *monitor = (struct monitor *)stream;

    manager_unobserve(&monitor->observer);
    free(monitor);
}

static int monitor_new(struct admin_connection *connection, struct monitor **ret) {
    struct monitor *monitor = calloc(1, sizeof(*monitor));

    if (!monitor)
        return -ENOMEM;
    monitor->stream.free = monitor_free;
    monitor->observer.notice = on_notice;
    monitor->connection = connection;
    connection->can_be_kept = true;
    manager_observe(connection->manager, &monitor->observer);
    *ret = monitor;
    return 0;
}

void admin_monitor(struct admin_connection *connection, const struct varlink_call *call) {
    struct monitor *monitor;
    struct error error = {0};
    int r;

    if (!call->more || call->oneway) {
        varlink_error(call, "org.varlink.service.ExpectedMore", json_object());
        return;
    }
    r = monitor_new(connection, &monitor);
    if (r < 0) {
        admin_fail(call, r, &error);
        return;
    }
    varlink_start_stream(call, &monitor->stream);
    tell(connection->varlink, "subscribed", "", 0, 0, "from now on");
    admin_keep(connection);
}

int admin_resume_monitor(struct admin_connection *connection) {
    struct monitor *monitor;
    int r = monitor_new(connection, &monitor);

    if (r < 0)
        return r;
    varlink_resume_stream(connection->varlink, &monitor->stream);
    /* Where something is missing, a new connection says so. */
    return manager_tell_prelude(connection->manager, on_told, connection) ? 0 : -EOVERFLOW;
}
