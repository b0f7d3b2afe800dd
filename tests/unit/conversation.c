/*
 * Conversation: see conversation.h.
 */
#include "tests/unit/conversation.h"

#include <fcntl.h>
#include <string.h>

struct conversation talk;

static pid_t client_pid;

static void begin_as(pid_t pid, uint64_t client_id) {
    client_pid = pid;
    talk.dispatcher.manager = talk.world.manager;
    talk.client = world_client(&talk.world, WORLD_UID, pid, client_id);
}

/* The process is there before the registry, whose lock a child would inherit. */
static void begin_world(uint64_t client_id) {
    pid_t pid = process_spawn();

    world_init(&talk.world);
    begin_as(pid, client_id);
}

void begin(void) {
    begin_world(CLIENT_ID);
}

void begin_before_hello(void) {
    begin_world(0);
}

void begin_again(void) {
    world_restart(&talk.world);
    begin_as(client_pid, 0);
}

void drop_descriptors(void) {
    packet_fds_close(&talk.dispatcher.reply.fds);
}

void end(void) {
    drop_descriptors();
    manager_remove_client(talk.world.manager, talk.client);
    world_deinit(&talk.world);
}

size_t encode(uint32_t op, uint32_t flags, uint32_t serial, const void *body,
              const struct wire_string *strings) {
    struct wire_header header = {
        .op = (uint16_t)op,
        .flags = (uint16_t)flags,
        .serial = serial,
    };
    int size = wire_encode(&header, body, strings, talk.dispatcher.request);

    ck_assert_int_gt(size, 0);
    return (size_t)size;
}

int decode_reply(void) {
    struct error error = {0};
    int r = wire_decode(WIRE_REPLY_SIDE, talk.dispatcher.reply.data, talk.dispatcher.reply.size,
                        talk.dispatcher.reply.fds.count, &talk.reply, &error);

    ck_assert_msg(r == 0, "the reply is malformed: %s", error.text);
    return talk.reply.header.status;
}

int exchange(size_t size) {
    drop_descriptors();
    ck_assert_int_eq(dispatch(&talk.dispatcher, talk.client, size, &talk.reason), 0);
    return decode_reply();
}

int request(uint32_t op, const void *body, const struct wire_string *strings) {
    int status = exchange(encode(op, 0, SERIAL, body, strings));

    ck_assert_uint_eq(talk.reply.header.op, op);
    ck_assert_uint_eq(talk.reply.header.serial, SERIAL);
    return status;
}

int hello(uint32_t version, uint64_t client_id) {
    return request(WIRE_HELLO,
                   &(struct wire_hello_request){.version = version, .client_id = client_id}, NULL);
}

struct wire_create_request create_defaults(uint32_t access) {
    return (struct wire_create_request){
        .access = access,
        .spec = {.mode = WIRE_MODE_DEFAULT, .size = 4096},
    };
}

int create(const char *name, uint32_t access, uint32_t flags) {
    struct wire_create_request body = create_defaults(access);

    body.spec.flags = flags;
    return request(WIRE_CREATE, &body, STRINGS({name}, {""}, {""}));
}

int open_names(const char *names, size_t length, uint32_t count, uint32_t access) {
    return request(WIRE_OPEN, &(struct wire_open_request){.count = count, .access = access},
                   STRINGS({names, length}));
}

int detach(uint64_t id) {
    return request(WIRE_DETACH, &(struct wire_detach_request){.attachment_id = id}, NULL);
}

struct wire_attachment attachment(size_t place) {
    struct wire_attachment ret;

    ck_assert_uint_gt(talk.reply.string[0].length, place * sizeof(ret));
    memcpy(&ret, talk.reply.string[0].data + place * sizeof(ret), sizeof(ret));
    return ret;
}

void expect_error(int status, int code, const char *words) {
    ck_assert_int_eq(status, code);
    ck_assert_uint_eq(talk.dispatcher.reply.fds.count, 0);
    ck_assert_msg(strstr(talk.reply.string[0].data, words), "'%s' does not say '%s'",
                  talk.reply.string[0].data, words);
}

void expect_descriptor(size_t place, int access_mode) {
    int flags;

    ck_assert_uint_gt(talk.dispatcher.reply.fds.count, place);
    flags = fcntl(talk.dispatcher.reply.fds.fd[place], F_GETFL);
    ck_assert_int_eq(flags & O_ACCMODE, access_mode);
    ck_assert_int_eq(fcntl(talk.dispatcher.reply.fds.fd[place], F_GETFD), FD_CLOEXEC);
}
