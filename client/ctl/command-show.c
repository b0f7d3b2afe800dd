/*
 * list and show: the regions and who holds them
 */
#include "client/ctl/commands.h"

#include "client/ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define USEC_PER_SEC 1000000

/* The members of a Region, borrowed from the reply. */
struct view {
    const char *name;
    json_int_t version;
    const char *backing;
    json_int_t size;
    json_int_t max_size;
    json_int_t owner_uid;
    json_int_t owner_gid;
    const char *owner;
    const char *mode;
    json_t *acl;
    json_t *attributes;
    const char *lifetime;
    json_int_t seconds;
    json_t *remaining_seconds; /* NULL, null or a number, as the next */
    json_t *owner_pid;
    json_int_t readers;
    json_int_t writers;
    json_int_t created_usec;
    json_int_t changed_usec;
    const char *huge_pages; /* NULL for none */
    int sync_block, sealed;
    int kept; /* true for what has no need of it */
    const char *durability;
    json_int_t durability_seconds;
};

static int view_read(json_t *region, struct view *ret, struct error *error) {
    *ret = (struct view){.kept = true};
    return ctl_unpack(region, error,
                      "{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:s, s:I, s?o, s?o,"
                      " s:I, s:I, s:I, s:I, s?s, s:b, s:b, s:s, s:I, s?b}",
                      "name", &ret->name, "version", &ret->version, "backing", &ret->backing,
                      "size", &ret->size, "max_size", &ret->max_size, "owner_uid", &ret->owner_uid,
                      "owner_gid", &ret->owner_gid, "owner", &ret->owner, "mode", &ret->mode, "acl",
                      &ret->acl, "attributes", &ret->attributes, "lifetime", &ret->lifetime,
                      "seconds", &ret->seconds, "remaining_seconds", &ret->remaining_seconds,
                      "owner_pid", &ret->owner_pid, "readers", &ret->readers, "writers",
                      &ret->writers, "created_usec", &ret->created_usec, "changed_usec",
                      &ret->changed_usec, "huge_pages", &ret->huge_pages, "sync_block",
                      &ret->sync_block, "sealed", &ret->sealed, "durability", &ret->durability,
                      "durability_seconds", &ret->durability_seconds, "kept", &ret->kept);
}

static void format_age(json_int_t usec, char ret[static SPAN_TEXT_MAX]) {
    span_format((int64_t)time(NULL) - usec / USEC_PER_SEC, ret);
}

/* "lease 45s": with what is left, where something is running out. */
static void add_lifetime(struct table *table, const struct view *view) {
    char left[SPAN_TEXT_MAX];

    if (!json_is_integer(view->remaining_seconds)) {
        table_add(table, "%s", view->lifetime);
        return;
    }
    span_format(json_integer_value(view->remaining_seconds), left);
    table_add(table, "%s %s", view->lifetime, left);
}

static int add_region(struct table *table, json_t *region, struct error *error) {
    char size[SIZE_TEXT_MAX], age[SPAN_TEXT_MAX];
    struct view view;
    int r = view_read(region, &view, error);

    if (r < 0)
        return r;
    size_format(view.size, size);
    format_age(view.created_usec, age);
    table_add(table, "%s", view.name);
    table_add(table, "%s", size);
    table_add(table, "%s", view.backing);
    add_lifetime(table, &view);
    table_add(table, "%s", view.owner);
    table_add(table, "%s%s", view.mode, json_array_size(view.acl) > 0 ? "+" : "");
    table_add(table, "%" JSON_INTEGER_FORMAT "%s", view.version, view.sealed ? " sealed" : "");
    table_add(table, "%" JSON_INTEGER_FORMAT, view.readers);
    table_add(table, "%" JSON_INTEGER_FORMAT, view.writers);
    table_add(table, "%s", age);
    return 0;
}

int command_list(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    static const struct column columns[] = {
        {"NAME"}, {"SIZE", true}, {"BACKING"},       {"LIFETIME"},      {"OWNER"},
        {"MODE"}, {"VER", true},  {"READERS", true}, {"WRITERS", true}, {"AGE", true},
    };
    /* Without an argument the prefix is NULL, and the member left out. */
    json_t *parameters = json_pack("{s:s*}", "prefix", invocation->arguments[0]);

    return ctl_print_list(ctl, "ListRegions", parameters, "regions", columns, ARRAY_SIZE(columns),
                          add_region, error);
}

static int print_size(const struct ctl *ctl, const struct view *view, struct error *error) {
    char size[SIZE_TEXT_MAX], max_size[SIZE_TEXT_MAX];
    int r;

    size_format(view->size, size);
    size_format(view->max_size, max_size);
    if (view->size < 1024)
        r = ctl_print_field(ctl, error, "Size:", "%s", size);
    else
        r = ctl_print_field(ctl, error, "Size:", "%s (%" JSON_INTEGER_FORMAT " bytes)", size,
                            view->size);
    if (r == 0 && view->max_size > view->size)
        r = ctl_print_field(ctl, error, "Maximum:", "%s", max_size);
    return r;
}

static int print_backing(const struct ctl *ctl, const struct view *view, struct error *error) {
    return ctl_print_field(ctl, error, "Backing:", "%s%s%s%s", view->backing,
                           view->huge_pages ? ", huge pages of " : "",
                           view->huge_pages ? view->huge_pages : "",
                           view->kept ? "" : ", ends with the daemon");
}

