/*
 * monitor: what happens to regions, for as long as anybody reads it
 *
 * A daemon that is restarted by a service manager goes on with the connection. Where there is none, and
 * the connection ends, monitor waits for the daemon and says that it has missed something. It does not
 * where a service manager listens for the daemon: to connect would start one that was stopped.
 */
#include "client/ctl/commands.h"

#include "client/ctl/text.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USEC_PER_SEC 1000000
#define RETRY_MS 250

static const char what_is_missed[] = "there was no connection to the daemon for a while";

struct monitoring {
    bool subscribed; /* on this connection */
    bool missed;     /* something, since the last one */
};

static int print_line(const char *event, const char *region, json_int_t version, const char *reason,
                      struct error *error) {
    _cleanup_free_ char *line = NULL, *safe = NULL;
    char now[TIME_TEXT_MAX];
    int n;

    time_format((int64_t)time(NULL) * USEC_PER_SEC, now);
    n = *region ? asprintf(&line, "%s %-9s %s version %" JSON_INTEGER_FORMAT " (%s)", now, event,
                           region, version, reason)
                : asprintf(&line, "%s %-9s (%s)", now, event, reason);
    if (n < 0)
        line = NULL;
    safe = line ? text_escape(line) : NULL;
    if (!safe)
        return error_set(error, -ENOMEM, "no memory for a line");
    puts(safe);
    return 0;
}

static int print_missed(const struct ctl *ctl, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *reply = NULL;

    if (!ctl->json)
        return print_line("missed", "", 0, what_is_missed, error);
    reply = json_pack("{s:s, s:s, s:i, s:i, s:s}", "event", "missed", "region", "", "id", 0,
                      "version", 0, "reason", what_is_missed);
    if (!reply)
        return error_set(error, -ENOMEM, "no memory for a line");
    return ctl_print_json(reply, error);
}

static int print_event(struct ctl *ctl, json_t *reply, void *data, struct error *error) {
    struct monitoring *monitoring = data;
    const char *event, *region, *reason;
    json_int_t version;
    int r = ctl_unpack(reply, error, "{s:s, s:s, s:I, s:s}", "event", &event, "region", &region,
                       "version", &version, "reason", &reason);

    if (r == 0 && monitoring->missed)
        r = print_missed(ctl, error);
    if (r < 0)
        return r;
    monitoring->missed = false;
    monitoring->subscribed = true;
    if (ctl->json)
        r = ctl_print_json(reply, error);
    else if (*region) /* an event of no region is nothing for people */
        r = print_line(event, region, version, reason, error);
    if (r == 0 && fflush(stdout) == EOF)
        return error_set(error, -EIO, "cannot write standard output: %s", strerror(errno));
    return r;
}

/* Nobody would ever read what it waits for. */
static int pause_while_read(int msec, struct error *error) {
    struct pollfd output = {.fd = STDOUT_FILENO};

    if (poll(&output, 1, msec) > 0 && output.revents & POLLERR)
        return error_set(error, -EPIPE, "cannot write standard output: %s", strerror(EPIPE));
    return 0;
}

static bool is_away(int r) {
    return r == -ECONNREFUSED || r == -ENOENT || r == -ECONNRESET || r == -ETIMEDOUT;
}

static int connect_again(struct ctl *ctl, struct error *error) {
    int r, msec = 0;

    do {
        r = pause_while_read(msec, error);
        if (r < 0)
            return r;
        msec = RETRY_MS;
        r = varlink_connect(&ctl->address, VARLINK_TIMEOUT_MS, &ctl->varlink, error);
    } while (r < 0 && is_away(r));
    return r;
}

static int wait_for_daemon(struct ctl *ctl, struct monitoring *monitoring, struct error *error) {
    int r = 0;

    cleanup_varlink_free(&ctl->varlink);
    ctl->varlink = NULL;
    if (!monitoring->missed)
        ctl_report(
            &(struct error){.text = "the connection to the daemon has ended: waiting for it"});
    if (!monitoring->subscribed) /* it is there, and does not serve */
        r = pause_while_read(RETRY_MS, error);
    monitoring->missed = true;
    monitoring->subscribed = false;
    return r < 0 ? r : connect_again(ctl, error);
}

/* Whether the daemon is the one that listens. */
static int find_listener(struct ctl *ctl, bool *ret, struct error *error) {
    _cleanup_(cleanup_json_decref) json_t *status = NULL;
    json_int_t pid;
    int r = ctl_call(ctl, "GetStatus", json_object(), &status, error);

    if (r == 0)
        r = ctl_unpack(status, error, "{s:I}", "pid", &pid);
    if (r == 0)
        *ret = varlink_listener(ctl->varlink) == pid;
    return r;
}

int command_monitor(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    struct monitoring monitoring = {0};
    bool waits = false;
    int r = find_listener(ctl, &waits, error);

    (void)invocation;
    if (r < 0)
        return r;
    for (;;) {
        r = ctl_stream(ctl, "Monitor", json_object(), VARLINK_NO_TIMEOUT, print_event, &monitoring,
                       error);
        if (r == 0 || !waits || !is_away(r) || (!monitoring.subscribed && !monitoring.missed))
            return r;
        r = wait_for_daemon(ctl, &monitoring, error);
        if (r < 0)
            return r;
    }
}
