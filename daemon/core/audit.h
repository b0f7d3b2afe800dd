/*
 * Audit: who did what, or was refused it
 *
 * One line of the log, with its fields, for each region that is created or destroyed, each change of
 * rights, each refusal, each client that is cut off and each act of an administrator. A source (a user,
 * in a unit) has so many lines of a kind in five seconds. More are counted, and when the time is over
 * one line says how many were left out: nobody fills the log, or hides one kind of line behind others.
 */
#pragma once

#include <event2/event.h>
#include <sys/types.h>

#include "daemon/core/caller.h"
#include "daemon/ground/log.h"
#include "proto/cleanup.h"
#include "proto/error.h"

#define AUDIT_LINES_MAX 100u
#define AUDIT_CUT_OFFS_MAX 10u
#define AUDIT_PERIOD_SECONDS 5

struct audit;

int audit_new(struct event_base *base, struct audit **ret);
/* Says how many were left out so far. */
void audit_free(struct audit *audit);
DEFINE_CLEANUP(struct audit *, audit_free);

struct audit_event {
    enum log_kind kind;
    const struct caller *caller; /* NULL: the daemon itself, on behalf of... */
    uid_t owner;                 /* ...whom it counts for then */
    bool as_administrator;       /* that is why the caller could */
    const char *region;          /* or NULL, as */
    const char *reason;
};

void audit_write(struct audit *audit, const struct audit_event *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes that the caller's connection is cut off, and why: "a message that is not JSON". */
void audit_cut_off(struct audit *audit, const struct caller *caller, const char *why);

/* Notes that a request has failed, if the error is a refusal: for want of rights, or over a limit.
 * @region: what it was about, or NULL. */
void audit_failure(struct audit *audit, const struct caller *caller, const char *request,
                   const char *region, int code, const struct error *error);