/* Only a file has a disk. */
static int print_durability(const struct ctl *ctl, const struct view *view, struct error *error) {
    char seconds[SPAN_TEXT_MAX];

    if (strcmp(view->backing, "file") != 0)
        return 0;
    span_format(view->durability_seconds, seconds);
    return ctl_print_field(ctl, error, "Durability:", view->durability_seconds > 0 ? "%s %s" : "%s",
                           view->durability, seconds);
}

static int print_lifetime(const struct ctl *ctl, const struct view *view, struct error *error) {
    char seconds[SPAN_TEXT_MAX], left[SPAN_TEXT_MAX];

    span_format(view->seconds, seconds);
    if (json_is_integer(view->owner_pid))
        return ctl_print_field(ctl, error, "Lifetime:", "%s, process %" JSON_INTEGER_FORMAT,
                               view->lifetime, json_integer_value(view->owner_pid));
    if (json_is_integer(view->remaining_seconds)) {
        span_format(json_integer_value(view->remaining_seconds), left);
        return ctl_print_field(ctl, error, "Lifetime:", "%s %s, %s left", view->lifetime, seconds,
                               left);
    }
    return ctl_print_field(ctl, error, "Lifetime:", view->seconds > 0 ? "%s %s" : "%s",
                           view->lifetime, seconds);
}

static int print_access(const struct ctl *ctl, const struct view *view, struct error *error) {
    json_t *rule;
    size_t i;
    int r = ctl_print_field(
        ctl, error, "Owner:", "%s (uid %" JSON_INTEGER_FORMAT ", gid %" JSON_INTEGER_FORMAT ")",
        view->owner, view->owner_uid, view->owner_gid);

    if (r == 0)
        r = ctl_print_field(ctl, error, "Mode:", "%s", view->mode);
    json_array_foreach (view->acl, i, rule) {
        if (r == 0 && json_is_string(rule))
            r = ctl_print_field(ctl, error, i == 0 ? "Rules:" : "", "%s", json_string_value(rule));
    }
    return r;
}

static int print_time(const struct ctl *ctl, const char *label, json_int_t usec,
                      struct error *error) {
    char when[TIME_TEXT_MAX], age[SPAN_TEXT_MAX];

    time_format(usec, when);
    format_age(usec, age);
    return ctl_print_field(ctl, error, label, "%s, %s ago", when, age);
}

static int print_region(const struct ctl *ctl, const struct view *view, struct error *error) {
    _cleanup_free_ char *attributes = json_dumps(view->attributes, 0);
    int r;

    if (!attributes)
        return error_set(error, -EPROTO, "the daemon's reply makes no sense: attributes");
    if ((r = ctl_print_field(ctl, error, "Name:", "%s", view->name)) < 0 ||
        (r = ctl_print_field(ctl, error, "Version:", "%" JSON_INTEGER_FORMAT "%s", view->version,
                             view->sealed ? ", sealed" : "")) < 0 ||
        (r = print_size(ctl, view, error)) < 0 || (r = print_backing(ctl, view, error)) < 0 ||
        (r = print_durability(ctl, view, error)) < 0 ||
        (r = ctl_print_field(ctl, error, "Sync block:", "%s", view->sync_block ? "yes" : "no")) <
            0 ||
        (r = print_lifetime(ctl, view, error)) < 0 || (r = print_access(ctl, view, error)) < 0 ||
        (r = ctl_print_field(ctl, error, "Attributes:", "%s", attributes)) < 0 ||
        (r = print_time(ctl, "Created:", view->created_usec, error)) < 0)
        return r;
    return print_time(ctl, "Changed:", view->changed_usec, error);
}

static int add_holder(struct table *table, json_t *attachment, struct error *error) {
    json_int_t pid, uid, version, client;
    const char *access;
    int connected;
    int r = ctl_unpack(attachment, error, "{s:I, s:I, s:s, s:I, s:I, s:b}", "pid", &pid, "uid",
                       &uid, "access", &access, "version", &version, "client_id", &client,
                       "connected", &connected);

    if (r < 0)
        return r;
    table_add(table, "%" JSON_INTEGER_FORMAT, pid);
    table_add(table, "%" JSON_INTEGER_FORMAT, uid);
    table_add(table, "%s", access);
    table_add(table, "%" JSON_INTEGER_FORMAT, version);
    table_add(table, "%" PRIx64, (uint64_t)client);
    table_add(table, "%s", connected ? "connected" : "away");
    return 0;
}

static int print_holders(const struct ctl *ctl, json_t *attachments, struct error *error) {
    static const struct column columns[] = {
        {"PID", true}, {"UID", true}, {"ACCESS"}, {"VER", true}, {"CLIENT", true}, {"STATE"},
    };

    if (json_array_size(attachments) == 0)
        return 0;
    putchar('\n');
    return ctl_print_rows(ctl, columns, ARRAY_SIZE(columns), attachments, add_holder, error);
}

int command_show(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    json_t *region = NULL, *attachments = NULL;
    struct view view;
    int r = ctl_call(ctl, "GetRegion", json_pack("{s:s}", "name", invocation->arguments[0]), &reply,
                     error);

    if (r == 0 && ctl->json)
        return ctl_print_json(reply, error);
    if (r == 0)
        r = ctl_unpack(reply, error, "{s:o, s:o}", "region", &region, "attachments", &attachments);
    if (r == 0)
        r = view_read(region, &view, error);
    if (r == 0)
        r = print_region(ctl, &view, error);
    return r < 0 ? r : print_holders(ctl, attachments, error);
}
