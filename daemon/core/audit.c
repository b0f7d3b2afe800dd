/*
 * Audit: see audit.h.
 */
#include "daemon/core/audit.h"

#include "daemon/core/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOURCES 64u
#define TEXT_MAX 1024
#define UNIT_SIZE 64 /* two units that differ behind that are one source */
#define PERIOD_USEC ((uint64_t)AUDIT_PERIOD_SECONDS * USEC_PER_SEC)

struct source {
    enum log_kind kind;
    uid_t uid;
    char unit[UNIT_SIZE]; /* "" for none */
    unsigned lines;       /* in its present period */
    unsigned left_out;
    uint64_t until_usec; /* the period ends; 0: the entry is free */
};

struct audit {
    struct event *timer; /* runs only while something is to be said about what was left out */
    struct source sources[SOURCES];
};

static unsigned lines_max(enum log_kind kind) {
    return kind == LOG_CLIENT_CUT_OFF ? AUDIT_CUT_OFFS_MAX : AUDIT_LINES_MAX;
}

static void report_left_out(struct source *source) {
    const struct log_client client = {.uid = source->uid, .unit = source->unit};

    if (source->left_out == 0)
        return;
    log_write(LOG_NOTICE, ABOUT(.kind = LOG_LINES_LEFT_OUT, .client = &client),
              "%u more of user %u%s%s were left out of the log: %s", source->left_out, source->uid,
              *source->unit ? " in unit " : "", source->unit, log_kind_word(source->kind));
    source->left_out = 0;
}

static void start_timer(struct audit *audit, uint64_t usec) {
    const struct timeval time = {
        .tv_sec = (time_t)(usec / USEC_PER_SEC),
        .tv_usec = (suseconds_t)(usec % USEC_PER_SEC),
    };

    evtimer_add(audit->timer, &time);
}

static void on_timer(int fd, short what, void *data) {
    uint64_t now = clock_usec(CLOCK_MONOTONIC), next = 0;
    struct audit *audit = data;

    (void)fd;
    (void)what;
    for (unsigned i = 0; i < SOURCES; i++) {
        struct source *source = &audit->sources[i];

        if (source->until_usec <= now)
            report_left_out(source);
        else if (source->left_out > 0 && (next == 0 || source->until_usec < next))
            next = source->until_usec;
    }
    if (next > 0)
        start_timer(audit, next - now);
}

int audit_new(struct event_base *base, struct audit **ret) {
    struct audit *audit = calloc(1, sizeof(*audit));

    if (!audit)
        return -ENOMEM;
    audit->timer = evtimer_new(base, on_timer, audit);
    if (!audit->timer) {
        free(audit);
        return -ENOMEM;
    }
    *ret = audit;
    return 0;
}

void audit_free(struct audit *audit) {
    for (unsigned i = 0; i < SOURCES; i++)
        report_left_out(&audit->sources[i]);
    event_free(audit->timer);
    free(audit);
}

/* The source's entry, or the one that has waited longest for another. */
static struct source *find_source(struct audit *audit, enum log_kind kind, uid_t uid,
                                  const char *unit) {
    struct source *oldest = &audit->sources[0];

    for (unsigned i = 0; i < SOURCES; i++) {
        struct source *source = &audit->sources[i];

        if (source->until_usec != 0 && source->kind == kind && source->uid == uid &&
            strncmp(source->unit, unit, UNIT_SIZE - 1) == 0)
            return source;
        if (source->until_usec < oldest->until_usec)
            oldest = source;
    }
    report_left_out(oldest);
    *oldest = (struct source){.kind = kind, .uid = uid};
    snprintf(oldest->unit, UNIT_SIZE, "%s", unit);
    return oldest;
}

/* Whether there is a line left for this event; else it is counted. */
static bool pass(struct audit *audit, const struct audit_event *event, const char *unit) {
    uid_t uid = event->caller ? event->caller->uid : event->owner;
    struct source *source = find_source(audit, event->kind, uid, unit ? unit : "");
    uint64_t now = clock_usec(CLOCK_MONOTONIC);

    if (source->until_usec <= now) {
        report_left_out(source);
        source->until_usec = now + PERIOD_USEC;
        source->lines = 0;
    }
    if (source->lines < lines_max(source->kind)) {
        source->lines++;
        return true;
    }
    source->left_out++;
    if (!evtimer_pending(audit->timer, NULL))
        start_timer(audit, source->until_usec - now);
    return false;
}

static int priority_of(enum log_kind kind) {
    if (kind == LOG_CLIENT_CUT_OFF)
        return LOG_WARNING;
    return kind == LOG_REQUEST_REFUSED || kind == LOG_ADMINISTRATION ? LOG_NOTICE : LOG_INFO;
}

void audit_write(struct audit *audit, const struct audit_event *event, const char *format, ...) {
    const struct caller *caller = event->caller;
    struct log_client client = {.as_administrator = event->as_administrator};
    struct log_subject subject = {
        .kind = event->kind,
        .region = event->region,
        .reason = event->reason,
        .client = caller ? &client : NULL,
    };
    char text[TEXT_MAX];
    va_list arguments;

    if (caller) {
        client.uid = caller->uid;
        client.pid = caller->pid;
        client.unit = caller_unit(caller);
    }
    if (!pass(audit, event, client.unit))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_write(priority_of(event->kind), &subject, "%s", text);
}

void audit_cut_off(struct audit *audit, const struct caller *caller, const char *why) {
    audit_write(audit,
                &(struct audit_event){
                    .kind = LOG_CLIENT_CUT_OFF,
                    .caller = caller,
                    .reason = why,
                },
                "process %d of user %u is cut off: %s", caller->pid, caller->uid, why);
}

static bool is_refusal(int code) {
    return code == -EACCES || code == -EPERM || code == -EDQUOT || code == -ENOSPC;
}

void audit_failure(struct audit *audit, const struct caller *caller, const char *request,
                   const char *region, int code, const struct error *error) {
    const char *why = error->code ? error->text : strerror(-code);

    if (!is_refusal(code))
        return;
    audit_write(audit,
                &(struct audit_event){
                    .kind = LOG_REQUEST_REFUSED,
                    .caller = caller,
                    .region = region,
                    .reason = why,
                },
                "process %d of user %u was refused %s: %s", caller->pid, caller->uid, request, why);
}
