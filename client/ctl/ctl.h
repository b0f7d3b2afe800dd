/*
 * What every command works with: the daemon, and how the user wants to read its answers
 *
 * Commands return 0 or a negative errno with the sentence in @error. -EINVAL means that the command
 * line is wrong, and nothing else: what the daemon refuses is -EREMOTEIO.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/un.h>

#include "client/ctl/arguments.h"
#include "client/ctl/table.h"
#include "client/ctl/varlink-client.h"

struct ctl {
    struct sockaddr_un address;
    struct varlink *varlink; /* connected by the first call */
    bool json;
    bool terminal; /* standard output is one */
    bool color;
};

extern const struct command commands[];

/* Calls a method of io.shmreg.Admin. @parameters is taken over. */
int ctl_call(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret,
             struct error *error);

/* What to do with one reply of a stream; a negative errno ends it. */
typedef int ctl_reply(struct ctl *ctl, json_t *reply, void *data, struct error *error);

/* Calls a method with `more`; replies after the first may be @timeout_ms apart. */
int ctl_stream(struct ctl *ctl, const char *method, json_t *parameters, int timeout_ms,
               ctl_reply *take, void *data, struct error *error);

/* Prints the reply as one line of JSON. */
int ctl_print_json(const json_t *reply, struct error *error);

/* A call whose reply says nothing to people: it is printed with --json only. */
int ctl_call_silently(struct ctl *ctl, const char *method, json_t *parameters, struct error *error);

/* Reads members of a reply as json_unpack() does; what does not fit is -EPROTO. */
int ctl_unpack(json_t *reply, struct error *error, const char *format, ...);

/* Prints rows, and the titles if there are rows or a terminal. */
int ctl_print_table(const struct ctl *ctl, const struct table *table, struct error *error);

/* Adds the row of one object of a reply. */
typedef int ctl_row(struct table *table, json_t *object, struct error *error);

/* Prints an array of objects as a table. */
int ctl_print_rows(const struct ctl *ctl, const struct column *columns, size_t n_columns,
                   json_t *objects, ctl_row *add, struct error *error);

/* Calls a method whose reply has one array, @member, and prints that. @parameters is taken over. */
int ctl_print_list(struct ctl *ctl, const char *method, json_t *parameters, const char *member,
                   const struct column *columns, size_t n_columns, ctl_row *add,
                   struct error *error);

/* Prints a line of label and text, the text made safe for a terminal. */
int ctl_print_field(const struct ctl *ctl, struct error *error, const char *label,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What to do with one name. */
typedef int ctl_act(struct ctl *ctl, const char *name, const void *data, struct error *error);

/*
 * Does it with each name from arguments[@first] on. What the daemon refuses for one name does not
 * keep the next from being tried; the last failure is returned, those before it are reported here.
 */
int ctl_for_each_name(struct ctl *ctl, const struct invocation *invocation, unsigned first,
                      ctl_act *act, const void *data, struct error *error);

/* Says on standard error what went wrong. */
void ctl_report(const struct error *error);
