/*
 * Kill points: for each operation that changes something, the daemon is killed before one of its
 * system calls, or after it; with SHMREG_TEST_LONG, at each in turn. After the restart the operation has
 * taken effect wholly or not at all, wholly if it was answered, nothing is left over, and nobody sleeps
 * through it.
 */
#include "tests/fault/sweep.h"
#include "tests/fault/trace.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <stdio.h>
#include <stdlib.h>

#define POINTS_MAX 500
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 16
#define SLOW_STRIDE 40
#else
#define STRIDE 8
#define SLOW_STRIDE 20
#endif

static struct scene scene;

/* Carries the operation out up to that @point, and kills the daemon there.
 * Returns whether there are further points. */
static bool kill_at(const struct operation *operation, unsigned point) {
    struct trace_point reached;
    struct trace trace;
    unsigned turns = 0;

    scene_enter(&scene);
    operation->prepare(&scene);
    scene_settle(&scene);
    trace_start(&trace, scene.daemon.pid);
    operation->request(&scene);
    for (unsigned i = 0; i <= point && turns < operation->turns; i++) {
        trace_next(&trace, &reached);
        scene_receive_now(&scene);
        turns += scene.outcome == ANSWERED && trace_waits(&trace, &reached);
    }
    ck_assert(scene.outcome != REFUSED);
    trace_kill(&trace);
    daemon_launch(&scene.daemon);
    scene.restarted = true;
    operation->verify(&scene);
    scene_leave(&scene);
    return turns < operation->turns;
}

START_TEST(test_killed_around_each_system_call) {
    unsigned number = (unsigned)_i, point = 0, stride = 1;
    struct sweep_case it = sweep_case(number);
    bool more = true;

    if (!sweep_is_long()) {
        stride = it.operation->slow ? SLOW_STRIDE : STRIDE;
        point = sweep_choose(number, stride);
    }
    scene_init(&scene, it.backing);
    scene.check_all = sweep_is_long();
    for (; more; point += stride) {
        ck_assert_uint_lt(point, POINTS_MAX);
        sweep_try(number, "%s on %s, point %u", it.operation->name, it.backing, point);
        more = kill_at(it.operation, point);
    }
    ck_assert_uint_gt(point, 3);
    scene_deinit(&scene);
    sweep_passed(number);
}
END_TEST

int main(void) {
    TCase *kill_points = tcase_create("kill-points");
    int status;

    sweep_begin();
    tcase_set_timeout(kill_points, 240);
    tcase_add_loop_test(kill_points, test_killed_around_each_system_call, 0, (int)sweep_n_cases());
    status = sandbox_run("kill-points", &kill_points, 1);
    sweep_print("kill points");
    return status;
}
