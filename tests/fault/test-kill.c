/*
 * Kill: 1,000 regions exist and several clients at once are making more when the daemon is killed
 * with SIGKILL, again and again. After every restart each region whose creation was answered is
 * there with its content, and every segment belongs to a region.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#define REGIONS 1000
#define CLIENTS 3
#define PIPELINE 16 /* requests under way */
#define VALUE_MAX 5000

struct backing {
    const char *config;
    uint32_t number;
    unsigned rounds;
};

#define LIMITS                                                                                     \
    "\"limits\":{\"user\":{\"regions\":\"none\",\"bytes\":\"none\"},"                              \
    "\"total\":{\"regions\":\"none\",\"bytes\":\"none\"}}"

static const struct backing backings[] = {
    {"{" LIMITS "}", SHMREG_SHM, 10},
    {"{\"default_backing\":\"file\"," LIMITS "}", SHMREG_FILE, 4},
};

/* What a client asked for and what it was answered, in memory that it shares with the test: of its
 * regions, 0 to answered - 1 are promised, answered to asked - 1 may be there or not. */
struct progress {
    unsigned round;
    unsigned client;
    _Atomic unsigned asked;
    _Atomic unsigned answered;
};

static struct test_daemon daemon_;
static shmreg_conn *conn;

static size_t size_of(unsigned number) {
    return 1 + number * 37 % VALUE_MAX;
}

static void name_base(char ret[static 32], unsigned number) {
    snprintf(ret, 32, "base/%u", number);
}

static void name_more(char ret[static 32], const struct progress *progress, unsigned number) {
    snprintf(ret, 32, "more/%u/%u/%u", progress->round, progress->client, number);
}

static void create_base(void) {
    char name[32];

    for (unsigned i = 0; i < REGIONS; i++) {
        shmreg_region *region;

        name_base(name, i);
        expect_ok(shmreg_create(conn, name, size_of(i), NULL, &region));
        fill(shmreg_data(region), size_of(i), i);
        shmreg_close(region);
    }
}

/* Whether the daemon is still there to be asked. */
static bool put_next(int fd, struct progress *progress) {
    unsigned number = progress->asked++;
    _Alignas(8) char request[VALUE_MAX + 256];
    char name[32], value[VALUE_MAX];
    struct wire_string strings[] = {{.data = name}, {value, size_of(number)}};
    struct wire_put_request body = {.flags = WIRE_PUT_CREATE, .mode = 0600};

    name_more(name, progress, number);
    fill(value, size_of(number), number);
    return packet_send(fd, request, raw_encode(WIRE_PUT, number, &body, strings, request), NULL,
                       0) == 0;
}

/* Puts values, some of them before the answers to others, until the daemon is gone. */
static void create_more(int channel, void *data) {
    struct progress *progress = data;
    int fd = raw_greet(daemon_.socket), size = 0;
    struct wire_header header;
    char bytes[256];
    struct packet_fds fds;
    bool asking = true;

    (void)channel;
    for (unsigned i = 0; i < PIPELINE && asking; i++)
        asking = put_next(fd, progress);
    /* The news that the daemon is gone comes before the answers that it had sent. */
    while (size = packet_receive(fd, bytes, sizeof(bytes), &fds), size > 0 || size == -ECONNRESET) {
        if (size < 0)
            continue;
        memcpy(&header, bytes, sizeof(header));
        ck_assert_int_eq(header.status, 0);
        ck_assert_uint_eq(header.serial, progress->answered);
        progress->answered++;
        asking = asking && put_next(fd, progress);
    }
}

/* Whether the region is there; then it is whole. */
static bool check_region(const char *name, unsigned number) {
    static char value[SHMREG_VALUE_MAX];
    size_t size;
    int r = shmreg_get(conn, name, value, sizeof(value), &size);

    if (r == -ENOENT)
        return false;
    ck_assert_msg(r == 0, "%s: %d: %s", name, r, shmreg_error_message());
    ck_assert_msg(size == size_of(number) && is_filled(value, size, number), "%s is damaged", name);
    return true;
}

static unsigned check_base(void) {
    char name[32];

    for (unsigned i = 0; i < REGIONS; i++) {
        name_base(name, i);
        ck_assert_msg(check_region(name, i), "%s is lost", name);
    }
    return REGIONS;
}

/* Returns how many there are. */
static unsigned check_more(const struct progress *progress) {
    unsigned there = 0;
    char name[32];

    for (unsigned i = 0; i < progress->asked; i++) {
        name_more(name, progress, i);
        if (check_region(name, i)) {
            ck_assert_msg(i <= progress->answered, "%s is there, though %u is not answered", name,
                          progress->answered);
            there++;
        } else
            ck_assert_msg(i >= progress->answered, "%s was answered and is lost", name);
    }
    return there;
}

static unsigned count_answers(const struct progress *progress) {
    unsigned answers = 0;

    for (unsigned i = 0; i < CLIENTS; i++)
        answers += progress[i].answered;
    return answers;
}

struct threshold {
    const struct progress *progress;
    unsigned answers;
};

static bool is_reached(void *data) {
    const struct threshold *threshold = data;

    for (unsigned i = 0; i < CLIENTS; i++)
        if (threshold->progress[i].asked == 0)
            return false;
    return count_answers(threshold->progress) >= threshold->answers;
}

/* Clients create, the daemon is killed in the middle of it, the clients end. */
static void create_and_kill(struct progress progress[static CLIENTS], unsigned round) {
    struct threshold threshold = {.progress = progress, .answers = 1 + 29 * round};
    struct child children[CLIENTS];

    for (unsigned i = 0; i < CLIENTS; i++) {
        progress[i] = (struct progress){.round = round, .client = i};
        children[i] = child_start(USER(20001 + i), create_more, &progress[i]);
    }
    wait_until(is_reached, &threshold);
    daemon_kill(&daemon_);
    for (unsigned i = 0; i < CLIENTS; i++)
        child_finish(&children[i]);
}

START_TEST(test_everything_answered_survives) {
    struct progress *progress = mmap(NULL, CLIENTS * sizeof(*progress), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned earlier = 0;

    ck_assert_ptr_ne(progress, MAP_FAILED);
    daemon_start_with(&daemon_, backings[_i].config);
    conn = connect_to(&daemon_);
    create_base();
    for (unsigned round = 0; round < backings[_i].rounds; round++) {
        unsigned there = 0;

        create_and_kill(progress, round);
        daemon_launch(&daemon_);
        for (unsigned i = 0; i < CLIENTS; i++)
            there += check_more(&progress[i]);
        there += check_base();
        earlier += there - REGIONS;
        ck_assert_int_eq(daemon_segments(&daemon_), (int)(REGIONS + earlier));
        printf("killed after %u answers: %u regions there\n", count_answers(progress), there);
    }
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *kill = tcase_create("kill");

    tcase_set_timeout(kill, 240);
    tcase_add_loop_test(kill, test_everything_answered_survives, 0, (int)ARRAY_SIZE(backings));
    return sandbox_run("kill", &kill, 1);
}
