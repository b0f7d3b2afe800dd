/*
 * Scene: see scene.h.
 */
#include "tests/fault/scene.h"

#include "proto/cleanup.h"
#include "tests/fault/balance.h"
#include "tests/support/fsck.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

void scene_init(struct scene *scene, const char *backing) {
    char config[128];

    *scene = (struct scene){.fd = -1, .owner = {.channel = -1}};
    scene->nameless = strcmp(backing, "memfd") == 0;
    snprintf(config, sizeof(config),
             "{\"default_backing\":\"%s\",\"limits\":{\"total\":{\"bytes\":%" PRIu64 "}}}", backing,
             SCENE_BYTES_MAX);
    daemon_prepare(&scene->daemon, config);
    if (scene->nameless) {
        service_manager_start(&scene->manager, scene->daemon.root);
        scene->daemon.manager = &scene->manager;
    }
    daemon_launch(&scene->daemon);
    scene->conn = connect_to(&scene->daemon);
    scene->descriptors = settled_descriptors(&scene->daemon, scene->conn);
}

void scene_deinit(struct scene *scene) {
    shmreg_disconnect(scene->conn);
    daemon_stop(&scene->daemon);
    expect_sound(&scene->daemon);
    if (scene->nameless)
        service_manager_stop(&scene->manager);
}

void scene_enter(struct scene *scene) {
    scene->fd = raw_connect(scene->daemon.socket);
    raw_hello(scene->fd, CLIENT_ID);
    scene->outcome = UNANSWERED;
    scene->cut_off = scene->restarted = false;
}

void scene_settle(struct scene *scene) {
    exists(scene->conn, "nothing");
}

static bool is_empty(const struct scene *scene, struct balance *balance) {
    balance_read(&scene->daemon, balance);
    return balance->regions == 0 && balance->bytes == 0 && balance->attachments == 0 &&
           balance->connections == 2 && balance->clients == 1 &&
           daemon_segments(&scene->daemon) == 0 &&
           settled_descriptors(&scene->daemon, scene->conn) <= scene->descriptors;
}

void scene_leave(struct scene *scene) {
    uint64_t deadline = monotonic_usec() + DEADLINE_MSEC * UINT64_C(1000);
    struct balance left;

    if (scene->restarted)
        scene_resume(scene);
    close_fd(&scene->fd);
    scene_settle(scene);
    while (!is_empty(scene, &left))
        ck_assert_msg(monotonic_usec() < deadline,
                      "left: %" PRIu64 " regions, %" PRIu64 " bytes, %" PRIu64
                      " attachments, %" PRIu64 " connections, %" PRIu64
                      " clients, %d segments, %u descriptors instead of %u",
                      left.regions, left.bytes, left.attachments, left.connections, left.clients,
                      daemon_segments(&scene->daemon), daemon_descriptors(&scene->daemon),
                      scene->descriptors);
    if (!scene->check_all)
        return;
    daemon_stop(&scene->daemon);
    expect_sound(&scene->daemon);
    daemon_launch(&scene->daemon);
    scene_settle(scene);
}

static void judge(struct scene *scene, const struct raw_reply *reply) {
    const struct wire_header *header = &reply->message.header;

    if (header->flags & WIRE_CONTINUES)
        return;
    scene->outcome = header->status == 0 ? ANSWERED : REFUSED;
    ck_assert_msg(header->status == 0 || reply->message.string[0].length > 0,
                  "%s is refused with %d and no reason", wire_op_name(header->op), header->status);
}

/* One packet, which has come. Returns whether there was one. */
static bool receive(struct scene *scene) {
    struct error error = {0};
    struct raw_reply reply;
    int size = packet_receive(scene->fd, reply.bytes, sizeof(reply.bytes), &reply.fds);

    if (size <= 0)
        return false;
    ck_assert_msg(wire_decode(WIRE_REPLY_SIDE, reply.bytes, (size_t)size, reply.fds.count,
                              &reply.message, &error) == 0,
                  "a malformed reply: %s", error.text);
    packet_fds_close(&reply.fds);
    judge(scene, &reply);
    return true;
}

void scene_receive_now(struct scene *scene) {
    while (scene->outcome == UNANSWERED && is_readable_within(scene->fd, 0) && receive(scene))
        ;
}

/* Perhaps after an answer, when the next request could not be waited for. */
static bool is_cut_off(const struct scene *scene) {
    char byte;
    ssize_t n = recv(scene->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

void scene_receive(struct scene *scene) {
    while (scene->outcome == UNANSWERED) {
        wait_readable(scene->fd);
        if (!receive(scene))
            break;
    }
    scene_settle(scene);
    scene->cut_off = is_cut_off(scene);
}

void scene_expect(const struct scene *scene, bool effect) {
    if (scene->outcome != UNANSWERED)
        ck_assert_msg(effect == (scene->outcome == ANSWERED), "%s, but it has%s happened",
                      effect ? "refused" : "answered", effect ? "" : " not");
}

bool scene_resume(struct scene *scene) {
    if (!scene->restarted)
        return !scene->cut_off;
    close_fd(&scene->fd);
    scene->fd = raw_connect(scene->daemon.socket);
    return raw_hello(scene->fd, CLIENT_ID) & WIRE_HELLO_RESUMED;
}

static void *sleep_till_change(void *data) {
    struct sleeper *sleeper = data;

    sleeper->tid = gettid();
    /* All that is done with a slow disk, under a tracer, lies in between. */
    expect_ok(shmreg_wait(sleeper->region, 120000));
    return NULL;
}

static bool sleeps(void *data) {
    const struct sleeper *sleeper = data;
    char path[64], call[32] = "";
    _cleanup_fclose_ FILE *file = NULL;

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)sleeper->tid);
    file = fopen(path, "re");
    return file && fgets(call, sizeof(call), file) && strtol(call, NULL, 10) == SYS_futex;
}

void scene_put_to_sleep(struct scene *scene) {
    struct sleeper *sleeper = &scene->sleeper;

    sleeper->region = open_region(scene->conn, NAME, SHMREG_READ);
    sleeper->tid = 0;
    ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, sleep_till_change, sleeper), 0);
    wait_until(sleeps, sleeper);
}

void scene_expect_awake(struct scene *scene) {
    struct sleeper *sleeper = &scene->sleeper;

    if (!sleeper->region)
        return;
    ck_assert_int_eq(pthread_join(sleeper->thread, NULL), 0);
    ck_assert(!shmreg_is_current(sleeper->region));
    shmreg_close(sleeper->region);
    sleeper->region = NULL;
}

struct expected {
    const struct test_daemon *daemon;
    int segments;
};

static bool has_segments(void *data) {
    const struct expected *expected = data;

    return daemon_segments(expected->daemon) == expected->segments;
}

void scene_expect_segments(const struct scene *scene, int count) {
    struct expected expected = {&scene->daemon, scene->nameless ? 0 : count};

    if (!scene->restarted)
        wait_until(has_segments, &expected);
    ck_assert_int_eq(daemon_segments(&scene->daemon), expected.segments);
}

bool scene_has_value(const struct scene *scene, const char *name, size_t size, unsigned seed) {
    static char value[SHMREG_VALUE_MAX];
    size_t got;

    expect_ok(shmreg_get(scene->conn, name, value, sizeof(value), &got));
    return got == size && is_filled(value, size, seed);
}

void scene_destroy(struct scene *scene) {
    expect_ok(shmreg_destroy(scene->conn, NAME));
    scene_expect_awake(scene);
    scene_expect_segments(scene, 0);
}
