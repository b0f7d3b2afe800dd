/*
 * Admin face: see admin-face.h.
 */
#include "tests/unit/admin-face.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536

static int reload(void *data, struct error *error) {
    struct admin_face *face = data;

    face->reloads++;
    return face->reload_result < 0 ? error_set(error, face->reload_result, "FILE:1: KEY: why") : 0;
}

static struct sockaddr_un address_of(const struct admin_face *face) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, face->path);
    return address;
}

static void serve(struct admin_face *face) {
    struct sockaddr_un address = address_of(face);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 128), 0);
    ck_assert_int_eq(chmod(face->path, 0666), 0);
    ck_assert_int_eq(admin_new(
                         &(struct admin_options){
                             .base = face->world.base,
                             .manager = face->world.manager,
                             .fdstore = &face->world.fdstore,
                             .started_usec = 1,
                             .reload = reload,
                             .data = face,
                         },
                         fd, &face->admin),
                     0);
}

void admin_face_init(struct admin_face *face) {
    *face = (struct admin_face){0};
    signal(SIGPIPE, SIG_IGN);
    world_init(&face->world);
    ck_assert_int_eq(chmod(face->world.directory, 0755), 0);
    snprintf(face->path, sizeof(face->path), "%s/admin.sock", face->world.runtime);
    serve(face);
}

void admin_face_stop(struct admin_face *face) {
    admin_free(face->admin);
    ck_assert_int_eq(unlink(face->path), 0);
    world_stop(&face->world);
}

void admin_face_start(struct admin_face *face, const char *stored_name, int stored_fd) {
    struct fdstore *store = &face->world.fdstore;

    *store = (struct fdstore){.stored = calloc(1, sizeof(*store->stored)), .n_stored = 1};
    ck_assert_ptr_nonnull(store->stored);
    store->stored[0] = (struct stored_fd){.name = strdup(stored_name), .fd = stored_fd};
    world_start(&face->world);
    serve(face);
    fdstore_deinit(store);
}

void admin_face_deinit(struct admin_face *face) {
    admin_free(face->admin);
    ck_assert_uint_eq(quota_used(manager_quota(face->world.manager), LIMIT_CONNECTIONS), 0);
    world_deinit(&face->world);
}

struct admin_client *admin_client_new(struct admin_face *face, uid_t uid) {
    struct admin_client *client = calloc(1, sizeof(*client));
    struct sockaddr_un address = address_of(face);

    ck_assert_ptr_nonnull(client);
    client->face = face;
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(seteuid(uid), 0);
    ck_assert_int_eq(connect(client->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(seteuid(0), 0);
    return client;
}

void admin_client_free(struct admin_client *client) {
    close(client->fd);
    free(client->input);
    free(client);
}

struct sending {
    int fd;
    const char *data;
    size_t left;
};

static bool is_sent(struct world *world, void *data) {
    struct sending *sending = data;
    ssize_t n;

    (void)world;
    n = send(sending->fd, sending->data, sending->left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EPIPE)
        return true; /* the daemon has cut the connection off: the test will see that */
    ck_assert(n >= 0 || errno == EAGAIN);
    sending->data += n > 0 ? n : 0;
    sending->left -= n > 0 ? (size_t)n : 0;
    return sending->left == 0;
}

void admin_client_send(struct admin_client *client, const void *data, size_t size) {
    struct sending sending = {.fd = client->fd, .data = data, .left = size};

    world_wait(&client->face->world, is_sent, &sending);
}

static bool has_message(struct world *world, void *data) {
    struct admin_client *client = data;
    ssize_t n;

    (void)world;
    if (client->size > 0 && memchr(client->input, '\0', client->size))
        return true;
    client->input = realloc(client->input, client->size + READ_SIZE);
    ck_assert_ptr_nonnull(client->input);
    n = recv(client->fd, client->input + client->size, READ_SIZE, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return client->at_end = true;
    ck_assert(n > 0 || errno == EAGAIN);
    client->size += n > 0 ? (size_t)n : 0;
    return n > 0 && memchr(client->input + client->size - n, '\0', (size_t)n);
}

json_t *admin_client_receive(struct admin_client *client) {
    size_t length;
    json_t *message;

    world_wait(&client->face->world, has_message, client);
    if (client->at_end)
        return NULL;
    length = strlen(client->input) + 1;
    message = json_loads(client->input, 0, NULL);
    ck_assert_ptr_nonnull(message);
    client->size -= length;
    memmove(client->input, client->input + length, client->size);
    return message;
}

void admin_client_send_call(struct admin_client *client, const char *method, const char *parameters,
                            const char *flag) {
    json_t *message = json_object();
    char *text = strdup(parameters);

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_object_set_new(message, "method",
                        strchr(method, '.') ? json_string(method)
                                            : json_sprintf(ADMIN_INTERFACE "%s", method));
    json_object_set_new(message, "parameters", json_loads(text, 0, NULL));
    ck_assert_msg(json_object_get(message, "parameters") != NULL, "not JSON: %s", text);
    if (flag)
        json_object_set_new(message, flag, json_true());
    free(text);
    text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    admin_client_send(client, text, strlen(text) + 1);
    free(text);
}

static json_t *call(struct admin_client *client, const char *method, const char *parameters) {
    json_t *reply;

    admin_client_send_call(client, method, parameters, NULL);
    reply = admin_client_receive(client);
    ck_assert_msg(reply != NULL, "%s(%s): the connection was closed", method, parameters);
    return reply;
}

json_t *admin_client_call(struct admin_client *client, const char *method, const char *parameters) {
    json_t *reply = call(client, method, parameters);
    json_t *result = json_incref(json_object_get(reply, "parameters"));
    char *text = json_dumps(reply, 0);

    ck_assert_msg(!json_object_get(reply, "error"), "%s(%s): %s", method, parameters, text);
    free(text);
    json_decref(reply);
    return result;
}

json_t *admin_client_refused(struct admin_client *client, const char *method,
                             const char *parameters, const char *error) {
    json_t *reply = call(client, method, parameters);
    json_t *result = json_incref(json_object_get(reply, "parameters"));
    const char *got = json_string_value(json_object_get(reply, "error"));

    ck_assert_msg(got && strcmp(got, error) == 0, "%s(%s): %s instead of %s", method, parameters,
                  got ? got : "no error", error);
    json_decref(reply);
    return result;
}
