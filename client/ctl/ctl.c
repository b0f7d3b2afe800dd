/*
 * What every command works with: see ctl.h.
 */
#include "client/ctl/ctl.h"

#include "client/ctl/text.h"

#include <errno.h>
#include <stdarg.h>

#define INTERFACE "io.shmreg.Admin"
#define LABEL_WIDTH 12

static int send_call(struct ctl *ctl, const char *method, json_t *parameters_, bool more,
                     struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *parameters = parameters_;
    _cleanup_free_ char *full_name = NULL;
    int r = 0;

    if (!ctl->varlink)
        r = varlink_connect(&ctl->address, VARLINK_TIMEOUT_MS, &ctl->varlink, error);
    if (r < 0)
        return r;
    if (asprintf(&full_name, INTERFACE ".%s", method) < 0) {
        full_name = NULL;
        return error_set(error, -ENOMEM, "no memory for the call");
    }
    return varlink_send(ctl->varlink, full_name, steal_pointer(parameters), more, error);
}

int ctl_call(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret,
             struct error *error) {
    bool continues;
    int r = send_call(ctl, method, parameters, false, error);

    return r < 0 ? r : varlink_receive(ctl->varlink, ret, &continues, error);
}

int ctl_stream(struct ctl *ctl, const char *method, json_t *parameters, int timeout_ms,
               ctl_reply *take, void *data, struct error *error) {
    bool continues = true;
    int r = send_call(ctl, method, parameters, true, error);

    if (r == 0)
        varlink_set_timeout(ctl->varlink, timeout_ms);
    while (r == 0 && continues) {
        _cleanup_(cleanup_json_decref) json_t *reply = NULL;

        r = varlink_receive(ctl->varlink, &reply, &continues, error);
        if (r == 0)
            r = take(ctl, reply, data, error);
    }
    return r;
}

int ctl_print_json(const json_t *reply, struct error *error) {
    _cleanup_free_ char *text = json_dumps(reply, JSON_COMPACT);
    _cleanup_free_ char *safe = text ? text_escape(text) : NULL;

    if (!safe)
        return error_set(error, -ENOMEM, "no memory to print the reply");
    puts(safe); /* main() looks whether all of standard output was written */
    return 0;
}

int ctl_call_silently(struct ctl *ctl, const char *method, json_t *parameters,
                      struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    int r = ctl_call(ctl, method, parameters, &reply, error);

    if (r < 0 || !ctl->json)
        return r;
    return ctl_print_json(reply, error);
}

int ctl_unpack(json_t *reply, struct error *error, const char *format, ...) {
    json_error_t fault;
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = json_vunpack_ex(reply, &fault, 0, format, arguments);
    va_end(arguments);
    if (r < 0)
        return error_set(error, -EPROTO, "the daemon's reply makes no sense: %s", fault.text);
    return 0;
}

int ctl_print_table(const struct ctl *ctl, const struct table *table, struct error *error) {
    if (table_print(table, stdout, ctl->terminal, ctl->color) < 0)
        return error_set(error, -ENOMEM, "no memory for a table");
    return 0;
}

int ctl_print_rows(const struct ctl *ctl, const struct column *columns, size_t n_columns,
                   json_t *objects, ctl_row *add, struct error *error) {
    _cleanup_(cleanup_table_free) struct table *table = table_new(columns, n_columns);
    json_t *object;
    size_t i;

    if (!table)
        return error_set(error, -ENOMEM, "no memory for a table");
    json_array_foreach (objects, i, object) {
        int r = add(table, object, error);

        if (r < 0)
            return r;
    }
    return ctl_print_table(ctl, table, error);
}

int ctl_print_list(struct ctl *ctl, const char *method, json_t *parameters, const char *member,
                   const struct column *columns, size_t n_columns, ctl_row *add,
                   struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;
    json_t *objects = NULL;
    int r = ctl_call(ctl, method, parameters, &reply, error);

    if (r == 0 && ctl->json)
        return ctl_print_json(reply, error);
    if (r == 0)
        r = ctl_unpack(reply, error, "{s:o}", member, &objects);
    return r < 0 ? r : ctl_print_rows(ctl, columns, n_columns, objects, add, error);
}

int ctl_print_field(const struct ctl *ctl, struct error *error, const char *label,
                    const char *format, ...) {
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ char *safe = NULL;
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (r < 0)
        text = NULL;
    safe = text ? text_escape(text) : NULL;
    if (!safe)
        return error_set(error, -ENOMEM, "no memory for a line");
    printf("%s%-*s%s %s\n", ctl->color ? "\033[1m" : "", LABEL_WIDTH, label,
           ctl->color ? "\033[0m" : "", safe);
    return 0;
}

int ctl_for_each_name(struct ctl *ctl, const struct invocation *invocation, unsigned first,
                      ctl_act *act, const void *data, struct error *error) {
    int r = 0;

    for (unsigned i = first; i < invocation->n_arguments; i++) {
        struct error failure = {0};
        int result = act(ctl, invocation->arguments[i], data, &failure);

        if (result == 0)
            continue;
        if (r < 0)
            ctl_report(error);
        *error = failure;
        r = result;
        if (r != -EREMOTEIO) /* the others would fare no better */
            break;
    }
    return r;
}

void ctl_report(const struct error *error) {
    _cleanup_free_ char *safe = text_escape(error->text);

    fprintf(stderr, "shmregctl: %s\n", safe ? safe : "no memory");
}
