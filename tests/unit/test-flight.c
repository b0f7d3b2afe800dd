/*
 * Flight: what is under way to a user is what nobody has read, not all that was ever sent.
 */
#include "daemon/faces/flight.h"
#include "proto/cleanup.h"
#include "tests/unit/suite.h"

#include <event2/event.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE 100
#define SHARE FLIGHT_SHARE_MIN

static struct event_base *base;
static struct flights flights;
static struct flight flight;
static int pair[2];

static void start(void) {
    struct rlimit limit = {1024, 1024};

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    base = event_base_new();
    ck_assert_int_eq(flights_init(&flights, base), 0);
    ck_assert_uint_eq(flights.share, SHARE);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    flight_begin(&flights, &flight, 20001, pair[0]);
}

static void stop(void) {
    flight_forget(&flight);
    flights_deinit(&flights);
    event_base_free(base);
    close(pair[0]);
    close(pair[1]);
}

/* The descriptors are but numbers here. */
static void send_one(unsigned count) {
    char message[MESSAGE] = {0};

    ck_assert_int_eq(send(pair[0], message, sizeof(message), 0), MESSAGE);
    flight_add(&flight, count, sizeof(message));
}

static void read_one(void) {
    char message[MESSAGE];

    ck_assert_int_eq(recv(pair[1], message, sizeof(message), 0), MESSAGE);
}

/* Somebody busy, whose last answer is always there still when it is looked at. */
START_TEST(who_reads_all_but_the_last_goes_on) {
    start();
    send_one(2);
    for (unsigned i = 0; i < 4 * SHARE; i++) {
        send_one(2);
        read_one();
        ck_assert(!flight_is_full(&flight));
    }
    stop();
}
END_TEST

START_TEST(who_reads_nothing_is_stopped) {
    unsigned sent = 0;

    start();
    while (!flight_is_full(&flight)) {
        ck_assert_uint_lt(sent, SHARE);
        send_one(SHARE / 64);
        sent += SHARE / 64;
    }
    ck_assert_uint_eq(sent, SHARE);
    stop();
}
END_TEST

/* A full message hides behind no number of empty ones. */
START_TEST(no_less_is_counted_than_is_unread) {
    start();
    for (unsigned i = 0; i < 20; i++)
        send_one(1);
    send_one(60);
    for (unsigned i = 0; i < 20; i++)
        read_one();
    flight_look(&flight);
    ck_assert_uint_ge(flight.count, 60);
    read_one();
    flight_look(&flight);
    ck_assert_uint_eq(flight.count, 0);
    stop();
}
END_TEST

/* A connection ends with something unread; the peer's end is returned. */
static int end_unread(void) {
    struct flight ending;
    struct charge *charge = NULL;
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    flight_begin(&flights, &ending, 20001, ends[0]);
    ck_assert_int_eq(send(ends[0], "", 1, 0), 1);
    flight_add(&ending, 1, 1);
    flight_end(&ending, &ends[0], &charge);
    ck_assert_int_eq(ends[0], -1);
    return ends[1];
}

/* Those that end all the time do not keep anybody from looking at those that ended before. */
START_TEST(what_has_been_let_go_of_is_not_put_off) {
    const struct timeval pause = {.tv_usec = 5000};
    unsigned n_ended = 0;
    bool released = false;

    start();
    while (!released && n_ended++ < 200) {
        close(end_unread());
        event_base_loopexit(base, &pause);
        event_base_dispatch(base);
        released = LIST_EMPTY(&flights.lingering);
    }
    ck_assert(released);
    stop();
}
END_TEST

SUITE_MAIN("flight", who_reads_all_but_the_last_goes_on, who_reads_nothing_is_stopped,
           no_less_is_counted_than_is_unread, what_has_been_let_go_of_is_not_put_off);
