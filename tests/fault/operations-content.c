/*
 * Operations: put, resize, seal, snapshot.
 */
#include "tests/fault/operations.h"

#include "tests/support/raw.h"
#include "tests/support/regions.h"

#define COPY "copy"

static void request_put(struct scene *scene) {
    char value[NEW_SIZE];
    struct wire_string strings[] = {{.data = NAME}, {value, sizeof(value)}};

    fill(value, sizeof(value), 2);
    raw_request(scene->fd, WIRE_PUT, 5,
                &(struct wire_put_request){.flags = WIRE_PUT_CREATE, .mode = WIRE_MODE_DEFAULT},
                strings);
}

static void verify_put(struct scene *scene) {
    bool there = exists(scene->conn, NAME);

    scene_expect(scene, there);
    scene_expect_segments(scene, there);
    if (!there)
        return;
    ck_assert(scene_has_value(scene, NAME, NEW_SIZE, 2));
    scene_destroy(scene);
}

static void verify_replace(struct scene *scene) {
    bool new = scene_has_value(scene, NAME, NEW_SIZE, 2);

    scene_expect(scene, new);
    ck_assert(new || scene_has_value(scene, NAME, OLD_SIZE, 1));
    if (new)
        scene_expect_awake(scene);
    scene_expect_segments(scene, 1);
    scene_destroy(scene);
}

/* A region that may grow, without writers. */
static void prepare_growing(struct scene *scene) {
    shmreg_region *region;

    expect_ok(
        shmreg_create(scene->conn, NAME, OLD_SIZE, SHMREG_OPTIONS(.max_size = NEW_SIZE), &region));
    fill(shmreg_data(region), OLD_SIZE, 1);
    shmreg_close(region);
    scene_put_to_sleep(scene);
}

static void request_resize(struct scene *scene) {
    raw_request(scene->fd, WIRE_RESIZE, 5, &(struct wire_resize_request){.size = NEW_SIZE},
                &(struct wire_string){.data = NAME});
}

/* What is new is zeroes, and what was begun can be done again. */
static void verify_resize(struct scene *scene) {
    shmreg_region *region = open_region(scene->conn, NAME, SHMREG_READ);
    bool new = shmreg_size(region) == NEW_SIZE;
    const char *bytes = shmreg_data(region);

    ck_assert(new || shmreg_size(region) == OLD_SIZE);
    scene_expect(scene, new);
    if (new)
        scene_expect_awake(scene);
    expect_ok(shmreg_resize(scene->conn, NAME, NEW_SIZE));
    ck_assert(is_filled(bytes, OLD_SIZE, 1));
    for (unsigned i = OLD_SIZE; i < NEW_SIZE; i++)
        ck_assert_int_eq(bytes[i], 0);
    shmreg_close(region);
    scene_expect_segments(scene, 1);
    scene_destroy(scene);
}

static void request_seal(struct scene *scene) {
    raw_request(scene->fd, WIRE_SEAL, 5, &(struct wire_seal_request){.reserved = 0},
                &(struct wire_string){.data = NAME});
}

static void verify_seal(struct scene *scene) {
    struct shmreg_description *description;
    shmreg_region *region;
    bool sealed;

    expect_ok(shmreg_describe(scene->conn, NAME, &description));
    sealed = description->sealed;
    shmreg_description_free(description);
    scene_expect(scene, sealed);
    ck_assert_int_eq(shmreg_open(scene->conn, NAME, SHMREG_WRITE, &region), sealed ? -EPERM : 0);
    if (sealed)
        scene_expect_awake(scene);
    else
        shmreg_close(region);
    ck_assert(scene_has_value(scene, NAME, OLD_SIZE, 1));
    scene_destroy(scene);
}

static void request_snapshot(struct scene *scene) {
    struct wire_string strings[] = {{.data = NAME}, {.data = COPY}, {.data = ""}, {.data = ""}};

    raw_request(scene->fd, WIRE_SNAPSHOT, 5,
                &(struct wire_snapshot_request){.spec = {.mode = WIRE_MODE_DEFAULT}}, strings);
}

static void verify_snapshot(struct scene *scene) {
    bool there = exists(scene->conn, COPY);

    scene_expect(scene, there);
    scene_expect_segments(scene, 1 + there);
    if (there) {
        ck_assert(scene_has_value(scene, COPY, OLD_SIZE, 1));
        expect_ok(shmreg_destroy(scene->conn, COPY));
    }
    ck_assert(scene_has_value(scene, NAME, OLD_SIZE, 1));
    scene_destroy(scene);
}

const struct operation content_operations[] = {
    {"put", ON_ALL, 1, false, prepare_nothing, request_put, verify_put},
    {"replace", ON_ALL, 1, false, prepare_value, request_put, verify_replace},
    {"resize", ON_ALL, 1, false, prepare_growing, request_resize, verify_resize},
    {"seal", ON_ALL, 1, false, prepare_growing, request_seal, verify_seal},
    {"snapshot", ON_ALL, 1, false, prepare_value, request_snapshot, verify_snapshot},
    {.name = NULL},
};
