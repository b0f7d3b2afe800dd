/*
 * Attachment: see attachment.h.
 */
#include "daemon/core/attachment.h"

#include "proto/rights.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

static int compare_attachments(const void *a, const void *b) {
    uint64_t x = ((const struct attachment *)a)->id, y = ((const struct attachment *)b)->id;

    return (x > y) - (x < y);
}

static unsigned *count_of(const struct attachment *attachment) {
    struct region *region = attachment->region;

    return attachment->access == RIGHT_WRITE ? &region->writers : &region->readers;
}

int attachment_new(uint64_t id, struct client *client, struct region *region,
                   struct segment *segment, uint32_t access, struct charge *charge,
                   struct attachment **ret) {
    struct attachment *attachment = calloc(1, sizeof(*attachment));

    if (!attachment) {
        charge_release(charge);
        return -ENOMEM;
    }
    *attachment = (struct attachment){
        .id = id,
        .client = client,
        .access = access,
        .charge = charge,
    };
    if (!tsearch(attachment, &client->attachments, compare_attachments)) {
        charge_release(attachment->charge);
        free(attachment);
        return -ENOMEM;
    }
    client->n_attachments++;
    attachment->region = region_ref(region);
    attachment->segment = segment_ref(segment);
    LIST_INSERT_HEAD(&region->attachments, attachment, link);
    ++*count_of(attachment);
    *ret = attachment;
    return 0;
}

void attachment_free(struct attachment *attachment) {
    tdelete(attachment, &attachment->client->attachments, compare_attachments);
    attachment->client->n_attachments--;
    --*count_of(attachment);
    LIST_REMOVE(attachment, link);
    charge_release(attachment->charge);
    segment_unref(attachment->segment);
    region_unref(attachment->region);
    free(attachment);
}

struct attachment *client_find_attachment(const struct client *client, uint64_t id) {
    struct attachment **node =
        tfind(&(struct attachment){.id = id}, &client->attachments, compare_attachments);

    return node ? *node : NULL;
}

struct attachment *client_any_attachment(const struct client *client) {
    /* A node of tsearch(3) starts with the pointer to its key. */
    return client->attachments ? *(struct attachment **)client->attachments : NULL;
}

static void adopt(const void *node, VISIT visit, void *client) {
    if (visit == postorder || visit == leaf)
        (*(struct attachment *const *)node)->client = client;
}

void client_take_attachments(struct client *client, struct client *from) {
    client->attachments = from->attachments;
    client->n_attachments = from->n_attachments;
    from->attachments = NULL;
    from->n_attachments = 0;
    twalk_r(client->attachments, adopt, client);
}
