/*
 * Error points: for each operation that changes something, one of the daemon's system calls fails;
 * with SHMREG_TEST_LONG, each in turn and with each error. The answer is a clear error, and then nothing
 * has changed; or a success, where the failure does not matter. The daemon lives, and both it and the
 * one that is started after it know what was answered and nothing else.
 */
#include "proto/cleanup.h"
#include "tests/fault/sweep.h"
#include "tests/fault/trace.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>
#include <stdlib.h>

#define CALLS_MAX 500
#define STRIDE 3
#define SLOW_STRIDE 10
#define RESTARTS 6 /* one in so many is judged after a restart */

static const int errors[] = {ENOSPC, EMFILE, ENFILE, ENOMEM, EIO, EINTR, EAGAIN};

static struct scene scene;

struct fault {
    unsigned call;  /* counted from the request on */
    unsigned error; /* the first of errors that is tried */
    bool restart;
};

/* Has the call fail with the error chosen, or with the next one that it can have. */
static void inject(struct trace *trace, const struct trace_point *point, unsigned error) {
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        int candidate = errors[(error + i) % ARRAY_SIZE(errors)];

        if (trace_can_fail(point, candidate)) {
            trace_fail(trace, point, candidate);
            return;
        }
    }
}

/* Runs the operation up to that call, and has it fail. Returns whether there was such a call. */
static bool run_into(const struct operation *operation, const struct fault *fault) {
    struct trace_point point;
    struct trace trace;
    unsigned calls = 0, turns = 0;
    bool hit = false;

    trace_start(&trace, scene.daemon.pid);
    operation->request(&scene);
    while (!hit && turns < operation->turns) {
        trace_next(&trace, &point);
        scene_receive_now(&scene);
        turns += scene.outcome == ANSWERED && trace_waits(&trace, &point);
        hit = point.entry && calls++ == fault->call;
    }
    if (hit)
        inject(&trace, &point, fault->error);
    trace_end(&trace);
    return hit;
}

static bool fail_at(const struct operation *operation, const struct fault *fault) {
    bool hit;

    scene_enter(&scene);
    operation->prepare(&scene);
    scene_settle(&scene);
    hit = run_into(operation, fault);
    scene_receive(&scene);
    ck_assert(daemon_is_alive(&scene.daemon));
    if (fault->restart) {
        daemon_kill(&scene.daemon);
        daemon_launch(&scene.daemon);
        scene.restarted = true;
    }
    operation->verify(&scene);
    scene_leave(&scene);
    return hit;
}

static bool try_one(unsigned number, const struct fault *fault) {
    struct sweep_case it = sweep_case(number);

    sweep_try(number, "%s on %s, call %u: %s%s", it.operation->name, it.backing, fault->call,
              strerrorname_np(errors[fault->error]), fault->restart ? ", restarted" : "");
    return fail_at(it.operation, fault);
}

static void try_all(unsigned number) {
    struct fault fault = {0};
    bool more = true;

    for (; more; fault.call++) {
        ck_assert_uint_lt(fault.call, CALLS_MAX);
        for (fault.error = 0; more && fault.error < ARRAY_SIZE(errors); fault.error++)
            for (unsigned restart = 0; more && restart < 2; restart++) {
                fault.restart = restart;
                more = try_one(number, &fault);
            }
    }
}

static void try_some(unsigned number) {
    unsigned stride = sweep_case(number).operation->slow ? SLOW_STRIDE : STRIDE;
    unsigned turn = sweep_choose(number, 1000);
    struct fault fault = {.call = turn % stride};

    do {
        ck_assert_uint_lt(fault.call, CALLS_MAX);
        fault.error = turn % ARRAY_SIZE(errors);
        fault.restart = turn++ % RESTARTS == 0;
        fault.call += stride;
    } while (try_one(number, &fault));
}

START_TEST(test_each_system_call_fails) {
    unsigned number = (unsigned)_i;

    scene_init(&scene, sweep_case(number).backing);
    scene.check_all = sweep_is_long();
    if (sweep_is_long())
        try_all(number);
    else
        try_some(number);
    scene_deinit(&scene);
    sweep_passed(number);
}
END_TEST

int main(void) {
    TCase *error_points = tcase_create("error-points");
    int status;

    sweep_begin();
    tcase_set_timeout(error_points, 600);
    tcase_add_loop_test(error_points, test_each_system_call_fails, 0, (int)sweep_n_cases());
    status = sandbox_run("error-points", &error_points, 1);
    sweep_print("faults injected");
    return status;
}
