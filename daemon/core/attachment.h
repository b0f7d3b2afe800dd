/*
 * Attachment: one client's hold on one segment
 *
 * Made and ended only here, so that the client's tree, the region's list and counts, the references
 * and the charge always agree. The records of holders are the manager's business.
 */
#pragma once

#include "daemon/core/client.h"
#include "daemon/core/region.h"

/* Makes an attachment with the charge given, which it takes over. 0 or -ENOMEM (charge released).
 */
int attachment_new(uint64_t id, struct client *client, struct region *region,
                   struct segment *segment, uint32_t access, struct charge *charge,
                   struct attachment **ret);
void attachment_free(struct attachment *attachment);

/* Any one attachment of the client, or NULL. */
struct attachment *client_any_attachment(const struct client *client);

/* Gives all attachments of a client that is not connected to the one that took its place. */
void client_take_attachments(struct client *client, struct client *from);
