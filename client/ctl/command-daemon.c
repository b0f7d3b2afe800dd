/*
 * clients, status, ping and reload: the daemon itself
 */
#include "client/ctl/commands.h"

#include "client/ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define USEC_PER_SEC 1000000

static int add_client(struct table *table, json_t *client, struct error *error) {
    json_int_t id, pid, attachments;
    const char *user, *command;
    int connected;
    int r = ctl_unpack(client, error, "{s:I, s:I, s:s, s:s, s:b, s:I}", "client_id", &id, "pid",
                       &pid, "user", &user, "command", &command, "connected", &connected,
                       "attachments", &attachments);

    if (r < 0)
        return r;
    table_add(table, "%" JSON_INTEGER_FORMAT, pid);
    table_add(table, "%s", user);
    table_add(table, "%s", command);
    table_add(table, "%" JSON_INTEGER_FORMAT, attachments);
    table_add(table, "%" PRIx64, (uint64_t)id);
    table_add(table, "%s", connected ? "connected" : "away");
    return 0;
}

int command_clients(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    static const struct column columns[] = {
        {"PID", true}, {"USER"}, {"COMMAND"}, {"ATTACHMENTS", true}, {"CLIENT", true}, {"STATE"},
    };

    (void)invocation;
    return ctl_print_list(ctl, "ListClients", json_object(), "clients", columns,
                          ARRAY_SIZE(columns), add_client, error);
}

static void add_amount(struct table *table, const char *kind, json_int_t amount) {
    char size[SIZE_TEXT_MAX];

    size_format(amount, size);
    if (strcmp(kind, "bytes") == 0)
        table_add(table, "%s", size);
    else
        table_add(table, "%" JSON_INTEGER_FORMAT, amount);
}

static int print_usage(const struct ctl *ctl, json_t *usages, struct error *error) {
    static const struct column columns[] = {{"KIND"}, {"USED", true}, {"LIMIT", true}};
    _cleanup_(cleanup_table_free) struct table *table = table_new(columns, ARRAY_SIZE(columns));
    json_t *usage;
    size_t i;

    if (!table)
        return error_set(error, -ENOMEM, "no memory for a table");
    json_array_foreach (usages, i, usage) {
        const char *kind;
        json_int_t used;
        json_t *limit = NULL;
        int r = ctl_unpack(usage, error, "{s:s, s:I, s?o}", "kind", &kind, "used", &used, "limit",
                           &limit);

        if (r < 0)
            return r;
        table_add(table, "%s", kind);
        add_amount(table, kind, used);
        if (json_is_integer(limit))
            add_amount(table, kind, json_integer_value(limit));
        else
            table_add(table, "none");
    }
    putchar('\n');
    return ctl_print_table(ctl, table, error);
}

static int print_started(const struct ctl *ctl, json_int_t usec, struct error *error) {
    char when[TIME_TEXT_MAX], age[SPAN_TEXT_MAX];

    time_format(usec, when);
    span_format((int64_t)time(NULL) - usec / USEC_PER_SEC, age);
    return ctl_print_field(ctl, error, "Started:", "%s, %s ago", when, age);
}

static int print_texts(const struct ctl *ctl, const char *label, json_t *texts,
                       struct error *error) {
    json_t *text;
    size_t i;
    int r = 0;

    json_array_foreach (texts, i, text) {
        if (r == 0 && json_is_string(text))
            r = ctl_print_field(ctl, error, i == 0 ? label : "", "%s", json_string_value(text));
    }
    return r;
}

/* Only where there is a service manager. */
static int print_kept(const struct ctl *ctl, json_t *kept, struct error *error) {
    json_int_t used, limit, left_out;
    int r;

    if (!kept || json_is_null(kept))
        return 0;
    r = ctl_unpack(kept, error, "{s:I, s:I, s:I}", "used", &used, "limit", &limit, "left_out",
                   &left_out);
    if (r < 0)
        return r;
    return ctl_print_field(ctl, error, "Kept:",
                           "%" JSON_INTEGER_FORMAT " of at most %" JSON_INTEGER_FORMAT
                           " descriptors of memory outlive the daemon, %" JSON_INTEGER_FORMAT
                           " more do not",
                           used, limit, left_out);
}

int command_status(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    const char *version = NULL, *instance = NULL, *runtime = NULL, *state = NULL;
    json_t *configuration = NULL, *usage = NULL;
    json_int_t pid = 0, started = 0;
    int r = ctl_call(ctl, "GetStatus", json_object(), &reply, error);

    (void)invocation;
    if (r == 0 && ctl->json)
        return ctl_print_json(reply, error);
    if (r == 0)
        r = ctl_unpack(reply, error, "{s:s, s:I, s:I, s:s, s:s, s:s, s:o, s:o}", "version",
                       &version, "pid", &pid, "started_usec", &started, "instance", &instance,
                       "runtime_directory", &runtime, "state_directory", &state, "configuration",
                       &configuration, "usage", &usage);
    if (r < 0 || (r = ctl_print_field(ctl, error, "Version:", "%s", version)) < 0 ||
        (r = ctl_print_field(ctl, error, "Process:", "%" JSON_INTEGER_FORMAT, pid)) < 0 ||
        (r = print_started(ctl, started, error)) < 0 ||
        (r = ctl_print_field(ctl, error, "Instance:", "%s", instance)) < 0 ||
        (r = ctl_print_field(ctl, error, "Runtime:", "%s", runtime)) < 0 ||
        (r = ctl_print_field(ctl, error, "State:", "%s", state)) < 0 ||
        (r = print_texts(ctl, "Configured:", configuration, error)) < 0 ||
        (r = print_texts(ctl, "Problems:", json_object_get(reply, "problems"), error)) < 0 ||
        (r = print_kept(ctl, json_object_get(reply, "kept"), error)) < 0)
        return r;
    return print_usage(ctl, usage, error);
}

static int64_t monotonic_usec(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

int command_ping(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    int64_t start = monotonic_usec();
    int r = ctl_call(ctl, "Ping", json_object(), &reply, error);

    (void)invocation;
    if (r < 0)
        return r;
    if (ctl->json)
        return ctl_print_json(reply, error);
    printf("the daemon answered after %.1f ms\n", (double)(monotonic_usec() - start) / 1000);
    return 0;
}

/* On standard error, though nothing has failed. */
__attribute__((format(printf, 1, 2))) static void warn(const char *format, ...) {
    struct error warning;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(warning.text, sizeof(warning.text), format, arguments);
    va_end(arguments);
    ctl_report(&warning);
}

int command_reload(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    json_t *problems = NULL, *problem;
    json_int_t loading = 0;
    size_t i;
    int r = ctl_call(ctl, "Reload", json_object(), &reply, error);

    (void)invocation;
    if (r == 0 && ctl->json)
        return ctl_print_json(reply, error);
    if (r == 0)
        r = ctl_unpack(reply, error, "{s:o, s:I}", "problems", &problems, "loading", &loading);
    if (r < 0)
        return r;
    json_array_foreach (problems, i, problem)
        warn("%s", json_is_string(problem) ? json_string_value(problem) : "?");
    if (loading > 0)
        warn("files that are still being loaded: %" JSON_INTEGER_FORMAT, loading);
    return 0;
}
