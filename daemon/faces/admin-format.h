/*
 * Format: what the core knows, as the types of io.shmreg.Admin
 *
 * Every function returns a new JSON value, or NULL when there is no memory.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/client.h"
#include "daemon/core/declare.h"
#include "daemon/core/quota.h"
#include "daemon/core/region.h"

#define USER_NAMES 16
#define USER_NAME_MAX 64

/* Names that one reply has looked up: a list has few users and may have many regions. Starts zero.
 */
struct user_names {
    struct {
        uid_t uid;
        char name[USER_NAME_MAX]; /* "" while the slot is free */
    } slot[USER_NAMES];
};

json_t *format_region(const struct region *region, struct user_names *names);
json_t *format_attachment(const struct attachment *attachment);
json_t *format_client(const struct client *client, struct user_names *names);
json_t *format_usages(const struct account *account);
json_t *format_account(const struct account *account, struct user_names *names);
json_t *format_problems(const struct declarations *declarations);

/* Text from outside, such as a path: what is not UTF-8 becomes '?'. */
json_t *format_text(const char *text);
