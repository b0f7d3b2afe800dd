/*
 * Log: see log.h.
 *
 * Whether a line could be written never matters to who wrote it, and a reader that is stuck does
 * not stop the daemon: lines are dropped then.
 */
#include "daemon/ground/log.h"

#include "proto/utf8.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define LINE_MAX_SIZE 2048
#define FIELD_MAX_SIZE 512
#define FIELDS_MAX 10

/* One process has one log. */
static struct {
    int level;
    bool journal;
} log_state = {.level = LOG_INFO};

static bool stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log_open(bool text) {
    log_state.journal = !text && stderr_is_journal();
    /* A reader of the log that goes away must not take the daemon along. */
    signal(SIGPIPE, SIG_IGN);
}

void log_set_level(int priority) {
    log_state.level = priority;
}

/* The MESSAGE_ID= field of a kind, or NULL. */
static const char *message_id(enum log_kind kind) {
    static const char *const fields[] = {
#define X(name, id, word) [LOG_##name] = "MESSAGE_ID=" id,
        LOG_KINDS(X)
#undef X
    };

    return kind < sizeof(fields) / sizeof(fields[0]) ? fields[kind] : NULL;
}

const char *log_kind_word(enum log_kind kind) {
    static const char *const words[] = {[LOG_PLAIN] = "lines",
#define X(name, id, word) [LOG_##name] = word,
                                        LOG_KINDS(X)
#undef X
    };

    return words[kind];
}

/* One line of text, whoever wrote what is in it: nothing that a terminal obeys, and valid UTF-8. */
static void make_harmless(char *text) {
    while (*text) {
        size_t length = utf8_length(text);
        bool harmless = length > 0 && utf8_control(text) < 0;

        if (length == 0)
            length = 1;
        if (!harmless)
            memset(text, '?', length);
        text += length;
    }
}

struct fields {
    size_t count;
    struct iovec vector[FIELDS_MAX];
    char text[FIELDS_MAX][FIELD_MAX_SIZE];
};

__attribute__((format(printf, 2, 3))) static void add_field(struct fields *fields,
                                                            const char *format, ...) {
    char *text = fields->text[fields->count];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, FIELD_MAX_SIZE, format, arguments);
    va_end(arguments);
    make_harmless(text);
    fields->vector[fields->count++] = (struct iovec){text, strlen(text)};
}

static void add_client(struct fields *fields, const struct log_client *client) {
    add_field(fields, "SHMREG_CLIENT_UID=%u", (unsigned)client->uid);
    if (client->pid)
        add_field(fields, "SHMREG_CLIENT_PID=%d", (int)client->pid);
    if (client->unit && *client->unit)
        add_field(fields, "SHMREG_CLIENT_UNIT=%s", client->unit);
    if (client->as_administrator)
        add_field(fields, "SHMREG_ADMINISTRATOR=yes");
}

static void add_subject(struct fields *fields, const struct log_subject *subject) {
    if (message_id(subject->kind))
        add_field(fields, "%s", message_id(subject->kind));
    if (subject->region)
        add_field(fields, "SHMREG_REGION=%s", subject->region);
    if (subject->reason)
        add_field(fields, "SHMREG_REASON=%s", subject->reason);
    if (subject->client)
        add_client(fields, subject->client);
}

/* @message starts with "MESSAGE=". */
static int to_journal(int priority, const struct log_subject *subject, char *message) {
    struct fields fields = {.count = 1, .vector = {{message, strlen(message)}}};

    add_field(&fields, "PRIORITY=%d", priority);
    add_field(&fields, "SYSLOG_IDENTIFIER=shmregd");
    if (subject)
        add_subject(&fields, subject);
    return sd_journal_sendv(fields.vector, (int)fields.count);
}

static void to_stderr(int priority, const char *message) {
    static const char *const words[] = {
        [LOG_EMERG] = "error: ", [LOG_ALERT] = "error: ",     [LOG_CRIT] = "error: ",
        [LOG_ERR] = "error: ",   [LOG_WARNING] = "warning: ", [LOG_NOTICE] = "",
        [LOG_INFO] = "",         [LOG_DEBUG] = "debug: ",
    };
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[LINE_MAX_SIZE + 32];
    int length =
        snprintf(line, sizeof(line), "shmregd: %s%s\n", words[priority & LOG_PRIMASK], message);
    ssize_t n;

    if (poll(&reader, 1, 0) == 0)
        return;
    do
        n = write(STDERR_FILENO, line, (size_t)length);
    while (n < 0 && errno == EINTR);
}

void log_write(int priority, const struct log_subject *subject, const char *format, ...) {
    static const char prefix[] = "MESSAGE=";
    char field[LINE_MAX_SIZE] = "MESSAGE=";
    char *message = field + sizeof(prefix) - 1;
    va_list arguments;

    if (priority > log_state.level)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof(field) - (sizeof(prefix) - 1), format, arguments);
    va_end(arguments);
    make_harmless(message);

    if (!log_state.journal || to_journal(priority, subject, field) < 0)
        to_stderr(priority, message);
}
