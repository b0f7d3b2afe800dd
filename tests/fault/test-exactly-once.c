/*
 * Exactly once: for each call of the library that changes something, the daemon is killed before and
 * after each of its system calls, and the next one started. The call knows nothing of it: it succeeds,
 * with the answer that it would have had, and has taken effect once, whether the daemon was killed before
 * it had done anything, after all was done and recorded, or in between.
 */
#include "proto/cleanup.h"
#include "tests/fault/trace.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME "region"
#define COPY "copy"
#define SIZE 5000
#define MAX_SIZE 9000
#define POINTS_MAX 500
#define STRIDE 15 /* between two points in the short form */
#define PATIENCE_MSEC 2000

struct operation {
    const char *name;
    void (*prepare)(void);
    int (*call)(void);
    void (*verify)(void); /* leaves no region behind */
};

static struct test_daemon daemon_;
static shmreg_conn *caller, *other;
static shmreg_region *region, *more[2];
static uint32_t version;

static void expect_described(uint32_t expected_version, unsigned readers, unsigned writers) {
    struct shmreg_description *description;

    expect_ok(shmreg_describe(other, NAME, &description));
    ck_assert_uint_eq(description->version, expected_version);
    ck_assert_uint_eq(description->readers, readers);
    ck_assert_uint_eq(description->writers, writers);
    shmreg_description_free(description);
}

static void destroy(void) {
    expect_ok(shmreg_destroy(other, NAME));
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}

/* A daemon that was restarted meanwhile is told with the next call. */
static void give_back(shmreg_region *handle) {
    shmreg_close(handle);
    exists(caller, NAME);
}

static void prepare_nothing(void) {
}

static void prepare_region(void) {
    create_region(caller, NAME, SIZE, SHMREG_OPTIONS(.max_size = MAX_SIZE));
}

static int call_create(void) {
    return shmreg_create(caller, NAME, SIZE, SHMREG_OPTIONS(.lifetime = SHMREG_ATTACHED), &region);
}

static void verify_create(void) {
    expect_described(1, 0, 1);
    give_back(region);
    wait_gone(other, NAME);
}

static int call_create_detached(void) {
    return shmreg_create(caller, NAME, SIZE, SHMREG_OPTIONS(.flags = SHMREG_DETACHED), NULL);
}

static void verify_create_detached(void) {
    expect_described(1, 0, 0);
    destroy();
}

static int call_adopt(void) {
    _cleanup_close_ int fd = memfd_create("adopted", MFD_CLOEXEC);

    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    return shmreg_adopt(caller, NAME, fd, NULL, &region);
}

/* Memory that is not in the service manager's store ends with the daemon: it was answered before. */
static void verify_adopt(void) {
    give_back(region);
    if (exists(other, NAME))
        destroy();
}

static int call_open(void) {
    return shmreg_open(caller, NAME, SHMREG_READ, &region);
}

static void verify_open(void) {
    expect_described(1, 1, 0);
    give_back(region);
    wait_holders(other, NAME, 0, 0);
    destroy();
}

static void prepare_two(void) {
    prepare_region();
    create_region(caller, COPY, SIZE, NULL);
}

static int call_open_many(void) {
    static const char *const names[] = {NAME, COPY};

    return shmreg_open_many(caller, names, 2, SHMREG_READ, more);
}

static void verify_open_many(void) {
    expect_described(1, 1, 0);
    ck_assert_uint_eq(count_readers(other, COPY), 1);
    give_back(more[0]);
    give_back(more[1]);
    wait_holders(other, NAME, 0, 0);
    wait_holders(other, COPY, 0, 0);
    expect_ok(shmreg_destroy(other, COPY));
    destroy();
}

static int call_put(void) {
    return shmreg_put(caller, NAME, "value", 6, SHMREG_MODE_DEFAULT);
}

static void verify_put(void) {
    expect_described(2, 0, 0);
    destroy();
}

static void verify_put_new(void) {
    expect_described(1, 0, 0);
    destroy();
}

static int call_destroy(void) {
    return shmreg_destroy(caller, NAME);
}

static void verify_destroy(void) {
    ck_assert(!exists(other, NAME));
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}

static int call_resize(void) {
    return shmreg_resize(caller, NAME, MAX_SIZE);
}

static int call_seal(void) {
    return shmreg_seal(caller, NAME);
}

static int call_set_access(void) {
    return shmreg_set_access(caller, NAME, 0640, "user:20001:r");
}

static int call_set_attributes(void) {
    return shmreg_set_attributes(caller, NAME, "{\"a\":1}");
}

static void verify_unchanged(void) {
    expect_described(1, 0, 0);
    destroy();
}

static void prepare_lease(void) {
    create_region(caller, NAME, SIZE, SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 1000));
}

static int call_renew(void) {
    return shmreg_renew(caller, NAME, 2000);
}

static int call_stage(void) {
    return shmreg_stage(caller, NAME, SIZE, NULL, &region);
}

