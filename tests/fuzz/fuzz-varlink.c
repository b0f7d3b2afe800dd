/*
 * The admin socket: bytes as a connection receives them, in pieces, against the real dispatcher on a
 * core with a few regions. The first byte of an input says who calls (root or a user) and how large
 * the pieces are. Every reply is one of Varlink, each call of a good list of calls has its own, and at
 * the end of the connection nothing is left of it.
 */
#include "daemon/faces/admin.h"
#include "tests/fuzz/core.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define USER 20001u
#define OUTPUT_MAX (4u << 20)
#define HANG_SECONDS 60u
#define PING "{\"method\":\"io.shmreg.Admin.Ping\"}"

struct face {
    struct core core;
    struct admin *admin;
    struct sockaddr_un address;
    int client;
    char *output;
    size_t size;
    bool ended;
};

static int reload(void *data, struct error *error) {
    (void)data;
    (void)error;
    return 0;
}

static void add_region(struct face *face, const char *name, uint32_t mode, enum backing backing,
                       enum lifetime lifetime) {
    struct caller root = {.administrator = true};
    const struct region_spec spec = {
        .name = name,
        .size = 5000,
        .mode = mode,
        .backing = backing,
        .lifetime = lifetime,
        .seconds = 3600,
        .acl = "",
        .attributes = "",
    };
    struct region *region;

    fuzz_check(manager_create(face->core.manager, &root, NULL, &spec, &region, NULL) == 0);
}

static void start(struct face *face) {
    struct admin_options options;
    int fd;

    core_init(&face->core);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    face->core.config.total.most[LIMIT_BYTES] = 1u << 20;
    face->core.config.total.most[LIMIT_REGIONS] = 8;
    add_region(face, "a", 0600, BACKING_SHM, LIFETIME_PERSISTENT);
    add_region(face, "b", 0666, BACKING_MEMFD, LIFETIME_LEASE);
    add_region(face, "c", 0644, BACKING_FILE, LIFETIME_PERSISTENT);
    face->address.sun_family = AF_UNIX;
    snprintf(face->address.sun_path, sizeof(face->address.sun_path), "%s/admin.sock",
             face->core.runtime);
    fuzz_check(chmod(face->core.directory, 0755) == 0);
    fuzz_check(bind(fd, (const struct sockaddr *)&face->address, sizeof(face->address)) == 0);
    fuzz_check(listen(fd, 8) == 0 && chmod(face->address.sun_path, 0666) == 0);
    options = (struct admin_options){
        .base = face->core.base,
        .manager = face->core.manager,
        .started_usec = 1,
        .reload = reload,
    };
    fuzz_check(admin_new(&options, fd, &face->admin) == 0);
}

static void connect_client(struct face *face, bool as_user) {
    bool is_root = geteuid() == 0;

    face->size = 0;
    face->ended = false;
    face->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fuzz_check(!is_root || !as_user || seteuid(USER) == 0);
    fuzz_check(
        connect(face->client, (const struct sockaddr *)&face->address, sizeof(face->address)) == 0);
    fuzz_check(!is_root || seteuid(0) == 0);
}

/* One turn of the loop, and whatever has been answered. */
static void turn(struct face *face, int flags) {
    ssize_t n;

    fuzz_check(event_base_loop(face->core.base, flags) >= 0);
    do {
        n = recv(face->client, face->output + face->size, OUTPUT_MAX - face->size, 0);
        face->size += n > 0 ? (size_t)n : 0;
        fuzz_check(face->size < OUTPUT_MAX);
    } while (n > 0);
    face->ended = face->ended || n == 0 || errno == ECONNRESET;
}

static void send_pieces(struct face *face, const uint8_t *data, size_t size, size_t piece) {
    while (size > 0 && !face->ended) {
        ssize_t n = send(face->client, data, size < piece ? size : piece, MSG_NOSIGNAL);

        fuzz_check(n > 0 || errno == EAGAIN || errno == EPIPE);
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        turn(face, EVLOOP_NONBLOCK);
    }
    shutdown(face->client, SHUT_WR);
    alarm(HANG_SECONDS);
    while (!face->ended)
        turn(face, EVLOOP_ONCE);
    alarm(0);
    close_fd(&face->client);
}

static bool is_flag(const json_t *message, const char *key) {
    const json_t *value = json_object_get(message, key);

    return !value || json_is_boolean(value);
}

/* How many replies a list of calls gets; -1 if that cannot be said: one of them is no call, or the end
 * of the connection may come before its last reply. */
static int count_calls(const uint8_t *data, size_t size) {
    const uint8_t *end;
    int count = 0;

    for (; (end = memchr(data, '\0', size)); size -= (size_t)(end + 1 - data), data = end + 1) {
        json_t *call =
            json_loadb((const char *)data, (size_t)(end - data), JSON_REJECT_DUPLICATES, NULL);
        const json_t *parameters = json_object_get(call, "parameters");
        const char *method = json_string_value(json_object_get(call, "method"));
        bool is_good = method && !strstr(method, "Monitor") && !strstr(method, "Snapshot") &&
                       (!parameters || json_is_null(parameters) || json_is_object(parameters)) &&
                       is_flag(call, "oneway") && is_flag(call, "more") && is_flag(call, "upgrade");

        count += !json_is_true(json_object_get(call, "oneway"));
        json_decref(call);
        if (!is_good)
            return -1;
    }
    return count;
}

/* The replies, without those after which others come. */
static int check_replies(const struct face *face) {
    const char *text = face->output, *end;
    size_t left = face->size;
    int count = 0;

    for (; (end = memchr(text, '\0', left)); left -= (size_t)(end + 1 - text), text = end + 1) {
        json_t *reply = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        const json_t *error = json_object_get(reply, "error");

        fuzz_check(json_is_object(json_object_get(reply, "parameters")));
        fuzz_check(!error || json_is_string(error));
        fuzz_check(is_flag(reply, "continues"));
        count += !json_is_true(json_object_get(reply, "continues"));
        json_decref(reply);
    }
    return count;
}

static int destroy_first(void *data, struct region *region) {
    *(struct region **)data = region;
    return 1;
}

static void stop(struct face *face) {
    struct caller root = {.administrator = true};
    struct region *region;

    fuzz_check(admin_n_connections(face->admin) == 0);
    admin_free(face->admin);
    while (manager_each_region(face->core.manager, destroy_first, &region))
        fuzz_check(manager_destroy(face->core.manager, &root, region->name, NULL) == 0);
    /* A snapshot that was given up ends with its worker. */
    alarm(HANG_SECONDS);
    while (quota_used(manager_quota(face->core.manager), LIMIT_BYTES) > 0)
        fuzz_check(event_base_loop(face->core.base, EVLOOP_ONCE) >= 0);
    alarm(0);
    core_deinit(&face->core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char output[OUTPUT_MAX];
    struct face face = {.output = output, .client = -1};
    int expected;

    if (size == 0)
        return 0;
    start(&face);
    connect_client(&face, data[0] & 1);
    send_pieces(&face, data + 1, size - 1, data[0] / 2 ? data[0] / 2 : size);
    expected = count_calls(data + 1, size - 1);
    fuzz_check(expected < 0 || check_replies(&face) == expected);
    check_replies(&face);

    connect_client(&face, false);
    send_pieces(&face, (const uint8_t *)PING, sizeof(PING), sizeof(PING));
    fuzz_check(check_replies(&face) == 1);
    stop(&face);
    return 0;
}
