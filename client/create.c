/*
 * Creating regions
 *
 * The options come in a struct that grows with the library: one that is smaller was compiled
 * against an older header and gets defaults for the rest, one that is larger is accepted as long as
 * it asks for nothing that is unknown here.
 */
#include "client/advice.h"
#include "client/connection.h"
#include "client/failure.h"
#include "proto/rights.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

_Static_assert(SHMREG_EXISTING_OK == WIRE_EXISTING_OK, "flags");
_Static_assert(SHMREG_MODE_DEFAULT == WIRE_MODE_DEFAULT, "mode");
_Static_assert(SHMREG_ATTRIBUTES_MAX == WIRE_ATTRIBUTES_MAX, "attributes");
_Static_assert(sizeof(struct wire_create_reply) == sizeof(struct wire_open_reply), "replies");
_Static_assert(sizeof(struct wire_create_request) == sizeof(struct wire_adopt_request), "adopt");
_Static_assert(sizeof(struct wire_create_reply) == sizeof(struct wire_adopt_reply), "adopt");

/* No header will ever know that many options: a larger struct is memory that nobody filled. */
#define OPTIONS_SIZE_MAX 4096u

static int read_options(const struct shmreg_options *options, struct shmreg_options *ret) {
    size_t size = options ? options->struct_size : 0;

    *ret = *SHMREG_OPTIONS();
    if (!options)
        return 0;
    if (size < sizeof(size) || size > OPTIONS_SIZE_MAX)
        return fail(-EINVAL, "shmreg_options.struct_size is not set: use SHMREG_OPTIONS()");
    for (size_t i = sizeof(*ret); i < size; i++)
        if (((const char *)options)[i] != 0)
            return fail(-EINVAL, "shmreg_options asks for something that this library lacks");
    memcpy(ret, options, size < sizeof(*ret) ? size : sizeof(*ret));
    return 0;
}

int check_acl(const char *acl) {
    if (strnlen(acl, ACL_TEXT_MAX) < ACL_TEXT_MAX)
        return 0;
    return fail(-EINVAL, "access rules have less than %u bytes", ACL_TEXT_MAX);
}

int check_attributes(const char *attributes) {
    if (strnlen(attributes, SHMREG_ATTRIBUTES_MAX + 1) <= SHMREG_ATTRIBUTES_MAX)
        return 0;
    return fail(-EINVAL, "attributes have at most %u bytes", SHMREG_ATTRIBUTES_MAX);
}

static int check_options(struct shmreg_options *options, uint32_t flags) {
    int r;

    if (options->flags & ~flags)
        return fail(-EINVAL, "unknown shmreg_options.flags %#x", options->flags & ~flags);
    r = access_check(SHMREG_WRITE | options->map_flags);
    if (r < 0)
        return r;
    if (!options->acl)
        options->acl = "";
    if (!options->attributes)
        options->attributes = "";
    r = check_acl(options->acl);
    return r < 0 ? r : check_attributes(options->attributes);
}

int options_complete(const struct shmreg_options *options, uint32_t flags,
                     struct shmreg_options *ret) {
    int r = read_options(options, ret);

    return r < 0 ? r : check_options(ret, flags);
}

static uint32_t wire_flags(uint32_t flags) {
    return (flags & SHMREG_EXISTING_OK) | (flags & SHMREG_SYNC_BLOCK ? WIRE_SYNC_BLOCK : 0) |
           (flags & SHMREG_HUGE_2M ? WIRE_HUGE_2M : 0) |
           (flags & SHMREG_HUGE_1G ? WIRE_HUGE_1G : 0);
}

struct wire_region_spec options_spec(const struct shmreg_options *options, uint64_t size) {
    return (struct wire_region_spec){
        .backing = options->backing,
        .lifetime = options->lifetime,
        .seconds = options->seconds,
        .mode = options->mode ? options->mode : WIRE_MODE_DEFAULT,
        .flags = wire_flags(options->flags),
        .durability = options->durability,
        .durability_seconds = options->durability_seconds,
        .size = size,
        .max_size = options->max_size,
    };
}

/* A region that its creator cannot map is not created. The sentence of that failure stays. */
static void undo(struct shmreg_conn *conn, const char *name) {
    struct wire_destroy_request body = {.reserved = 0};
    struct wire_string string = {.data = name};
    _cleanup_(call_close_fds) struct call call = {
        .op = WIRE_DESTROY, .body = &body, .strings = &string};

    link_exchange(conn, &call);
}

static int take_created(struct shmreg_conn *conn, struct call *call, struct shmreg_region **ret) {
    struct wire_attachment attachment = {.flags = 0};
    struct shmreg_region *region = *ret;
    int r;

    if (call->reply.string[0].length == sizeof(attachment))
        memcpy(&attachment, call->reply.string[0].data, sizeof(attachment));
    r = regions_from_reply(call, ret, 1);
    if (r < 0 && attachment.flags & WIRE_ATTACHMENT_CREATED)
        undo(conn, region->mapping->name);
    return r;
}

int region_create(struct shmreg_conn *conn, enum wire_op op, const char *name, uint64_t size,
                  const int *fd, const struct shmreg_options *options,
                  struct shmreg_region **region) {
    struct wire_create_request body = {
        .access = *region ? mapping_right((*region)->mapping) : WIRE_NO_ACCESS,
        .spec = options_spec(options, size),
    };
    struct wire_string strings[] = {
        {.data = name}, {.data = options->acl}, {.data = options->attributes}};
    _cleanup_(call_close_fds) struct call call = {
        .op = op, .body = &body, .strings = strings, .fd = fd};
    _cleanup_(cleanup_talk_unlock) struct shmreg_conn *talking = talk_lock(conn);
    int r = connection_call(talking, &call);

    if (r < 0 || !*region)
        return r;
    return take_created(conn, &call, region);
}

int shmreg_create(shmreg_conn *conn, const char *name, uint64_t size,
                  const struct shmreg_options *options, shmreg_region **ret) {
    _cleanup_(cleanup_region_free) struct shmreg_region *region = NULL;
    struct shmreg_options complete;
    int r = options_complete(options, OPTIONS_REGION_FLAGS | SHMREG_EXISTING_OK | SHMREG_DETACHED,
                             &complete);

    if (r == 0)
        r = check_name(name);
    if (r < 0)
        return r;
    if (!(complete.flags & SHMREG_DETACHED)) {
        region = region_new(conn, name, SHMREG_WRITE | complete.map_flags);
        if (!region)
            return -ENOMEM;
    }
    r = region_create(conn, WIRE_CREATE, name, size, NULL, &complete, &region);
    if (r < 0)
        return r;
    if (ret)
        *ret = steal_pointer(region);
    return 0;
}