static bool is_swept(void *data) {
    (void)data;
    return daemon_segments(&daemon_) == 0;
}

static void verify_stage(void) {
    ck_assert_int_eq(daemon_segments(&daemon_), 1);
    give_back(region);
    wait_until(is_swept, NULL);
}

static void prepare_stage(void) {
    prepare_region();
    expect_ok(call_stage());
}

static int call_publish(void) {
    return shmreg_publish(region, 1, &version);
}

static void verify_publish(void) {
    ck_assert_uint_eq(version, 2);
    expect_described(2, 0, 1);
    give_back(region);
    wait_holders(other, NAME, 0, 0);
    destroy();
}

static int call_snapshot(void) {
    return shmreg_snapshot(caller, NAME, COPY, NULL, NULL, NULL);
}

static void verify_snapshot(void) {
    expect_ok(shmreg_destroy(other, COPY));
    destroy();
}

static const struct operation operations[] = {
    {"create", prepare_nothing, call_create, verify_create},
    {"create-detached", prepare_nothing, call_create_detached, verify_create_detached},
    {"adopt", prepare_nothing, call_adopt, verify_adopt},
    {"open", prepare_region, call_open, verify_open},
    {"open-many", prepare_two, call_open_many, verify_open_many},
    {"put", prepare_region, call_put, verify_put},
    {"put-new", prepare_nothing, call_put, verify_put_new},
    {"destroy", prepare_region, call_destroy, verify_destroy},
    {"resize", prepare_region, call_resize, verify_unchanged},
    {"seal", prepare_region, call_seal, verify_unchanged},
    {"set-access", prepare_region, call_set_access, verify_unchanged},
    {"set-attributes", prepare_region, call_set_attributes, verify_unchanged},
    {"renew", prepare_lease, call_renew, verify_unchanged},
    {"stage", prepare_nothing, call_stage, verify_stage},
    {"publish", prepare_stage, call_publish, verify_publish},
    {"snapshot", prepare_region, call_snapshot, verify_snapshot},
};

struct outcome {
    int (*call)(void);
    _Atomic bool is_over;
    int result;
    char message[256];
};

static void *call(void *data) {
    struct outcome *outcome = data;

    outcome->result = outcome->call();
    snprintf(outcome->message, sizeof(outcome->message), "%s", shmreg_error_message());
    outcome->is_over = true;
    return NULL;
}

/* Whether the call is over, or soon will be: with an answer on its way, and if it asks for nothing more. */
static bool ends(const struct outcome *outcome) {
    for (unsigned i = 0; i < PATIENCE_MSEC && !outcome->is_over; i++)
        usleep(1000);
    return outcome->is_over;
}

/* Runs the daemon up to that @point of the call, or to the answer if @point is -1.
 * Returns whether the call was not over before. */
static bool run_to(struct trace *trace, int point, const struct outcome *outcome) {
    bool is_answer = false, is_answered = false, is_over = false;
    struct trace_point at;

    for (int i = 0; !is_over && (point < 0 ? !is_answer : i <= point); i++) {
        trace_next(trace, &at);
        is_answer = at.entry && at.call == SYS_sendmsg;
        is_answered = is_answered || is_answer;
        is_over = is_answered && trace_waits(trace, &at) && ends(outcome);
    }
    return !is_over;
}

/* Kills the daemon at that point, and returns whether the call was not over before. */
static bool kill_at(const struct operation *operation, int point) {
    struct outcome outcome = {.call = operation->call};
    struct trace trace;
    pthread_t thread;
    bool is_within;

    operation->prepare();
    trace_start(&trace, daemon_.pid);
    ck_assert_int_eq(pthread_create(&thread, NULL, call, &outcome), 0);
    is_within = run_to(&trace, point, &outcome);
    trace_kill(&trace);
    daemon_launch(&daemon_);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_msg(outcome.result == 0, "%s, killed at point %d: %d: %s", operation->name, point,
                  outcome.result, outcome.message);
    operation->verify();
    return is_within;
}

START_TEST(test_a_call_takes_effect_once) {
    static const char *const configs[] = {
        "{\"default_backing\":\"shm\"}",
        "{\"default_backing\":\"file\"}",
    };
    const struct operation *operation = &operations[_i / 2];
    int stride = getenv("SHMREG_TEST_LONG") ? 1 : STRIDE, point = 0, count = 1;

    daemon_start_with(&daemon_, configs[_i % 2]);
    caller = connect_to(&daemon_);
    other = connect_to(&daemon_);
    ck_assert(kill_at(operation, -1));
    for (; kill_at(operation, point); point += stride, count++)
        ck_assert_int_lt(point, POINTS_MAX);
    printf("%s: once, killed at %d points: %s\n", operation->name, count, configs[_i % 2]);
    shmreg_disconnect(caller);
    shmreg_disconnect(other);
    daemon_stop(&daemon_);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("exactly-once");

    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_a_call_takes_effect_once, 0, 2 * (int)ARRAY_SIZE(operations));
    return sandbox_run("exactly-once", &cases, 1);
}
