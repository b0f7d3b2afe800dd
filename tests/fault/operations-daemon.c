/*
 * Operations that nobody asks for on the client socket: reload, reap, flush.
 */
#include "tests/fault/operations.h"

#include "proto/cleanup.h"
#include "tests/fault/balance.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/wait.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define OWNER_UID 20001
#define LIMIT 54321

void request_answer(struct scene *scene) {
    raw_request(scene->fd, WIRE_WATCH, 5, &(struct wire_watch_request){.enable = 0}, NULL);
}

static void drop_in(const struct scene *scene, char ret[static 2 * DAEMON_PATH_MAX]) {
    snprintf(ret, 2 * DAEMON_PATH_MAX, "%s/conf.d", scene->daemon.root);
    ck_assert(mkdir(ret, 0755) == 0 || errno == EEXIST);
    snprintf(ret, 2 * DAEMON_PATH_MAX, "%s/conf.d/limit.json", scene->daemon.root);
}

static void prepare_reload(struct scene *scene) {
    _cleanup_fclose_ FILE *file = NULL;
    char path[2 * DAEMON_PATH_MAX];

    drop_in(scene, path);
    file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "{\"limits\":{\"total\":{\"attachments\":%d}}}", LIMIT);
}

/* What happens beside the first request is over when the second is answered, in the next turn. */
static void request_two_turns(struct scene *scene) {
    request_answer(scene);
    request_answer(scene);
}

static void request_reload(struct scene *scene) {
    ck_assert_int_eq(kill(scene->daemon.pid, SIGHUP), 0);
    request_two_turns(scene);
}

static bool is_limited(const struct scene *scene) {
    struct balance balance;

    balance_read(&scene->daemon, &balance);
    return balance.attachments_limit == LIMIT;
}

static bool is_limited_now(void *data) {
    return is_limited(data);
}

static bool is_unlimited_now(void *data) {
    return !is_limited(data);
}

/* The old configuration or the new one, and the new one with the next signal. */
static void verify_reload(struct scene *scene) {
    char path[2 * DAEMON_PATH_MAX];

    ck_assert(is_limited(scene) || !scene->restarted);
    ck_assert(!exists(scene->conn, NAME));
    ck_assert_int_eq(kill(scene->daemon.pid, SIGHUP), 0);
    wait_until(is_limited_now, scene);
    drop_in(scene, path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(kill(scene->daemon.pid, SIGHUP), 0);
    wait_until(is_unlimited_now, scene);
}

static void own(int channel, void *data) {
    struct scene *scene = data;
    shmreg_conn *conn = connect_to(&scene->daemon);

    create_region(conn, NAME, OLD_SIZE, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER, .mode = 0666));
    channel_say(channel);
    channel_hear(channel);
}

static void prepare_owner(struct scene *scene) {
    scene->owner = child_start(USER(OWNER_UID), own, scene);
    channel_hear(scene->owner.channel);
}

static void request_death_of_owner(struct scene *scene) {
    child_kill(&scene->owner);
    request_two_turns(scene);
}

/* Now, or with the next attempt. */
static void verify_reaped(struct scene *scene) {
    wait_gone(scene->conn, NAME);
    scene_expect_segments(scene, 0);
}

static void prepare_end_of_lease(struct scene *scene) {
    create_region(scene->conn, NAME, OLD_SIZE,
                  SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = 1, .flags = SHMREG_DETACHED));
}

static void prepare_flush(struct scene *scene) {
    shmreg_region *region;

    expect_ok(shmreg_create(
        scene->conn, NAME, OLD_SIZE,
        SHMREG_OPTIONS(.durability = SHMREG_DURABILITY_INTERVAL, .durability_seconds = 1),
        &region));
    fill(shmreg_data(region), OLD_SIZE, 1);
    shmreg_close(region);
}

static void verify_flush(struct scene *scene) {
    ck_assert(scene_has_value(scene, NAME, OLD_SIZE, 1));
    scene_expect_segments(scene, 1);
    scene_destroy(scene);
}

const struct operation daemon_operations[] = {
    {"reload", ON_SHM, 2, false, prepare_reload, request_reload, verify_reload},
    {"reap-owner", ON_ALL, 2, false, prepare_owner, request_death_of_owner, verify_reaped},
    {"reap-lease", ON_ALL, 2, true, prepare_end_of_lease, request_answer, verify_reaped},
    {"flush", ON_FILE, 3, true, prepare_flush, request_answer, verify_flush},
    {.name = NULL},
};
