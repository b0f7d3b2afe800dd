/*
 * Stuck disk: while a flush hangs in the kernel, whoever does not need the disk is served, and whoever
 * does waits alone. What counts is the order of events: the disk is stuck, others are answered, the
 * disk goes on, and then what has waited is answered.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/stuck-disk.h"
#include "tests/support/wait.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 300000u
#define FILE_REGION SHMREG_OPTIONS(.backing = SHMREG_FILE)

static struct test_daemon daemon_;
static struct stuck_disk disk;
static shmreg_conn *witness;
static char content[SIZE];

static void setup(const char *config) {
    daemon_prepare(&daemon_, config);
    stuck_disk_mount(&disk, daemon_.state);
    ck_assert_int_eq(chown(daemon_.state, DAEMON_UID, DAEMON_UID), 0);
    ck_assert_int_eq(chmod(daemon_.state, 0700), 0);
    daemon_launch(&daemon_);
    witness = connect_to(&daemon_);
    memset(content, 'c', sizeof(content));
}

/* A thread other than the loop's is in fsync(2), as the kernel says. */
static bool is_worker_syncing(void *data) {
    _cleanup_closedir_ DIR *threads = NULL;
    const struct dirent *entry;
    char path[300];
    bool found = false;

    (void)data;
    snprintf(path, sizeof(path), "/proc/%d/task", daemon_.pid);
    threads = opendir(path);
    ck_assert_ptr_nonnull(threads);
    while ((entry = readdir(threads))) {
        _cleanup_fclose_ FILE *file = NULL;
        long call = -1;

        snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", daemon_.pid, entry->d_name);
        file = strtol(entry->d_name, NULL, 10) == daemon_.pid ? NULL : fopen(path, "re");
        found = found || (file && fscanf(file, "%ld", &call) == 1 && call == SYS_fsync);
    }
    return found;
}

/* A stage for a file region, filled; *ret_id is what PUBLISH needs. */
static void stage(int fd, const char *name, uint32_t serial, uint64_t *ret_id) {
    const struct wire_stage_request request = {
        .spec = {.backing = SHMREG_FILE, .mode = WIRE_MODE_DEFAULT, .size = SIZE}};
    struct wire_attachment attachment;
    struct raw_reply reply;

    raw_request(fd, WIRE_STAGE, serial, &request,
                (struct wire_string[]){{.data = name}, {.data = ""}, {.data = ""}});
    raw_receive(fd, &reply);
    ck_assert_int_eq(reply.message.header.status, 0);
    memcpy(&attachment, reply.message.string[0].data, sizeof(attachment));
    *ret_id = attachment.attachment_id;
    ck_assert_int_eq(pwrite(reply.fds.fd[0], content, SIZE, 0), SIZE);
    raw_reply_deinit(&reply);
}

static void publish(int fd, uint64_t stage_id, uint32_t serial) {
    raw_request(fd, WIRE_PUBLISH, serial, &(struct wire_publish_request){.stage_id = stage_id},
                NULL);
}

/* All that has nothing to do with the disk, and looks at what has. */
static void expect_served(void) {
    shmreg_region *region, *stage;
    struct shmreg_description *description;

    create_region(witness, "memory", 100, NULL);
    region = open_region(witness, "memory", SHMREG_READ);
    expect_ok(shmreg_stage(witness, "memory", 200, NULL, &stage));
    expect_ok(shmreg_publish(stage, 0, NULL));
    shmreg_close(stage);
    shmreg_close(region);
    expect_ok(shmreg_put(witness, "value", "value", 5, SHMREG_MODE_DEFAULT));
    expect_ok(shmreg_describe(witness, "published", &description));
    shmreg_description_free(description);
    shmreg_close(open_region(witness, "published", SHMREG_READ));
    expect_ok(shmreg_destroy(witness, "memory"));
    expect_ok(shmreg_destroy(witness, "value"));
}

/* What is asked while the disk is stuck, each by a client of its own. */
static const struct {
    enum wire_op op;
    const char *name;
} asked[] = {{WIRE_CREATE, "created"},
             {WIRE_PUT, "put"},
             {WIRE_SET_ATTRIBUTES, "put"},
             {WIRE_DESTROY, "destroyed"}};

static int ask(enum wire_op op, const char *name) {
    const struct wire_string names[] = {{.data = name}, {.data = ""}, {.data = ""}};
    const struct wire_string value[] = {{.data = name}, {.data = "value", .length = 5}};
    const struct wire_string attributes[] = {{.data = name}, {.data = "{}"}};
    const struct wire_create_request create = {
        .spec = {.backing = SHMREG_FILE, .mode = WIRE_MODE_DEFAULT, .size = 100}};
    int fd = raw_greet(daemon_.socket);

    if (op == WIRE_CREATE)
        raw_request(fd, op, 2, &create, names);
    else if (op == WIRE_PUT)
        raw_request(fd, op, 2, &(struct wire_put_request){.mode = WIRE_MODE_DEFAULT}, value);
    else if (op == WIRE_SET_ATTRIBUTES)
        raw_request(fd, op, 2, &(struct wire_set_attributes_request){0}, attributes);
    else
        raw_request(fd, op, 2, &(struct wire_destroy_request){0}, names);
    return fd;
}

