/*
 * Operations: stage, publish as a new region, publish as a new version.
 */
#include "tests/fault/operations.h"

#include "proto/cleanup.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/wait.h"

static void request_stage(struct scene *scene) {
    struct wire_string strings[] = {{.data = NAME}, {.data = ""}, {.data = ""}};

    raw_request(scene->fd, WIRE_STAGE, 5,
                &(struct wire_stage_request){.spec = {.mode = WIRE_MODE_DEFAULT, .size = NEW_SIZE}},
                strings);
}

/* It is the client's, if it was recorded, until that says that it has gone. */
static void verify_stage(struct scene *scene) {
    bool staged = scene_resume(scene) && (scene->restarted || scene->outcome == ANSWERED);

    if (!scene->cut_off)
        scene_expect(scene, staged);
    scene_expect_segments(scene, staged);
    ck_assert(!exists(scene->conn, NAME));
}

static void prepare_stage(struct scene *scene) {
    _cleanup_close_ int memory = -1;
    char value[NEW_SIZE];

    request_stage(scene);
    memory = receive_attachment(scene);
    fill(value, sizeof(value), 2);
    ck_assert_int_eq(pwrite(memory, value, sizeof(value), 0), sizeof(value));
}

static void prepare_stage_of_old(struct scene *scene) {
    prepare_value(scene);
    prepare_stage(scene);
}

static void request_publish(struct scene *scene) {
    raw_request(scene->fd, WIRE_PUBLISH, 6,
                &(struct wire_publish_request){.stage_id = scene->attachment_id}, NULL);
}

/* Asked again, it happens now if it has not happened before. */
static void publish_again(struct scene *scene, uint32_t version) {
    struct shmreg_description *description;

    request_publish(scene);
    ck_assert_int_eq(raw_receive_status(scene->fd), 0);
    scene_expect_awake(scene);
    ck_assert(scene_has_value(scene, NAME, NEW_SIZE, 2));
    scene_expect_segments(scene, 1);
    expect_ok(shmreg_describe(scene->conn, NAME, &description));
    ck_assert_uint_eq(description->version, version);
    ck_assert_uint_eq(description->writers, 1);
    shmreg_description_free(description);
    close_fd(&scene->fd);
    wait_holders(scene->conn, NAME, 0, 0);
}

static void verify_publish(struct scene *scene, uint32_t version) {
    bool there = exists(scene->conn, NAME);
    bool new = there &&scene_has_value(scene, NAME, NEW_SIZE, 2);

    scene_expect(scene, new);
    ck_assert(there || version == 1);
    ck_assert(new || version == 1 || scene_has_value(scene, NAME, OLD_SIZE, 1));
    if (scene_resume(scene)) {
        publish_again(scene, version);
    } else {
        ck_assert(scene->cut_off);
        scene_expect_segments(scene, there);
    }
    if (exists(scene->conn, NAME))
        scene_destroy(scene);
}

static void verify_publish_new(struct scene *scene) {
    verify_publish(scene, 1);
}

static void verify_publish_version(struct scene *scene) {
    verify_publish(scene, 2);
}

const struct operation stage_operations[] = {
    {"stage", ON_ALL, 1, false, prepare_nothing, request_stage, verify_stage},
    {"publish-new", ON_ALL, 1, false, prepare_stage, request_publish, verify_publish_new},
    {"publish", ON_ALL, 1, false, prepare_stage_of_old, request_publish, verify_publish_version},
    {.name = NULL},
};
