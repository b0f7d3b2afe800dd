/*
 * Operations: create (also where something has to go for it), set attributes and access, renew, adopt,
 * destroy.
 */
#include "tests/fault/operations.h"

#include "proto/cleanup.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"

#include <sys/mman.h>

#define ATTRIBUTES "{\"new\":true}"
#define RULE "user:20005:r"
#define CACHED "cached"
#define LONG 1000u
#define LONGER 100000u

static const struct wire_string new_region[] = {{.data = NAME}, {.data = ""}, {.data = ""}};

void prepare_nothing(struct scene *scene) {
    (void)scene;
}

void prepare_value(struct scene *scene) {
    char value[OLD_SIZE];

    fill(value, sizeof(value), 1);
    expect_ok(shmreg_put(scene->conn, NAME, value, sizeof(value), SHMREG_MODE_DEFAULT));
    scene_put_to_sleep(scene);
}

static void create(struct scene *scene, uint32_t flags) {
    raw_request(scene->fd, WIRE_CREATE, 5,
                &(struct wire_create_request){
                    .access = WIRE_WRITE,
                    .spec = {.mode = WIRE_MODE_DEFAULT, .size = OLD_SIZE, .flags = flags}},
                new_region);
}

static void request_create(struct scene *scene) {
    create(scene, 0);
}

static void request_create_with_block(struct scene *scene) {
    create(scene, WIRE_SYNC_BLOCK);
}

/* Returns whether it is there. */
static bool verify_new(struct scene *scene, int segments) {
    bool there = exists(scene->conn, NAME);

    scene_expect(scene, there);
    scene_expect_segments(scene, there ? segments : 0);
    return there;
}

static void verify_create(struct scene *scene) {
    if (verify_new(scene, 1))
        scene_destroy(scene);
}

static void verify_create_with_block(struct scene *scene) {
    shmreg_region *region;

    if (!verify_new(scene, 2))
        return;
    region = open_region(scene->conn, NAME, SHMREG_WRITE);
    expect_ok(shmreg_lock(region, 0));
    expect_ok(shmreg_unlock(region));
    shmreg_close(region);
    scene_destroy(scene);
}

/* All that the daemon may have is charged to a region that may go. */
static void prepare_cached(struct scene *scene) {
    create_region(scene->conn, CACHED, OLD_SIZE,
                  SHMREG_OPTIONS(.max_size = SCENE_BYTES_MAX, .lifetime = SHMREG_CACHE,
                                 .flags = SHMREG_DETACHED));
}

/* It is gone, perhaps in vain, if the fault came later; it is never there besides. */
static void verify_create_instead(struct scene *scene) {
    bool there = exists(scene->conn, NAME), cached = exists(scene->conn, CACHED);

    ck_assert(!there || !cached);
    scene_expect(scene, there);
    scene_expect_segments(scene, there || cached);
    if (there)
        scene_destroy(scene);
    if (cached)
        expect_ok(shmreg_destroy(scene->conn, CACHED));
}

static void request_destroy(struct scene *scene) {
    raw_request(scene->fd, WIRE_DESTROY, 5, &(struct wire_destroy_request){0},
                &(struct wire_string){.data = NAME});
}

static void verify_destroy(struct scene *scene) {
    bool there = exists(scene->conn, NAME);

    scene_expect(scene, !there);
    scene_expect_segments(scene, there);
    if (!there) {
        scene_expect_awake(scene);
        return;
    }
    ck_assert(scene_has_value(scene, NAME, OLD_SIZE, 1));
    scene_destroy(scene);
}

static void request_attributes(struct scene *scene) {
    raw_request(scene->fd, WIRE_SET_ATTRIBUTES, 5, &(struct wire_set_attributes_request){{0}},
                (struct wire_string[]){{.data = NAME}, {.data = ATTRIBUTES}});
}

static void verify_attributes(struct scene *scene) {
    struct shmreg_description *description;
    bool new;

    expect_ok(shmreg_describe(scene->conn, NAME, &description));
    new = strcmp(description->attributes, ATTRIBUTES) == 0;
    ck_assert(new || strcmp(description->attributes, "{}") == 0);
    scene_expect(scene, new);
    shmreg_description_free(description);
    scene_destroy(scene);
}

static void request_access(struct scene *scene) {
    raw_request(scene->fd, WIRE_SET_ACCESS, 5,
                &(struct wire_set_access_request){.mode = 0644, .flags = WIRE_SET_ACL},
                (struct wire_string[]){{.data = NAME}, {.data = RULE}});
}

/* Mode and rules change together. */
static void verify_access(struct scene *scene) {
    struct shmreg_description *description;
    bool new;

    expect_ok(shmreg_describe(scene->conn, NAME, &description));
    new = description->mode == 0644;
    ck_assert(new || description->mode == 0600);
    ck_assert_str_eq(description->acl, new ? RULE : "");
    scene_expect(scene, new);
    shmreg_description_free(description);
    scene_destroy(scene);
}

static void prepare_lease(struct scene *scene) {
    create_region(
        scene->conn, NAME, OLD_SIZE,
        SHMREG_OPTIONS(.lifetime = SHMREG_LEASE, .seconds = LONG, .flags = SHMREG_DETACHED));
}

static void request_renew(struct scene *scene) {
    raw_request(scene->fd, WIRE_RENEW, 5, &(struct wire_renew_request){.seconds = LONGER},
                &(struct wire_string){.data = NAME});
}

static void verify_renew(struct scene *scene) {
    struct shmreg_description *description;

    expect_ok(shmreg_describe(scene->conn, NAME, &description));
    scene_expect(scene, description->remaining_seconds > LONG);
    ck_assert_uint_le(description->remaining_seconds, LONGER);
    ck_assert_uint_gt(description->remaining_seconds, LONG / 2);
    shmreg_description_free(description);
    scene_destroy(scene);
}

static void request_adopt(struct scene *scene) {
    _Alignas(8) char buffer[WIRE_MESSAGE_MAX];
    _cleanup_close_ int memory = memfd_create("adopted", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct wire_adopt_request request = {.access = WIRE_READ, .spec = {.mode = WIRE_MODE_DEFAULT}};
    char value[OLD_SIZE];
    size_t size = raw_encode(WIRE_ADOPT, 5, &request, new_region, buffer);

    fill(value, sizeof(value), 1);
    ck_assert_int_eq(write(memory, value, sizeof(value)), sizeof(value));
    ck_assert_int_eq(packet_send(scene->fd, buffer, size, &memory, 1), 0);
}

static void verify_adopt(struct scene *scene) {
    bool there = verify_new(scene, 0);

    if (!there)
        return;
    ck_assert(scene_has_value(scene, NAME, OLD_SIZE, 1));
    scene_destroy(scene);
}

const struct operation region_operations[] = {
    {"create", ON_ALL, 1, false, prepare_nothing, request_create, verify_create},
    {"create-with-block", ON_ALL, 1, false, prepare_nothing, request_create_with_block,
     verify_create_with_block},
    {"create-instead", ON_SHM | ON_FILE, 1, false, prepare_cached, request_create,
     verify_create_instead},
    {"destroy", ON_ALL, 1, false, prepare_value, request_destroy, verify_destroy},
    {"set-attributes", ON_ALL, 1, false, prepare_value, request_attributes, verify_attributes},
    {"set-access", ON_ALL, 1, false, prepare_value, request_access, verify_access},
    {"renew", ON_ALL, 1, false, prepare_lease, request_renew, verify_renew},
    {"adopt", ON_MEMFD, 1, false, prepare_nothing, request_adopt, verify_adopt},
    {.name = NULL},
};
