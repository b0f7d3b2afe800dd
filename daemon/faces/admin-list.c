/*
 * ListRegions: one reply, however long, written as the client reads it
 *
 * There may be a hundred thousand regions. Whatever does not fit into the output yet is looked up
 * later, from the name on that was written last; so a list that is longer than the output may hold
 * shows each part of the names as it was at a moment of its own.
 */
#include "daemon/faces/admin-format.h"
#include "daemon/faces/admin-private.h"

#include <errno.h>
#include <string.h>

/* Bytes written before the client has to read. Each part walks over all names, so not too few. */
#define PART_BYTES 262144u

struct region_list {
    struct varlink_stream stream;
    struct admin_connection *connection;
    struct user_names names;
    size_t part_end; /* of the backlog */
    char last[REGION_NAME_MAX + 1];
    char prefix[]; /* "" for none */
};

/* Returns 1 when the part is full. */
static int add_region(void *data, struct region *region) {
    struct region_list *list = data;
    struct varlink_connection *varlink = list->connection->varlink;

    if (strcmp(region->name, list->last) <= 0 ||
        strncmp(region->name, list->prefix, strlen(list->prefix)) != 0 ||
        access_rights(&region->access, &list->connection->caller) == 0)
        return 0;
    if (*list->last)
        varlink_write(varlink, ",", 1);
    varlink_write_json(varlink, format_region(region, &list->names));
    snprintf(list->last, sizeof(list->last), "%s", region->name);
    return varlink_backlog(varlink) >= list->part_end;
}

static bool produce(struct varlink_stream *stream, struct varlink_connection *varlink) {
    static const char end[] = "]}}";
    struct region_list *list = (struct region_list *)stream;

    list->part_end = varlink_backlog(varlink) + PART_BYTES;
    if (manager_each_region(list->connection->manager, add_region, list) != 0)
        return true;
    varlink_write(varlink, end, sizeof(end));
    return false;
}

static void list_free(struct varlink_stream *stream) {
    free(stream);
}

void admin_list_regions(struct admin_connection *connection, const struct varlink_call *call) {
    static const char start[] = "{\"parameters\":{\"regions\":[";
    const char *prefix = parameter_text(call->parameters, "prefix", "");
    size_t prefix_size = strlen(prefix) + 1;
    struct region_list *list = calloc(1, sizeof(*list) + prefix_size);
    struct error error = {0};

    if (!list) {
        admin_fail(call, -ENOMEM, &error);
        return;
    }
    list->stream = (struct varlink_stream){.produce = produce, .free = list_free};
    list->connection = connection;
    memcpy(list->prefix, prefix, prefix_size);
    if (!call->oneway)
        varlink_write(connection->varlink, start, sizeof(start) - 1);
    varlink_start_stream(call, &list->stream);
}
