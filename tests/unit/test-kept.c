/*
 * Kept: what a service manager with few places is given, and what it is not.
 */
#include "daemon/core/kept.h"
#include "proto/packet.h"
#include "proto/socket-path.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <sys/socket.h>

#define SIZE 4096
#define ROOM 8 /* of eleven places: clients have two, and one is spare */

static struct kept kept;
static struct segment_places places = {.instance = "0123456789abcdef", .kept = &kept};
static int service_manager;

static void setup(void) {
    struct sockaddr_un address;

    scratch_mount(1 << 20);
    service_manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(socket_address(SCRATCH "/notify", NULL, &address), 0);
    ck_assert_int_eq(bind(service_manager, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", SCRATCH "/notify", 1), 0);
    ck_assert_int_eq(setenv("FDSTORE", "11", 1), 0);
    ck_assert_uint_eq(fdstore_share(FDSTORE_MEMORY), ROOM);
    kept_init(&kept);
}

static struct segment *make(uint64_t id) {
    struct segment *segment = NULL;
    struct error error;

    ck_assert_int_eq(
        segment_new(&places, BACKING_MEMFD, 0, id, 1, SIZE, SIZE, NULL, &segment, &error), 0);
    return segment;
}

static void end(struct segment *segment) {
    segment_remove(segment);
    segment_unref(segment);
}

/* "" when it was told nothing. */
static void expect_told(const char *command, uint64_t id) {
    char text[256] = "", expected[256] = "";
    struct packet_fds fds = {0};

    if (packet_receive(service_manager, text, sizeof(text) - 1, &fds) > 0)
        packet_fds_close(&fds);
    if (*command)
        snprintf(expected, sizeof(expected), "%s=1\nFDNAME=shmreg.0123456789abcdef.%d.1", command,
                 (int)id);
    ck_assert_str_eq(text, expected);
}

static void expect_counts(unsigned used, unsigned left_out) {
    ck_assert_uint_eq(kept.used, used);
    ck_assert_uint_eq(kept.n_left_out, left_out);
}

START_TEST(what_is_left_out_takes_the_first_place_that_is_free) {
    struct segment *segments[ROOM + 3];

    setup();
    for (uint64_t i = 0; i < ARRAY_SIZE(segments); i++) {
        segments[i] = make(i);
        expect_told(i < ROOM ? "FDSTORE" : "", i);
    }
    expect_counts(ROOM, 3);
    /* One that was left out is gone, ... */
    end(segments[ROOM]);
    expect_told("", 0);
    expect_counts(ROOM, 2);
    /* ...and the next in line has the place of one that was not. */
    end(segments[0]);
    expect_told("FDSTOREREMOVE", 0);
    expect_told("FDSTORE", ROOM + 1);
    expect_counts(ROOM, 1);
    for (uint64_t i = 1; i < ROOM; i++)
        end(segments[i]);
    end(segments[ROOM + 1]);
    end(segments[ROOM + 2]);
    expect_counts(0, 0);
    close(service_manager);
}
END_TEST

START_TEST(a_name_changes_only_where_there_is_one) {
    struct segment *segments[ROOM + 1];
    struct error error;

    setup();
    for (uint64_t i = 0; i < ARRAY_SIZE(segments); i++) {
        segments[i] = make(i);
        expect_told(i < ROOM ? "FDSTORE" : "", i);
    }
    ck_assert_int_eq(segment_rename(segments[ROOM], 99, 1, &error), 0);
    expect_told("", 0);
    ck_assert_int_eq(segment_rename(segments[0], 100, 1, &error), 0);
    expect_told("FDSTORE", 100);
    expect_told("FDSTOREREMOVE", 0);
    expect_told("FDSTORE", 100);
    end(segments[1]);
    expect_told("FDSTOREREMOVE", 1);
    expect_told("FDSTORE", 99);
    end(segments[ROOM]);
    expect_told("FDSTOREREMOVE", 99);
    expect_counts(ROOM - 1, 0);
    end(segments[0]);
    for (uint64_t i = 2; i < ROOM; i++)
        end(segments[i]);
    close(service_manager);
}
END_TEST

START_TEST(the_next_daemon_counts_what_it_takes) {
    struct stored_fd stored = {.name = "shmreg.0123456789abcdef.5.1", .fd = -1};
    struct fdstore store = {.stored = &stored, .n_stored = 1};
    struct segment *segment;

    setup();
    ck_assert_int_eq(segment_new_existing(&places, BACKING_MEMFD, 5, 1, SIZE, SIZE, -1, &segment),
                     0);
    ck_assert_int_eq(kept_take(segment, &store), -ENOENT);
    expect_counts(0, 0);
    stored.fd = dup(service_manager);
    ck_assert_int_eq(kept_take(segment, &store), 0);
    expect_counts(1, 0);
    end(segment);
    expect_told("FDSTOREREMOVE", 5);
    expect_counts(0, 0);
    close(service_manager);
}
END_TEST

SUITE_MAIN("kept", what_is_left_out_takes_the_first_place_that_is_free,
           a_name_changes_only_where_there_is_one, the_next_daemon_counts_what_it_takes);
