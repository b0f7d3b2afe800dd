/*
 * usage: who uses how much of which limits
 */
#include "client/ctl/commands.h"

#include "client/ctl/text.h"

#include <string.h>

#define KINDS 4

/* "12", or "12 of 100". */
static void add_usage(struct table *table, const char *kind, json_int_t used, const json_t *limit) {
    bool bytes = strcmp(kind, "bytes") == 0;
    char size[SIZE_TEXT_MAX], most[SIZE_TEXT_MAX];

    size_format(used, size);
    if (!bytes)
        snprintf(size, sizeof(size), "%" JSON_INTEGER_FORMAT, used);
    if (!json_is_integer(limit)) {
        table_add(table, "%s", size);
        return;
    }
    size_format(json_integer_value(limit), most);
    if (!bytes)
        snprintf(most, sizeof(most), "%" JSON_INTEGER_FORMAT, json_integer_value(limit));
    table_add(table, "%s of %s", size, most);
}

/* In the order of the columns, whatever the daemon's is. */
static int add_usages(struct table *table, json_t *usages, struct error *error) {
    static const char *const kinds[KINDS] = {"regions", "bytes", "attachments", "connections"};
    json_int_t used[KINDS] = {0};
    json_t *limits[KINDS] = {NULL}, *usage;
    size_t i;

    json_array_foreach (usages, i, usage) {
        json_int_t amount;
        json_t *limit = NULL;
        const char *kind;
        int r = ctl_unpack(usage, error, "{s:s, s:I, s?o}", "kind", &kind, "used", &amount, "limit",
                           &limit);

        if (r < 0)
            return r;
        for (size_t k = 0; k < KINDS; k++)
            if (strcmp(kinds[k], kind) == 0) {
                used[k] = amount;
                limits[k] = limit;
            }
    }
    for (size_t k = 0; k < KINDS; k++)
        add_usage(table, kinds[k], used[k], limits[k]);
    return 0;
}

static int add_account(struct table *table, json_t *account, struct error *error) {
    json_t *usages, *rate = NULL;
    const char *kind, *name = "";
    int r = ctl_unpack(account, error, "{s:s, s?s, s:o, s?o}", "kind", &kind, "name", &name,
                       "usage", &usages, "requests_per_second", &rate);

    if (r < 0)
        return r;
    table_add(table, "%s", kind);
    table_add(table, "%s", name);
    r = add_usages(table, usages, error);
    if (json_is_integer(rate))
        table_add(table, "%" JSON_INTEGER_FORMAT, json_integer_value(rate));
    else
        table_add(table, "none");
    return r;
}

int command_usage(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    static const struct column columns[] = {
        {"OF"},
        {"NAME"},
        {"REGIONS", true},
        {"BYTES", true},
        {"ATTACHMENTS", true},
        {"CONNECTIONS", true},
        {"REQUESTS/S", true},
    };

    (void)invocation;
    return ctl_print_list(ctl, "ListUsage", json_object(), "accounts", columns, ARRAY_SIZE(columns),
                          add_account, error);
}
