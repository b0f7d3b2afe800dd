/*
 * Kill points: for each operation that changes something, the daemon is killed before its first
 * system call, after that, before its second, and so on to its last. After the restart the operation has taken
 * effect wholly or not at all, wholly if it was answered, no segment is left over, and nobody
 * sleeps through it.
 */
#include "proto/cleanup.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "region"
#define COPY "copy"
#define CLIENT_ID 4711
#define OLD_SIZE 100
#define NEW_SIZE 5000
#define ATTRIBUTES "{\"new\":true}"
#define POINTS_MAX 500

static const char *const configs[] = {
    "{\"default_backing\":\"shm\"}",
    "{\"default_backing\":\"file\"}",
};

struct operation {
    const char *name;
    unsigned turns; /* of the loop after the answer, till all is done */
    void (*prepare)(int fd);
    void (*request)(int fd);
    void (*verify)(bool answered); /* leaves no region behind */
};

static struct test_daemon daemon_;
static shmreg_conn *conn;
static uint64_t attachment_id;

/* A thread that sleeps until the region changes. */
static struct {
    shmreg_region *region; /* NULL: there is none */
    pthread_t thread;
    _Atomic pid_t tid;
} sleeper;

static void *sleep_till_change(void *unused) {
    (void)unused;
    sleeper.tid = gettid();
    expect_ok(shmreg_wait(sleeper.region, 30000));
    return NULL;
}

static bool sleeps(void *unused) {
    char path[64], call[32] = "";
    _cleanup_fclose_ FILE *file = NULL;

    (void)unused;
    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)sleeper.tid);
    file = fopen(path, "re");
    return file && fgets(call, sizeof(call), file) && strtol(call, NULL, 10) == SYS_futex;
}

static void put_to_sleep(void) {
    sleeper.region = open_region(conn, NAME, SHMREG_READ);
    sleeper.tid = 0;
    ck_assert_int_eq(pthread_create(&sleeper.thread, NULL, sleep_till_change, NULL), 0);
    wait_until(sleeps, NULL);
}

/* The region has changed, so the sleeper is awake. */
static void expect_awake(void) {
    if (!sleeper.region)
        return;
    ck_assert_int_eq(pthread_join(sleeper.thread, NULL), 0);
    ck_assert(!shmreg_is_current(sleeper.region));
    shmreg_close(sleeper.region);
    sleeper.region = NULL;
}

/* The region is gone now, and with it its segment. */
static void destroy(void) {
    expect_ok(shmreg_destroy(conn, NAME));
    expect_awake();
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}

static bool has_value(size_t size, unsigned seed) {
    static char value[SHMREG_VALUE_MAX];
    size_t got;

    expect_ok(shmreg_get(conn, NAME, value, sizeof(value), &got));
    return got == size && is_filled(value, size, seed);
}

static void put_old(int fd) {
    char value[OLD_SIZE];

    (void)fd;
    fill(value, sizeof(value), 1);
    expect_ok(shmreg_put(conn, NAME, value, sizeof(value), SHMREG_MODE_DEFAULT));
    put_to_sleep();
}

static void prepare_nothing(int fd) {
    (void)fd;
}

static void request_create(int fd) {
    struct wire_string strings[] = {{.data = NAME}, {.data = ""}, {.data = ""}};

    raw_request(fd, WIRE_CREATE, 5,
                &(struct wire_create_request){
                    .access = WIRE_WRITE, .spec = {.mode = WIRE_MODE_DEFAULT, .size = OLD_SIZE}},
                strings);
}

static void request_create_with_block(int fd) {
    struct wire_string strings[] = {{.data = NAME}, {.data = ""}, {.data = ""}};

    raw_request(
        fd, WIRE_CREATE, 5,
        &(struct wire_create_request){
            .access = WIRE_WRITE,
            .spec = {.mode = WIRE_MODE_DEFAULT, .size = OLD_SIZE, .flags = WIRE_SYNC_BLOCK}},
        strings);
}

static void verify_create_with_block(bool answered) {
    bool there = exists(conn, NAME);
    shmreg_region *region;

    ck_assert(there || !answered);
    ck_assert_int_eq(daemon_segments(&daemon_), 2 * there);
    if (!there)
        return;
    region = open_region(conn, NAME, SHMREG_WRITE);
    expect_ok(shmreg_lock(region, 0));
    expect_ok(shmreg_unlock(region));
    shmreg_close(region);
    destroy();
}

static void verify_create(bool answered) {
    bool there = exists(conn, NAME);

    ck_assert(there || !answered);
    ck_assert_int_eq(daemon_segments(&daemon_), there);
    if (there)
        destroy();
}

