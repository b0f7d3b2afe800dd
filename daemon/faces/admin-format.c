/*
 * Format: see admin-format.h.
 */
#include "daemon/faces/admin-format.h"

#include "proto/cleanup.h"
#include "proto/words.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define COMMAND_MAX 64

/* Nothing that could upset a terminal or JSON. */
static void make_plain(char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

json_t *format_text(const char *text) {
    json_t *json = json_string(text);
    _cleanup_free_ char *copy = json ? NULL : strdup(text);

    if (!copy)
        return json;
    make_plain(copy);
    return json_string(copy);
}

/* The user's name, or the number where he has none. */
static const char *user_name(struct user_names *names, uid_t uid) {
    char *name = names->slot[uid % USER_NAMES].name;
    const struct passwd *entry;

    if (*name && names->slot[uid % USER_NAMES].uid == uid)
        return name;
    names->slot[uid % USER_NAMES].uid = uid;
    entry = getpwuid(uid);
    if (entry && *entry->pw_name)
        snprintf(name, USER_NAME_MAX, "%s", entry->pw_name);
    else
        snprintf(name, USER_NAME_MAX, "%u", uid);
    make_plain(name);
    return name;
}

static json_t *format_acl(const char *acl) {
    json_t *rules = json_array();

    while (*acl) {
        size_t length = strcspn(acl, ",");

        json_array_append_new(rules, json_stringn(acl, length));
        acl += length + (acl[length] == ',');
    }
    return rules;
}

json_t *format_region(const struct region *region, struct user_names *names) {
    const struct access *access = &region->access;
    uint32_t remaining = region_remaining_seconds(region);
    char mode[MODE_TEXT_MAX];
    json_t *attributes = json_loads(region->attributes, 0, NULL);

    mode_format(access->mode, mode);
    return json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:s, s:I, s:o*, s:o*, s:I, "
        "s:I, s:I, s:I, s:s*, s:b, s:b, s:s, s:I, s:o*}",
        "name", region->name, "id", (json_int_t)region->id, "version",
        (json_int_t)region->segment->version, "backing", backing_to_word(region->segment->backing),
        "size", (json_int_t)region->segment->size, "max_size",
        (json_int_t)region->segment->max_size, "owner_uid", (json_int_t)access->owner_uid,
        "owner_gid", (json_int_t)access->owner_gid, "owner", user_name(names, access->owner_uid),
        "mode", mode, "acl", format_acl(access->acl), "attributes",
        attributes ? attributes : json_object(), "lifetime", lifetime_to_word(region->lifetime),
        "seconds", (json_int_t)region->seconds, "remaining_seconds",
        remaining == UINT32_MAX ? NULL : json_integer(remaining), "owner_pid",
        region->lifetime == LIFETIME_OWNER ? json_integer(region->owner_identity.pid) : NULL,
        "readers", (json_int_t)region->readers, "writers", (json_int_t)region->writers,
        "created_usec", (json_int_t)region->created_usec, "changed_usec",
        (json_int_t)region->changed_usec, "huge_pages",
        huge_pages_to_word(region->segment->huge_pages), "sync_block", region->sync_block != NULL,
        "sealed", region->segment->sealed, "durability", durability_to_word(region->durability),
        "durability_seconds", (json_int_t)region->durability_seconds, "kept",
        backing_is_nameless(region->segment->backing) ? json_boolean(region_is_kept(region))
                                                      : NULL);
}

json_t *format_attachment(const struct attachment *attachment) {
    const struct client *client = attachment->client;

    return json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:b}", "region", attachment->region->name,
                     "version", (json_int_t)attachment->segment->version, "access",
                     attachment->access & RIGHT_WRITE ? "write" : "read", "client_id",
                     (json_int_t)client->id, "pid", (json_int_t)client->caller.pid, "uid",
                     (json_int_t)client->caller.uid, "connected", client->connected);
}

/* "" for a process that has ended. */
static void read_command(pid_t pid, char ret[static COMMAND_MAX]) {
    _cleanup_close_ int fd = -1;
    char path[32];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, ret, COMMAND_MAX - 1);
    ret[n < 0 ? 0 : n] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    make_plain(ret);
}

json_t *format_client(const struct client *client, struct user_names *names) {
    char command[COMMAND_MAX];

    read_command(client->caller.pid, command);
    return json_pack("{s:I, s:I, s:I, s:s, s:s, s:b, s:I}", "client_id", (json_int_t)client->id,
                     "pid", (json_int_t)client->caller.pid, "uid", (json_int_t)client->caller.uid,
                     "user", user_name(names, client->caller.uid), "command", command, "connected",
                     client->connected, "attachments", (json_int_t)client->n_attachments);
}

static json_t *format_usage(const struct account *account, enum limit_kind kind) {
    uint64_t limit = account_limit(account, kind);

    return json_pack("{s:s, s:I, s:o*}", "kind", limit_word(kind), "used",
                     (json_int_t)account->used[kind], "limit",
                     limit == LIMIT_NONE ? NULL : json_integer((json_int_t)limit));
}

json_t *format_usages(const struct account *account) {
    json_t *usages = json_array();

    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        json_array_append_new(usages, format_usage(account, kind));
    return usages;
}

json_t *format_account(const struct account *account, struct user_names *names) {
    static const char *const kinds[] = {
        [ACCOUNT_TOTAL] = "total",
        [ACCOUNT_USER] = "user",
        [ACCOUNT_UNIT] = "unit",
        [ACCOUNT_NAMESPACE] = "namespace",
    };
    bool is_user = account->kind == ACCOUNT_USER;
    uint64_t rate = account->limits ? account->limits->rate : 0;
    const char *name = is_user ? user_name(names, account->uid) : account->name;

    return json_pack("{s:s, s:o*, s:o*, s:o, s:o*}", "kind", kinds[account->kind], "name",
                     name ? format_text(name) : NULL, "uid",
                     is_user ? json_integer((json_int_t)account->uid) : NULL, "usage",
                     format_usages(account), "requests_per_second",
                     rate ? json_integer((json_int_t)rate) : NULL);
}

static void add_problem(void *data, const char *problem) {
    json_array_append_new(data, format_text(problem));
}

json_t *format_problems(const struct declarations *declarations) {
    json_t *problems = json_array();

    declarations_each_problem(declarations, add_problem, problems);
    return problems;
}