/* Two flushes of one client, the second behind the first, and somebody who leaves a stage. */
struct flushers {
    int fd, quitter;
    uint64_t stages[2], abandoned;
};

static void prepare(struct flushers *flushers) {
    create_region(witness, "published", 100, FILE_REGION);
    create_region(witness, "put", 100, FILE_REGION);
    create_region(witness, "destroyed", 100, FILE_REGION);
    create_region(witness, "leased", 100,
                  SHMREG_OPTIONS(.backing = SHMREG_FILE, .lifetime = SHMREG_LEASE, .seconds = 1));
    flushers->fd = raw_greet(daemon_.socket);
    flushers->quitter = raw_greet(daemon_.socket);
    stage(flushers->fd, "published", 2, &flushers->stages[0]);
    stage(flushers->fd, "published", 3, &flushers->stages[1]);
    stage(flushers->quitter, "abandoned", 2, &flushers->abandoned);
}

static void get_stuck(const struct flushers *flushers) {
    stuck_disk_hold(&disk);
    publish(flushers->fd, flushers->stages[0], 4);
    publish(flushers->fd, flushers->stages[1], 5);
    wait_until(is_worker_syncing, NULL);
    stuck_disk_wait_stuck(&disk);
}

static void expect_waiting(int fd) {
    ck_assert(!is_readable_within(fd, 0));
}

START_TEST(others_are_served_while_it_hangs) {
    struct flushers flushers;
    int fds[ARRAY_SIZE(asked)];

    setup("{}");
    prepare(&flushers);
    get_stuck(&flushers);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        fds[i] = ask(asked[i].op, asked[i].name);
    close(flushers.quitter);
    for (unsigned i = 0; i < 20; i++)
        expect_served();
    ck_assert(!exists(witness, "created"));
    ck_assert(exists(witness, "destroyed"));
    expect_waiting(flushers.fd);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        expect_waiting(fds[i]);
    ck_assert(is_worker_syncing(NULL));

    stuck_disk_release(&disk);
    ck_assert_int_eq(raw_receive_status(flushers.fd), 0);
    ck_assert_int_eq(raw_receive_status(flushers.fd), 0);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        ck_assert_int_eq(raw_receive_status(fds[i]), 0);
        close(fds[i]);
    }
    close(flushers.fd);
    ck_assert(exists(witness, "created"));
    ck_assert(!exists(witness, "destroyed"));
    wait_gone(witness, "leased");
    shmreg_disconnect(witness);
    daemon_stop(&daemon_);
}
END_TEST

static bool is_logged(void *data) {
    return daemon_has_logged(&daemon_, data);
}

START_TEST(it_stops_without_what_hangs) {
    uint64_t id;
    int fd;

    setup("{}");
    expect_ok(shmreg_put(witness, "published", "before", 6, SHMREG_MODE_DEFAULT));
    create_region(witness, "published-file", 100, FILE_REGION);
    fd = raw_greet(daemon_.socket);
    stage(fd, "published-file", 2, &id);
    stuck_disk_hold(&disk);
    publish(fd, id, 3);
    wait_until(is_worker_syncing, NULL);
    stuck_disk_wait_stuck(&disk);
    ck_assert_int_eq(kill(daemon_.pid, SIGTERM), 0);
    wait_until(is_logged, "stopping without them");
    raw_wait_closed(fd);
    close(fd);

    stuck_disk_release(&disk);
    ck_assert_int_eq(wait_for_end(daemon_.pid), 0);
    daemon_launch(&daemon_);
    ck_assert(exists(witness, "published-file"));
    shmreg_disconnect(witness);
    daemon_stop(&daemon_);
}
END_TEST

/* After HELLO there is one more, so a second look at it would be one too many. */
static void ask_as_often_as_allowed(int channel, void *data) {
    int fd = ask(WIRE_CREATE, "created");

    (void)data;
    channel_say(channel);
    ck_assert_int_eq(raw_receive_status(fd), 0);
    close(fd);
}

START_TEST(what_waits_is_counted_once) {
    struct child child;
    uint64_t id;
    int fd;

    setup("{\"limits\":{\"users\":{\"20001\":"
          "{\"requests_per_second\":1,\"requests_at_once\":2}}}}");
    create_region(witness, "published", 100, FILE_REGION);
    fd = raw_greet(daemon_.socket);
    stage(fd, "published", 2, &id);
    stuck_disk_hold(&disk);
    publish(fd, id, 3);
    wait_until(is_worker_syncing, NULL);
    stuck_disk_wait_stuck(&disk);
    child = child_start(USER(20001), ask_as_often_as_allowed, NULL);
    channel_hear(child.channel);
    expect_served();
    ck_assert(!exists(witness, "created"));
    stuck_disk_release(&disk);
    child_finish(&child);
    ck_assert_int_eq(raw_receive_status(fd), 0);
    close(fd);
    shmreg_disconnect(witness);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("stuck-disk");

    if (!stuck_disk_can_be())
        return SANDBOX_SKIPPED;
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, others_are_served_while_it_hangs);
    tcase_add_test(tcase, what_waits_is_counted_once);
    tcase_add_test(tcase, it_stops_without_what_hangs);
    return sandbox_run("stuck-disk", &tcase, 1);
}
