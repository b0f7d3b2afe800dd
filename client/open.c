/*
 * Opening regions
 *
 * Whatever needs memory is there before the daemon is asked, so that afterwards only the mapping
 * itself can fail; then the attachment is given back.
 */
#include "client/advice.h"
#include "client/connection.h"
#include "client/failure.h"
#include "proto/region-name.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

_Static_assert(SHMREG_READ == WIRE_READ && SHMREG_WRITE == WIRE_WRITE, "access");
_Static_assert(SHMREG_OPEN_MAX == WIRE_OPEN_MAX, "open_many");

static void read_attachment(const struct call *call, size_t i, struct wire_attachment *ret) {
    memcpy(ret, call->reply.string[0].data + i * sizeof(*ret), sizeof(*ret));
}

/* Takes note of every attachment before any other check: what came has to be given back. */
static int attach_all(struct call *call, struct shmreg_region *regions[], size_t count) {
    const struct wire_open_reply *reply = call->reply.body;
    struct wire_attachment attachment;
    size_t n_fds = count;
    int r = 0;

    if (reply->count != count || call->reply.string[0].length != count * sizeof(attachment))
        return fail(-EPROTO, "the daemon did not attach the %zu regions it was asked for", count);
    for (size_t i = 0; i < count; i++) {
        int one;

        read_attachment(call, i, &attachment);
        one = mapping_attach(regions[i]->mapping, &attachment);
        r = r < 0 ? r : one;
        n_fds += (attachment.flags & WIRE_ATTACHMENT_SYNC_BLOCK) != 0;
    }
    if (r < 0)
        return r;
    if (call->starved)
        return fail(-EMFILE, "region '%s': this process has no free descriptor",
                    regions[0]->mapping->name);
    if (call->fds.count != n_fds)
        return fail(-EPROTO, "the daemon sent %zu descriptors for %zu regions", call->fds.count,
                    count);
    return 0;
}

static int map_all(struct call *call, struct shmreg_region *regions[], size_t count) {
    struct wire_attachment attachment;
    int *fd = call->fds.fd, r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        read_attachment(call, i, &attachment);
        r = mapping_map(regions[i]->mapping, &attachment, steal_fd(fd++));
        if (r == 0 && attachment.flags & WIRE_ATTACHMENT_SYNC_BLOCK)
            r = block_attach(regions[i]->mapping, *fd++);
    }
    return r;
}

int regions_from_reply(struct call *call, struct shmreg_region *regions[], size_t count) {
    int r = attach_all(call, regions, count);

    if (r == 0)
        r = map_all(call, regions, count);
    for (size_t i = 0; i < count && r == 0; i++)
        region_install(regions[i]);
    return r;
}

/* Asks for the regions given, with `talk` held. */
static int open_regions(struct shmreg_conn *conn, struct shmreg_region *regions[], size_t count) {
    char names[SHMREG_OPEN_MAX * (REGION_NAME_MAX + 1)], *end = names;
    struct wire_open_request body = {.count = (uint32_t)count,
                                     .access = mapping_right(regions[0]->mapping)};
    struct wire_string string = {.data = names};
    _cleanup_(call_close_fds) struct call call = {
        .op = WIRE_OPEN, .body = &body, .strings = &string};
    int r;

    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, regions[i]->mapping->name) + 1;
    string.length = (size_t)(end - names);
    r = connection_call(conn, &call);
    return r < 0 ? r : regions_from_reply(&call, regions, count);
}

/* The regions of one shmreg_open_many(): those that can be shared, and those to ask for. */
struct selection {
    struct shmreg_region *shared[SHMREG_OPEN_MAX];
    struct shmreg_region *asked[SHMREG_OPEN_MAX];
    size_t n_asked;
};

static void selection_undo(struct selection *selection, size_t count) {
    for (size_t i = 0; i < count; i++)
        shmreg_close(selection->shared[i]);
    for (size_t i = 0; i < selection->n_asked; i++)
        region_free(selection->asked[i]);
}

/* From now on it is the caller's. */
static struct shmreg_region *hand_out(struct shmreg_region *region) {
    pthread_mutex_lock(&region->conn->state);
    region->silent = false;
    pthread_mutex_unlock(&region->conn->state);
    return region;
}

static int select_region(struct shmreg_conn *conn, struct selection *selection, size_t i,
                         const char *name, uint32_t access) {
    int r;

    selection->shared[i] = region_share(conn, name, access, true);
    if (selection->shared[i])
        return 0;
    r = check_name(name);
    if (r < 0)
        return r;
    selection->asked[selection->n_asked] = region_new(conn, name, access);
    if (!selection->asked[selection->n_asked])
        return -ENOMEM;
    selection->n_asked++;
    return 0;
}

int shmreg_open_many(shmreg_conn *conn, const char *const names[], size_t count, uint32_t access,
                     shmreg_region *ret[]) {
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = NULL;
    struct selection selection = {0};
    int r = access_check(access);

    if (r < 0)
        return r;
    if (count > SHMREG_OPEN_MAX)
        return fail(-EINVAL, "%zu regions at once: the most is %u", count, SHMREG_OPEN_MAX);
    talking = talk_lock(conn);
    for (size_t i = 0; i < count && r == 0; i++)
        r = select_region(talking, &selection, i, names[i], access);
    if (r == 0 && selection.n_asked > 0)
        r = open_regions(talking, selection.asked, selection.n_asked);
    if (r < 0) {
        selection_undo(&selection, count);
        return r;
    }
    for (size_t i = 0, asked = 0; i < count; i++)
        ret[i] = selection.shared[i] ? hand_out(selection.shared[i]) : selection.asked[asked++];
    return 0;
}

int region_open(struct shmreg_conn *conn, const char *name, uint32_t access,
                struct shmreg_region **ret) {
    _cleanup_(cleanup_region_free) struct shmreg_region *region = NULL;
    int r;

    *ret = region_share(conn, name, access, true);
    if (*ret)
        return 0;
    region = region_new(conn, name, access);
    if (!region)
        return -ENOMEM;
    region->silent = true;
    r = open_regions(conn, &region, 1);
    if (r < 0)
        return r;
    *ret = steal_pointer(region);
    return 0;
}

int shmreg_open(shmreg_conn *conn, const char *name, uint32_t access, shmreg_region **ret) {
    struct shmreg_region *region = region_share(conn, name, access, false);

    if (!region)
        return shmreg_open_many(conn, &name, 1, access, ret);
    *ret = region;
    return 0;
}
