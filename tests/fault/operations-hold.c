/*
 * Operations: attach, detach.
 */
#include "tests/fault/operations.h"

#include "proto/cleanup.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"

int receive_attachment(struct scene *scene) {
    struct wire_attachment attachment;
    struct raw_reply reply;

    raw_receive(scene->fd, &reply);
    ck_assert_int_eq(reply.message.header.status, 0);
    ck_assert_uint_eq(reply.fds.count, 1);
    memcpy(&attachment, reply.message.string[0].data, sizeof(attachment));
    scene->attachment_id = attachment.attachment_id;
    return reply.fds.fd[0];
}

static void request_attach(struct scene *scene) {
    static const char name[] = NAME;

    raw_request(scene->fd, WIRE_OPEN, 5,
                &(struct wire_open_request){.count = 1, .access = WIRE_WRITE},
                &(struct wire_string){name, sizeof(name)});
}

/* The one that looks on has it, too, for reading. */
static void verify_attach(struct scene *scene) {
    bool held = scene_resume(scene) && (scene->restarted || scene->outcome == ANSWERED);

    if (!scene->cut_off)
        scene_expect(scene, held);
    ck_assert_uint_eq(count_writers(scene->conn, NAME), held);
    close_fd(&scene->fd);
    wait_holders(scene->conn, NAME, 1, 0);
    ck_assert(scene_has_value(scene, NAME, OLD_SIZE, 1));
    scene_destroy(scene);
}

/* A region that ends with its only attachment. */
static void prepare_detach(struct scene *scene) {
    struct wire_string strings[] = {{.data = NAME}, {.data = ""}, {.data = ""}};
    struct wire_region_spec spec = {
        .lifetime = SHMREG_ATTACHED, .mode = WIRE_MODE_DEFAULT, .size = OLD_SIZE};

    raw_request(scene->fd, WIRE_CREATE, 4,
                &(struct wire_create_request){.access = WIRE_READ, .spec = spec}, strings);
    close(receive_attachment(scene));
}

static void request_detach(struct scene *scene) {
    raw_request(scene->fd, WIRE_DETACH, 5, &(struct wire_detach_request){scene->attachment_id},
                NULL);
}

/* Unanswered, the attachment may still count, as its process lives: till that says otherwise. */
static void verify_detach(struct scene *scene) {
    if (scene->outcome == UNANSWERED) {
        scene_resume(scene);
        close_fd(&scene->fd);
    }
    wait_gone(scene->conn, NAME);
    scene_expect_segments(scene, 0);
}

const struct operation hold_operations[] = {
    {"attach", ON_ALL, 1, false, prepare_value, request_attach, verify_attach},
    {"detach", ON_ALL, 2, false, prepare_detach, request_detach, verify_detach},
    {.name = NULL},
};
