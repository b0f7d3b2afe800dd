/*
 * Log
 *
 * Lines go to the journal with fields when standard error is connected to it (sd_journal_sendv(3)),
 * else to standard error as text. What happens to regions and clients has a kind, with a MESSAGE_ID
 * of its own (table below), so that `journalctl MESSAGE_ID=...` finds every one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

/* Each is explained in units/shmregd.catalog; the words are what there are many of. */
#define LOG_KINDS(X)                                                                               \
    X(DAEMON_STARTED, "d9b373ed55a64feb8242e02dbe79a49c", "starts")                                \
    X(DAEMON_STOPPED, "c5f0a0d1e2864f4ea5a2cf4d8f0ee1b3", "stops")                                 \
    X(CONFIG_LOADED, "8f0b2a7c1d5e4a83b9d86c2f74a1e905", "configurations loaded")                  \
    X(CONFIG_REFUSED, "3e1c64a2f7d84b0f9ab1d25c80e7f64d", "configurations refused")                \
    X(REGION_CREATED, "a1c5d0b4e6f74c2d8b3e9f7a60d1c258", "regions created")                       \
    X(REGION_DESTROYED, "5d7e8f90a1b24c3d9e4f5a6b7c8d9e0f", "regions destroyed")                   \
    X(REGION_REAPED, "7b2e4c6d8f0a41b3a5c7d9e1f3a5b7c9", "regions reaped")                         \
    X(REGION_CHANGED, "1f9d3b7a5c2e4860b4d6f8a0c2e4f617", "regions changed")                       \
    X(RIGHTS_CHANGED, "e2ef621ce89d43b585527f5cf9035025", "rights changed")                        \
    X(REQUEST_REFUSED, "93d1fd5344014efdb69a5b66e12153ae", "requests refused")                     \
    X(ADMINISTRATION, "6def7a2cedfa496f800e5d1557a0c0a9", "acts of administration")                \
    X(ORPHAN_REAPED, "c8d6b4a2f0e94d7c8b6a5f4e3d2c1b0a", "orphans reaped")                         \
    X(RECORD_QUARANTINED, "2a4c6e8f0b1d43f5a7c9e1b3d5f7a9c1", "records set aside")                 \
    X(CLIENT_CUT_OFF, "9e8d7c6b5a4f4e3d8c2b1a0f9e8d7c6b", "clients cut off")                       \
    X(LINES_LEFT_OUT, "24664c13e73941ffbc52120069853fa6", "lines left out")

enum log_kind {
    LOG_PLAIN = 0,
#define X(name, ...) LOG_##name,
    LOG_KINDS(X)
#undef X
};

const char *log_kind_word(enum log_kind kind);

/* Who a line is about. */
struct log_client {
    uid_t uid;             /* SHMREG_CLIENT_UID= */
    pid_t pid;             /* SHMREG_CLIENT_PID=, 0 for many */
    const char *unit;      /* SHMREG_CLIENT_UNIT=, NULL or "" for none */
    bool as_administrator; /* SHMREG_ADMINISTRATOR=yes */
};

/* What a line is about; zero for what does not apply. */
struct log_subject {
    enum log_kind kind;
    const char *region; /* SHMREG_REGION= */
    const char *reason; /* SHMREG_REASON= */
    const struct log_client *client;
};

/* Chooses journal or standard error, which it always is with @text; LOG_INFO and up until
 * log_set_level(). SIGPIPE is ignored from now on. */
void log_open(bool text);
void log_set_level(int priority);

/* @subject may be NULL. Control characters in the message are written as '?'. */
void log_write(int priority, const struct log_subject *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_write(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, NULL, __VA_ARGS__)

/* log_write(LOG_INFO, ABOUT(.kind = LOG_REGION_REAPED, .region = name), "why: %s", why); */
#define ABOUT(...) (&(struct log_subject){__VA_ARGS__})
