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
    varlink_send(varlink,
                 json_pack("{s:s, s:s, s:I, s:I, s:s}", "event", event, "region", region, "id",
                           (json_int_t)id, "version", (json_int_t)version, "reason", reason),
                 true);
}

static void on_notice(struct observer *observer, enum region_event event,
                      const struct region *region, const char *reason) {
    struct monitor *monitor =
        (struct monitor *)((char *)observer - offsetof(struct monitor, observer));
    struct varlink_connection *varlink = monitor->connection->varlink;

    if (access_rights(&region->access, &monitor->connection->caller) == 0)
        return;
    if (varlink_backlog(varlink) >= UNREAD_MAX)
        varlink_cut_off(varlink, "a subscriber that does not read");
    else
        tell(varlink, region_event_word(event), region->name, region->id, region->segment->version,
             reason);
}

static void monitor_free(struct varlink_stream *stream) {
    struct monitor *monitor = (struct monitor *)stream;

    manager_unobserve(&monitor->observer);
    free(monitor);
}

void admin_monitor(struct admin_connection *connection, const struct varlink_call *call) {
    struct monitor *monitor;
    struct error error = {0};

    if (!call->more || call->oneway) {
        varlink_error(call, "org.varlink.service.ExpectedMore", json_object());
        return;
    }
    monitor = calloc(1, sizeof(*monitor));
    if (!monitor) {
        admin_fail(call, -ENOMEM, &error);
        return;
    }
    monitor->stream.free = monitor_free;
    monitor->observer.notice = on_notice;
    monitor->connection = connection;
    manager_observe(connection->manager, &monitor->observer);
    varlink_start_stream(call, &monitor->stream);
    tell(connection->varlink, "subscribed", "", 0, 0, "from now on");
}
