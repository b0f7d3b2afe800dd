/*
 * Dispatch: see dispatch.h. A handler reads its struct, asks the manager, and answers; an error it
 * returns becomes the reply.
 */
#include "daemon/faces/dispatch-private.h"

#include "proto/status-slot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* Rights and access are the same numbers to the core and on the wire. */
_Static_assert(RIGHT_READ == WIRE_READ && RIGHT_WRITE == WIRE_WRITE, "access");

int request_answer(struct request *request, const void *body, const struct wire_string *strings) {
    struct wire_header header = {
        .op = request->message->header.op,
        .flags = WIRE_REPLY,
        .serial = request->message->header.serial,
    };
    int size = wire_encode(&header, body, strings, request->reply->data);

    if (size < 0)
        return error_set(request->error, size, "the reply is larger than a message");
    request->reply->size = (size_t)size;
    return 0;
}

int request_check_unused(struct request *request, uint32_t bits) {
    if (bits == 0)
        return 0;
    return error_set(request->error, -EINVAL, "%s: unknown flags or a reserved field: %#x",
                     wire_op_name(request->message->header.op), bits);
}

static int on_hello(struct request *request) {
    const struct wire_hello_request *hello = request->message->body;
    bool resumed;
    int fd;

    if (request->client->id != 0)
        return error_set(request->error, -EINVAL, "this connection has said hello already");
    if (hello->version == 0 || hello->client_id == 0)
        return error_set(request->error, -EINVAL, "hello needs a version and a client id");
    fd = fcntl(manager_status_page_fd(request->manager), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_set(request->error, -errno, "no descriptor for the status page: %s",
                         strerror(errno));
    request->reply->fds.fd[request->reply->fds.count++] = fd;
    resumed = manager_identify_client(request->manager, request->client, hello->client_id);
    request->client->is_resumable = hello->features & WIRE_FEATURE_RESUME;
    return request_answer(
        request,
        &(struct wire_hello_reply){
            .version = hello->version < WIRE_VERSION ? hello->version : WIRE_VERSION,
            .features = hello->features & WIRE_FEATURE_RESUME,
            .client_id = hello->client_id,
            .flags = resumed ? WIRE_HELLO_RESUMED : 0,
            .status_slots = STATUS_SLOTS,
        },
        NULL);
}

uint32_t request_segment_flags(const struct segment *segment) {
    static const uint32_t huge_flags[] = {
        [HUGE_PAGES_2M] = WIRE_ATTACHMENT_HUGE_2M,
        [HUGE_PAGES_1G] = WIRE_ATTACHMENT_HUGE_1G,
    };

    return huge_flags[segment->huge_pages] | (segment->sealed ? WIRE_ATTACHMENT_SEALED : 0);
}

static uint32_t sync_block_flag(const struct region *region) {
    return region->sync_block ? WIRE_ATTACHMENT_SYNC_BLOCK : 0;
}

struct wire_attachment request_describe_attachment(const struct request *request,
                                                   const struct attachment *attachment,
                                                   bool created) {
    return (struct wire_attachment){
        .region_id = attachment->region->id,
        .attachment_id = attachment->id,
        .size = attachment->segment->size,
        .max_size = attachment->segment->max_size,
        .version = attachment->segment->version,
        .slot = attachment->region->slot,
        .slot_version = manager_slot_version(request->manager, attachment->region),
        .access = attachment->access,
        .backing = attachment->segment->backing,
        .flags = request_segment_flags(attachment->segment) | sync_block_flag(attachment->region) |
                 (created ? WIRE_ATTACHMENT_CREATED : 0),
    };
}

void request_add_descriptors(struct request *request, const struct attachment_fds *fds) {
    struct packet_fds *packet = &request->reply->fds;

    packet->fd[packet->count++] = fds->segment;
    if (fds->sync_block >= 0)
        packet->fd[packet->count++] = fds->sync_block;
}

static int create_detached(struct request *request, const struct region_spec *spec,
                           bool existing_ok) {
    const struct caller *caller = &request->client->caller;
    struct region *region;
    int r = 0;

    /* Even if somebody has destroyed it meanwhile. */
    if (!request_was_done(request))
        r = manager_create(request->manager, caller, request->client, spec, &region,
                           request->error);
    if (r == -EEXIST && existing_ok)
        r = manager_find(request->manager, caller, spec->name, &region, request->error);
    return r < 0 ? r
                 : request_answer(request, &(struct wire_create_reply){.count = 0},
                                  &(struct wire_string){.length = 0});
}

static int create_attached(struct request *request, const struct region_spec *spec,
                           bool existing_ok, uint32_t access) {
    struct attachment *attachment;
    struct wire_attachment description;
    struct attachment_fds fds;
    bool created;
    int r = manager_create_and_attach(request->manager, request->client, spec, existing_ok, access,
                                      &attachment, &fds, &created, request->error);

    if (r < 0)
        return r;
    request_add_descriptors(request, &fds);
    description = request_describe_attachment(request, attachment, created);
    return request_answer(request, &(struct wire_create_reply){.count = 1},
                          &(struct wire_string){&description, sizeof(description)});
}

int request_read_spec(struct request *request, const struct wire_region_spec *wire, size_t string,
                      uint32_t flags, struct region_spec *ret) {
    *ret = (struct region_spec){
        .name = request_text(request, string),
        .acl = request_text(request, string + 1),
        .attributes = request_text(request, string + 2),
        .size = wire->size,
        .max_size = wire->max_size,
        .backing = wire->backing,
        .lifetime = wire->lifetime,
        .seconds = wire->seconds,
        .mode = wire->mode,
        .sync_block = wire->flags & WIRE_SYNC_BLOCK,
        .durability = wire->durability,
        .durability_seconds = wire->durability_seconds,
        .huge_pages = wire->flags & WIRE_HUGE_2M ? HUGE_PAGES_2M : 0,
        .tag = {request->client->id, request->message->header.serial},
    };
    if (wire->flags & WIRE_HUGE_1G) {
        if (ret->huge_pages)
            return error_set(request->error, -EINVAL, "huge pages are of one size");
        ret->huge_pages = HUGE_PAGES_1G;
    }
    return request_check_unused(request, (wire->flags & ~flags) | wire->reserved);
}

static int on_create(struct request *request) {
    const struct wire_create_request *create = request->message->body;
    bool existing_ok = create->spec.flags & WIRE_EXISTING_OK;
    struct region_spec spec;
    int r = request_read_spec(request, &create->spec, 0, WIRE_EXISTING_OK | REQUEST_REGION_FLAGS,
                              &spec);

    if (r < 0)
        return r;
    if (create->access == WIRE_NO_ACCESS)
        return create_detached(request, &spec, existing_ok);
    return create_attached(request, &spec, existing_ok, create->access);
}

static int attach(struct request *request, const char *name, uint32_t access,
                  struct wire_attachment *ret) {
    struct attachment *attachment;
    struct attachment_fds fds;
    int r = manager_attach(request->manager, request->client, name, access, &attachment, &fds,
                           request->error);

    if (r < 0)
        return r;
    request_add_descriptors(request, &fds);
    *ret = request_describe_attachment(request, attachment, false);
    return 0;
}

/* The bytes are @count names, each with its NUL. */
static bool are_names(const char *bytes, size_t size, uint32_t count) {
    uint32_t ends = 0;

    for (size_t i = 0; i < size; i++)
        ends += bytes[i] == '\0';
    return size > 0 && bytes[size - 1] == '\0' && ends == count;
}

static int on_open(struct request *request) {
    const struct wire_open_request *open = request->message->body;
    struct wire_attachment attachments[WIRE_OPEN_MAX];
    const char *name = request_text(request, 0);
    int r = request_check_unused(request, open->reserved);

    if (r < 0)
        return r;
    if (open->count > WIRE_OPEN_MAX ||
        !are_names(name, request->message->string[0].length, open->count))
        return error_set(request->error, -EINVAL, "open needs 1 to %u names, as many as it says",
                         WIRE_OPEN_MAX);
    for (uint32_t i = 0; i < open->count; i++) {
        request->about = name;
        r = attach(request, name, open->access, &attachments[i]);
        if (r < 0) {
            while (i-- > 0)
                manager_detach(request->manager, request->client, attachments[i].attachment_id,
                               NULL);
            return r;
        }
        name += strlen(name) + 1;
    }
    return request_answer(request, &(struct wire_open_reply){.count = open->count},
                          &(struct wire_string){attachments, open->count * sizeof(*attachments)});
}

static int on_detach(struct request *request) {
    const struct wire_detach_request *detach = request->message->body;
    int r =
        manager_detach(request->manager, request->client, detach->attachment_id, request->error);

    if (r == -ENOENT && request->message->header.flags & WIRE_REPEATED)
        r = 0;
    return r < 0 ? r : request_answer(request, &(struct wire_detach_reply){0}, NULL);
}

static int on_destroy(struct request *request) {
    const struct wire_destroy_request *destroy = request->message->body;
    int r = request_check_unused(request, destroy->reserved);

    if (r == 0)
        r = manager_destroy(request->manager, &request->client->caller, request_text(request, 0),
                            request->error);
    return r < 0 ? r : request_answer(request, &(struct wire_destroy_reply){0}, NULL);
}

static int on_renew(struct request *request) {
    const struct wire_renew_request *renew = request->message->body;
    int r = manager_renew(request->manager, &request->client->caller, request_text(request, 0),
                          renew->seconds, request->error);

    return r < 0 ? r : request_answer(request, &(struct wire_renew_reply){0}, NULL);
}

static int on_describe(struct request *request) {
    const struct wire_describe_request *describe = request->message->body;
    const struct caller *caller = &request->client->caller;
    struct region *region;
    int r = request_check_unused(request, describe->reserved);

    if (r < 0)
        return r;
    r = manager_find(request->manager, caller, request_text(request, 0), &region, request->error);
    if (r < 0)
        return r;
    return request_answer(
        request,
        &(struct wire_describe_reply){
            .version = region->segment->version,
            .region_id = region->id,
            .size = region->segment->size,
            .max_size = region->segment->max_size,
            .created_usec = region->created_usec,
            .changed_usec = region->changed_usec,
            .backing = region->segment->backing,
            .lifetime = region->lifetime,
            .seconds = region->seconds,
            .mode = region->access.mode,
            .owner_uid = region->access.owner_uid,
            .owner_gid = region->access.owner_gid,
            .rights = access_rights(&region->access, caller),
            .readers = region->readers,
            .writers = region->writers,
            .remaining_seconds = region_remaining_seconds(region),
            .flags = request_segment_flags(region->segment) | sync_block_flag(region),
            .durability = region->durability,
            .durability_seconds = region->durability_seconds,
        },
        (struct wire_string[]){{region->name}, {region->access.acl}, {region->attributes}});
}

static int on_set_attributes(struct request *request) {
    int r =
        manager_set_attributes(request->manager, &request->client->caller, request_text(request, 0),
                               request_text(request, 1), request->error);

    return r < 0 ? r : request_answer(request, &(struct wire_set_attributes_reply){0}, NULL);
}

static int on_set_access(struct request *request) {
    const struct wire_set_access_request *set = request->message->body;
    int r = request_check_unused(request, set->flags & ~WIRE_SET_ACL);

    if (r == 0)
        r = manager_set_access(request->manager, &request->client->caller, request_text(request, 0),
                               set->mode == WIRE_MODE_DEFAULT ? NULL : &set->mode,
                               set->flags & WIRE_SET_ACL ? request_text(request, 1) : NULL,
                               request->error);
    return r < 0 ? r : request_answer(request, &(struct wire_set_access_reply){0}, NULL);
}

static int (*const handlers[])(struct request *request) = {
#define X(NAME, name, number, ...) [WIRE_##NAME] = on_##name,
    WIRE_OPS(X)
#undef X
};

static int fail(const struct request *request, int r) {
    const struct wire_message *message = request->message;
    bool has_name = message->n_strings > 0 && message->header.op != WIRE_OPEN;

    audit_failure(manager_audit(request->manager), &request->client->caller,
                  wire_op_name(message->header.op),
                  has_name ? message->string[0].data : request->about, r, request->error);
    return r;
}

static int carry_out(struct request *request) {
    const struct wire_header *header = &request->message->header;
    bool repeated = header->flags & WIRE_REPEATED;
    int r;

    if (request->client->id == 0 && header->op != WIRE_HELLO)
        return error_set(request->error, -EPROTO, "%s: hello comes first",
                         wire_op_name(header->op));
    if (request_answer_done(request, &r))
        return r;
    manager_begin_request(request->client, header->serial, repeated);
    r = request_check_limits(request);
    if (r == 0)
        r = handlers[header->op](request);
    manager_end_request(request->client, header->serial, repeated);
    return r < 0 ? fail(request, r) : r;
}

void dispatch_error(struct reply *reply, const struct wire_header *header,
                    const struct error *error) {
    packet_fds_close(&reply->fds);
    reply->size = (size_t)wire_encode_error(header, error, reply->data);
}

int dispatch(struct dispatcher *dispatcher, struct client *client, size_t size,
             struct error *error) {
    struct wire_message message = {0};
    struct reply *reply = &dispatcher->reply;
    struct request request = {
        .dispatcher = dispatcher,
        .manager = dispatcher->manager,
        .client = client,
        .message = &message,
        .reply = reply,
        .value = dispatcher->value,
        .error = error,
    };
    int malformed, r;

    reply->size = 0;
    reply->fds.count = 0;
    dispatcher->task = NULL;
    malformed = r = wire_decode(WIRE_REQUEST_SIDE, dispatcher->request, size,
                                dispatcher->request_fds.count, &message, error);
    if (r == 0 && request_is_stale(client, &message.header))
        return 0;
    if (r == 0)
        r = carry_out(&request);
    /* Nobody takes memory from the disk: a request that is held has no descriptors. */
    if (r == -EINPROGRESS && dispatcher->request_fds.count == 0)
        r = request_hold(&request, size);
    if (r < 0)
        dispatch_error(reply, &message.header, error);
    if ((message.header.flags & WIRE_NO_REPLY) || size < sizeof(message.header)) {
        packet_fds_close(&reply->fds);
        reply->size = 0;
    }
    return malformed == -EBADMSG ? malformed : 0;
}

void dispatch_refusal(struct dispatcher *dispatcher, size_t size, const struct error *refusal) {
    struct wire_message message = {0};

    dispatcher->reply.size = 0;
    dispatcher->reply.fds.count = 0;
    dispatcher->task = NULL;
    if (wire_decode(WIRE_REQUEST_SIDE, dispatcher->request, size, dispatcher->request_fds.count,
                    &message, NULL) == 0)
        dispatch_error(&dispatcher->reply, &message.header, refusal);
}
