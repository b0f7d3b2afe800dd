/*
 * Guard: memory that is not there is an error inside of a guard, and outside of it what it was
 * before.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define SIZE (16 * PAGE)
#define KEPT (3 * PAGE)
#define USER_ID 20001

static struct test_daemon daemon_;
static shmreg_conn *conn;

static void setup(void) {
    daemon_start(&daemon_);
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

/* A region whose writer has cut it to KEPT bytes while it was mapped. */
static shmreg_region *open_cut(const char *name, uint32_t backing) {
    shmreg_region *writer, *reader;

    expect_ok(shmreg_create(conn, name, SIZE, SHMREG_OPTIONS(.backing = backing), &writer));
    fill(shmreg_data(writer), SIZE, 1);
    reader = open_region(conn, name, SHMREG_READ);
    ck_assert_int_eq(ftruncate(shmreg_fd(writer), KEPT), 0);
    shmreg_close(writer);
    return reader;
}

struct reading {
    const volatile unsigned char *bytes;
    size_t start, end;
    unsigned sum;
};

static void read_bytes(void *data) {
    struct reading *reading = data;

    for (size_t i = reading->start; i < reading->end; i++)
        reading->sum += reading->bytes[i];
}

static int guarded_read(shmreg_region *region, size_t start, size_t end, uint64_t *ret_offset) {
    struct reading reading = {.bytes = shmreg_data(region), .start = start, .end = end};

    return shmreg_guard(region, read_bytes, &reading, ret_offset);
}

START_TEST(test_a_cut_region) {
    shmreg_region *region = open_cut("cut", (uint32_t)_i);
    sigset_t before, after;
    uint64_t offset = 77;

    sigprocmask(SIG_SETMASK, NULL, &before);
    expect_ok(guarded_read(region, 0, KEPT, &offset));
    ck_assert_uint_eq(offset, 77);
    expect_error(guarded_read(region, 10, SIZE, &offset), -EFAULT, "no memory at offset 12288");
    ck_assert_uint_eq(offset, KEPT);
    /* Again and again: the signal is not left blocked. */
    for (size_t at = KEPT + 5; at < SIZE; at += PAGE) {
        ck_assert_int_eq(guarded_read(region, at, at + 1, &offset), -EFAULT);
        ck_assert_uint_eq(offset, at);
    }
    ck_assert_int_eq(guarded_read(region, KEPT, SIZE, NULL), -EFAULT);
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        ck_assert_int_eq(sigismember(&before, number), sigismember(&after, number));
}
END_TEST

/* A guard of one region within that of another. */
struct nest {
    shmreg_region *outer, *inner;
    size_t outer_at, inner_at; /* what is read within the inner guard */
    bool after_inner;
    int inner_result;
    uint64_t inner_offset;
};

static void touch_both(void *data) {
    struct nest *nest = data;

    (void)((const volatile char *)shmreg_data(nest->inner))[nest->inner_at];
    (void)((const volatile char *)shmreg_data(nest->outer))[nest->outer_at];
}

static void guard_inner(void *data) {
    struct nest *nest = data;

    nest->inner_result = shmreg_guard(nest->inner, touch_both, nest, &nest->inner_offset);
    nest->after_inner = true;
    (void)((const volatile char *)shmreg_data(nest->outer))[KEPT + 9];
}

START_TEST(test_guards_nest) {
    struct nest nest = {.outer = open_cut("outer", SHMREG_SHM), .inner = open_cut("inner", 0)};
    uint64_t offset;

    /* The inner one fails and its caller goes on, in the outer one still. */
    nest.inner_at = KEPT + 1;
    ck_assert_int_eq(shmreg_guard(nest.outer, guard_inner, &nest, &offset), -EFAULT);
    ck_assert_int_eq(nest.inner_result, -EFAULT);
    ck_assert_uint_eq(nest.inner_offset, KEPT + 1);
    ck_assert(nest.after_inner);
    ck_assert_uint_eq(offset, KEPT + 9);
    /* What the inner one does not guard is left to the outer one. */
    nest.inner_at = 0;
    nest.outer_at = KEPT + 2;
    nest.after_inner = false;
    ck_assert_int_eq(shmreg_guard(nest.outer, guard_inner, &nest, &offset), -EFAULT);
    ck_assert(!nest.after_inner);
    ck_assert_uint_eq(offset, KEPT + 2);
    /* And no frame is left behind. */
    ck_assert_int_eq(guarded_read(nest.inner, KEPT, SIZE, &offset), -EFAULT);
    ck_assert_uint_eq(offset, KEPT);
}
END_TEST

struct worker {
    shmreg_region *region;
    size_t at;
    unsigned failures;
};

static void *guard_often(void *data) {
    struct worker *worker = data;

    for (unsigned i = 0; i < 2000; i++) {
        uint64_t offset = 0;

        worker->failures += guarded_read(worker->region, 0, KEPT, NULL) != 0;
        worker->failures += guarded_read(worker->region, worker->at, SIZE, &offset) != -EFAULT ||
                            offset != worker->at;
    }
    return NULL;
}