static void request_put(int fd) {
    char value[NEW_SIZE];
    struct wire_string strings[] = {{.data = NAME}, {value, sizeof(value)}};

    fill(value, sizeof(value), 2);
    raw_request(fd, WIRE_PUT, 5,
                &(struct wire_put_request){.flags = WIRE_PUT_CREATE, .mode = WIRE_MODE_DEFAULT},
                strings);
}

static void verify_put(bool answered) {
    bool there = exists(conn, NAME);

    ck_assert(there || !answered);
    ck_assert_int_eq(daemon_segments(&daemon_), there);
    if (!there)
        return;
    ck_assert(has_value(NEW_SIZE, 2));
    destroy();
}

static void verify_replace(bool answered) {
    bool new = has_value(NEW_SIZE, 2);

    ck_assert(new || !answered);
    ck_assert(new || has_value(OLD_SIZE, 1));
    if (new)
        expect_awake();
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    destroy();
}

static void request_destroy(int fd) {
    raw_request(fd, WIRE_DESTROY, 5, &(struct wire_destroy_request){0},
                &(struct wire_string){.data = NAME});
}

static void request_snapshot(int fd) {
    struct wire_string strings[] = {{.data = NAME}, {.data = COPY}, {.data = ""}, {.data = ""}};

    raw_request(fd, WIRE_SNAPSHOT, 5,
                &(struct wire_snapshot_request){.spec = {.mode = WIRE_MODE_DEFAULT}}, strings);
}

/* Whole, or not there. */
static void verify_snapshot(bool answered) {
    bool there = exists(conn, COPY);
    char value[OLD_SIZE];
    size_t got;

    ck_assert(there || !answered);
    ck_assert_int_eq(daemon_segments(&daemon_), 1 + there);
    if (there) {
        expect_ok(shmreg_get(conn, COPY, value, sizeof(value), &got));
        ck_assert_uint_eq(got, OLD_SIZE);
        ck_assert(is_filled(value, OLD_SIZE, 1));
        expect_ok(shmreg_destroy(conn, COPY));
    }
    ck_assert(has_value(OLD_SIZE, 1));
    destroy();
}

static void verify_destroy(bool answered) {
    bool there = exists(conn, NAME);

    ck_assert(!there || !answered);
    ck_assert_int_eq(daemon_segments(&daemon_), there);
    if (!there) {
        expect_awake();
        return;
    }
    ck_assert(has_value(OLD_SIZE, 1));
    destroy();
}

static void request_attributes(int fd) {
    raw_request(fd, WIRE_SET_ATTRIBUTES, 5, &(struct wire_set_attributes_request){{0}},
                (struct wire_string[]){{.data = NAME}, {.data = ATTRIBUTES}});
}

static void verify_attributes(bool answered) {
    struct shmreg_description *description;
    bool new;

    expect_ok(shmreg_describe(conn, NAME, &description));
    new = strcmp(description->attributes, ATTRIBUTES) == 0;
    ck_assert(new || strcmp(description->attributes, "{}") == 0);
    ck_assert(new || !answered);
    shmreg_description_free(description);
    destroy();
}

/* A region that ends with its only attachment, which is given back. */
static void prepare_detach(int fd) {
    struct wire_string strings[] = {{.data = NAME}, {.data = ""}, {.data = ""}};
    struct wire_attachment attachment;
    struct raw_reply reply;

    raw_request(
        fd, WIRE_CREATE, 4,
        &(struct wire_create_request){
            .access = WIRE_READ,
            .spec = {.lifetime = SHMREG_ATTACHED, .mode = WIRE_MODE_DEFAULT, .size = OLD_SIZE}},
        strings);
    raw_receive(fd, &reply);
    ck_assert_int_eq(reply.message.header.status, 0);
    memcpy(&attachment, reply.message.string[0].data, sizeof(attachment));
    attachment_id = attachment.attachment_id;
    raw_reply_deinit(&reply);
}

static void request_detach(int fd) {
    raw_request(fd, WIRE_DETACH, 5, &(struct wire_detach_request){attachment_id}, NULL);
}

/* Unanswered, the attachment may still count, as its process lives: till that says otherwise. */
static void verify_detach(bool answered) {
    _cleanup_close_ int fd = -1;

    if (!answered) {
        fd = raw_connect(daemon_.socket);
        raw_hello(fd, CLIENT_ID);
        close_fd(&fd);
    }
    wait_gone(conn, NAME);
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}

static void request_stage(int fd) {
    struct wire_string strings[] = {{.data = NAME}, {.data = ""}, {.data = ""}};

    raw_request(fd, WIRE_STAGE, 5,
                &(struct wire_stage_request){.spec = {.mode = WIRE_MODE_DEFAULT, .size = NEW_SIZE}},
                strings);
}

static bool is_swept(void *data) {
    (void)data;
    return daemon_segments(&daemon_) == 0;
}

/* It is this process's, if it was recorded, until the client says that it has gone. */
static void verify_stage(bool answered) {
    _cleanup_close_ int fd = raw_connect(daemon_.socket);
    bool there = raw_hello(fd, CLIENT_ID) & WIRE_HELLO_RESUMED;

    ck_assert(there || !answered);
    ck_assert_int_eq(daemon_segments(&daemon_), there);
    ck_assert(!exists(conn, NAME));
    close_fd(&fd);
    wait_until(is_swept, NULL);
}

static void prepare_stage(int fd) {
    struct wire_attachment stage;
    struct raw_reply reply;
    char value[NEW_SIZE];

    request_stage(fd);
    raw_receive(fd, &reply);
    ck_assert_int_eq(reply.message.header.status, 0);
    memcpy(&stage, reply.message.string[0].data, sizeof(stage));
    attachment_id = stage.attachment_id;
    fill(value, sizeof(value), 2);
    ck_assert_int_eq(pwrite(reply.fds.fd[0], value, sizeof(value), 0), sizeof(value));
    raw_reply_deinit(&reply);
}

static void prepare_stage_of_old(int fd) {
    put_old(fd);
    prepare_stage(fd);
}

static void request_publish(int fd) {
    raw_request(fd, WIRE_PUBLISH, 6, &(struct wire_publish_request){.stage_id = attachment_id},
                NULL);
}

/* It may be asked again in any case, and then has happened once. */
static void verify_publish(bool answered, uint32_t version) {
    _cleanup_close_ int fd = raw_connect(daemon_.socket);
    struct shmreg_description *description;

    ck_assert(exists(conn, NAME) || (!answered && version == 1));
    if (exists(conn, NAME) && !has_value(NEW_SIZE, 2))
        ck_assert(!answered && version == 2 && has_value(OLD_SIZE, 1));
    ck_assert(raw_hello(fd, CLIENT_ID) & WIRE_HELLO_RESUMED);
    request_publish(fd);
    ck_assert_int_eq(raw_receive_status(fd), 0);
    expect_awake();
    ck_assert(has_value(NEW_SIZE, 2));
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    expect_ok(shmreg_describe(conn, NAME, &description));
    ck_assert_uint_eq(description->version, version);
    ck_assert_uint_eq(description->writers, 1);
    shmreg_description_free(description);
    close_fd(&fd);
    wait_holders(conn, NAME, 0, 0);
    destroy();
}

static void verify_publish_new(bool answered) {
    verify_publish(answered, 1);
}

static void verify_publish_version(bool answered) {
    verify_publish(answered, 2);
}

/* A region that may grow, without writers. */
static void prepare_growing(int fd) {
    shmreg_region *region;

    (void)fd;
    expect_ok(shmreg_create(conn, NAME, OLD_SIZE, SHMREG_OPTIONS(.max_size = NEW_SIZE), &region));
    fill(shmreg_data(region), OLD_SIZE, 1);
    shmreg_close(region);
    put_to_sleep();
}

static void request_resize(int fd) {
    raw_request(fd, WIRE_RESIZE, 5, &(struct wire_resize_request){.size = NEW_SIZE},
                &(struct wire_string){.data = NAME});
}

/* What is new is zeroes, and what was begun can be done again. */
static void verify_resize(bool answered) {
    shmreg_region *region = open_region(conn, NAME, SHMREG_READ);
    bool new = shmreg_size(region) == NEW_SIZE;
    const char *bytes = shmreg_data(region);

    ck_assert(new || shmreg_size(region) == OLD_SIZE);
    ck_assert(new || !answered);
    if (new)
        expect_awake();
    expect_ok(shmreg_resize(conn, NAME, NEW_SIZE));
    ck_assert(is_filled(bytes, OLD_SIZE, 1));
    for (unsigned i = OLD_SIZE; i < NEW_SIZE; i++)
        ck_assert_int_eq(bytes[i], 0);
    shmreg_close(region);
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    destroy();
}

static void request_seal(int fd) {
    raw_request(fd, WIRE_SEAL, 5, &(struct wire_seal_request){.reserved = 0},
                &(struct wire_string){.data = NAME});
}