START_TEST(test_threads_guard_at_once) {
    struct worker workers[8];
    pthread_t threads[ARRAY_SIZE(workers)];
    shmreg_region *region = open_cut("cut", SHMREG_SHM);

    for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
        workers[i] = (struct worker){.region = region, .at = KEPT + i * PAGE + i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, guard_often, &workers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(workers[i].failures, 0);
    }
}
END_TEST

/* What handlers of the program see. */
static volatile sig_atomic_t heard;
static const volatile void *heard_address;
static sigjmp_buf way_out;

static void on_sigbus(int number) {
    heard = number;
}

static void on_sigbus_with_info(int number, siginfo_t *info, void *context) {
    (void)context;
    heard = number;
    heard_address = info->si_addr;
    siglongjmp(way_out, 1);
}

static void handle(const struct sigaction *action) {
    ck_assert_int_eq(sigaction(SIGBUS, action, NULL), 0);
}

START_TEST(test_other_handlers_are_chained) {
    shmreg_region *guarded = open_cut("guarded", 0), *other = open_cut("other", 0);
    volatile char *address = (char *)shmreg_data(other) + KEPT;

    handle(&(struct sigaction){.sa_sigaction = on_sigbus_with_info, .sa_flags = SA_SIGINFO});
    ck_assert_int_eq(guarded_read(guarded, KEPT, SIZE, NULL), -EFAULT);
    ck_assert_int_eq(heard, 0);
    if (sigsetjmp(way_out, 1) == 0)
        (void)*address;
    ck_assert_int_eq(heard, SIGBUS);
    ck_assert(heard_address == address);
    /* One that is sent is nobody's fault, wherever it comes. */
    heard = 0;
    if (sigsetjmp(way_out, 1) == 0)
        raise(SIGBUS);
    ck_assert_int_eq(heard, SIGBUS);
}
END_TEST

START_TEST(test_a_simple_handler_is_chained) {
    shmreg_region *region = open_cut("cut", 0);

    handle(&(struct sigaction){.sa_handler = on_sigbus});
    ck_assert_int_eq(guarded_read(region, KEPT, SIZE, NULL), -EFAULT);
    raise(SIGBUS);
    ck_assert_int_eq(heard, SIGBUS);
}
END_TEST

enum end { TOUCH, SEND };

/* Guards once, then meets a SIGBUS that is not guarded. */
static int status_after(const struct sigaction *action, enum end end) {
    shmreg_region *region = open_cut("cut", 0);
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        sigaction(SIGBUS, action, NULL);
        if (guarded_read(region, KEPT, SIZE, NULL) != -EFAULT)
            _exit(1);
        if (end == TOUCH)
            (void)((const volatile char *)shmreg_data(region))[KEPT];
        else
            raise(SIGBUS);
        _exit(2);
    }
    expect_ok(shmreg_destroy(conn, "cut"));
    shmreg_close(region);
    return wait_for_end(pid);
}

START_TEST(test_without_a_handler_a_process_dies) {
    static const struct sigaction by_default = {.sa_handler = SIG_DFL};
    static const struct sigaction ignored = {.sa_handler = SIG_IGN};
    int status;

    status = status_after(&by_default, TOUCH);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = status_after(&by_default, SEND);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = status_after(&ignored, TOUCH);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = status_after(&ignored, SEND);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}
END_TEST

/* Another user's process, which may write, is not to be trusted. */
static void cut_as_another(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "shared", SHMREG_WRITE);

    (void)data;
    channel_hear(channel);
    ck_assert_int_eq(ftruncate(shmreg_fd(region), 0), 0);
    channel_say(channel);
    channel_hear(channel);
    shmreg_disconnect(own);
}

START_TEST(test_a_hostile_writer) {
    shmreg_region *region;
    struct child child;
    uint64_t offset;

    create_region(conn, "shared", SIZE, SHMREG_OPTIONS(.mode = 0666, .backing = SHMREG_SHM));
    region = open_region(conn, "shared", SHMREG_READ);
    child = child_start(USER(USER_ID), cut_as_another, NULL);
    expect_ok(guarded_read(region, 0, SIZE, NULL));
    channel_say(child.channel);
    channel_hear(child.channel);
    ck_assert_int_eq(guarded_read(region, 0, SIZE, &offset), -EFAULT);
    ck_assert_uint_eq(offset, 0);
    expect_error(shmreg_open(conn, "shared", SHMREG_WRITE | SHMREG_POPULATE, &region), -EIO, "cut");
    channel_say(child.channel);
    child_finish(&child);
}
END_TEST

int main(void) {
    TCase *guard = tcase_create("guard");

    tcase_add_checked_fixture(guard, setup, teardown);
    tcase_set_timeout(guard, 30);
    tcase_add_loop_test(guard, test_a_cut_region, 0, 1);
    tcase_add_test(guard, test_guards_nest);
    tcase_add_test(guard, test_threads_guard_at_once);
    tcase_add_test(guard, test_other_handlers_are_chained);
    tcase_add_test(guard, test_a_simple_handler_is_chained);
    tcase_add_test(guard, test_without_a_handler_a_process_dies);
    tcase_add_test(guard, test_a_hostile_writer);
    return sandbox_run("guard", &guard, 1);
}