static void verify_seal(bool answered) {
    struct shmreg_description *description;
    shmreg_region *region;
    bool sealed;

    expect_ok(shmreg_describe(conn, NAME, &description));
    sealed = description->sealed;
    shmreg_description_free(description);
    ck_assert(sealed || !answered);
    ck_assert_int_eq(shmreg_open(conn, NAME, SHMREG_WRITE, &region), sealed ? -EPERM : 0);
    if (sealed)
        expect_awake();
    else
        shmreg_close(region);
    ck_assert(has_value(OLD_SIZE, 1));
    destroy();
}

static const struct operation operations[] = {
    {"create", 1, prepare_nothing, request_create, verify_create},
    {"create-with-block", 1, prepare_nothing, request_create_with_block, verify_create_with_block},
    {"put", 1, prepare_nothing, request_put, verify_put},
    {"replace", 1, put_old, request_put, verify_replace},
    {"destroy", 1, put_old, request_destroy, verify_destroy},
    {"set-attributes", 1, put_old, request_attributes, verify_attributes},
    {"stage", 1, prepare_nothing, request_stage, verify_stage},
    {"publish-new", 1, prepare_stage, request_publish, verify_publish_new},
    {"publish", 1, prepare_stage_of_old, request_publish, verify_publish_version},
    {"resize", 1, prepare_growing, request_resize, verify_resize},
    {"seal", 1, prepare_growing, request_seal, verify_seal},
    {"snapshot", 1, put_old, request_snapshot, verify_snapshot},
    {"detach", 2, prepare_detach, request_detach, verify_detach},
};

static void wait_stopped(void) {
    int status;

    ck_assert_int_eq(waitpid(daemon_.pid, &status, 0), daemon_.pid);
    ck_assert_msg(WIFSTOPPED(status), "shmregd ended: %#x", (unsigned)status);
}

static void hold_daemon(void) {
    ck_assert_int_eq(ptrace(PTRACE_SEIZE, daemon_.pid, NULL, PTRACE_O_TRACESYSGOOD), 0);
    ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, daemon_.pid, NULL, NULL), 0);
    wait_stopped();
}

/* Lets it run until it is about to make a system call, or has made one. True if it is about to wait
 * for events. */
static bool run_to_next_point(void) {
    struct __ptrace_syscall_info info;

    do {
        ck_assert_int_eq(ptrace(PTRACE_SYSCALL, daemon_.pid, NULL, NULL), 0);
        wait_stopped();
        ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, daemon_.pid, sizeof(info), &info), 0);
    } while (info.op != PTRACE_SYSCALL_INFO_ENTRY && info.op != PTRACE_SYSCALL_INFO_EXIT);
    return info.op == PTRACE_SYSCALL_INFO_ENTRY &&
           (info.entry.nr == SYS_epoll_wait || info.entry.nr == SYS_epoll_pwait);
}

/* Carries the operation out up to that @point, and kills the daemon there.
 * Returns whether there are further points. */
static bool kill_at(const struct operation *operation, unsigned point) {
    _cleanup_close_ int fd = raw_connect(daemon_.socket);
    bool answered = false;
    unsigned turns = 0;

    raw_hello(fd, CLIENT_ID);
    operation->prepare(fd);
    hold_daemon();
    operation->request(fd);
    for (unsigned i = 0; i <= point && turns < operation->turns; i++) {
        bool waits = run_to_next_point();

        answered = is_readable_within(fd, 0);
        turns += answered && waits;
    }
    if (answered)
        ck_assert_int_eq(raw_receive_status(fd), 0);
    daemon_kill(&daemon_);
    close_fd(&fd);
    daemon_launch(&daemon_);
    operation->verify(answered);
    return turns < operation->turns;
}

START_TEST(test_killed_around_each_system_call) {
    const struct operation *operation = &operations[_i / 2];
    unsigned points = 0;

    daemon_start_with(&daemon_, configs[_i % 2]);
    conn = connect_to(&daemon_);
    while (kill_at(operation, points))
        ck_assert_uint_lt(++points, POINTS_MAX);
    ck_assert_uint_gt(points, 3);
    printf("%s: killed at each of %u points: %s\n", operation->name, points, configs[_i % 2]);
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *kill_points = tcase_create("kill-points");

    tcase_set_timeout(kill_points, 240);
    tcase_add_loop_test(kill_points, test_killed_around_each_system_call, 0,
                        2 * (int)ARRAY_SIZE(operations));
    return sandbox_run("kill-points", &kill_points, 1);
}
