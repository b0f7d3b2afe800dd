/*
 * Balance: see balance.h.
 */
#include "tests/fault/balance.h"

#include "proto/cleanup.h"
#include "proto/socket-path.h"
#include "tests/support/wait.h"

#include <check.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_MAX 65536

/* The answer to a call without parameters. */
static json_t *call(const struct test_daemon *daemon, const char *message) {
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static char reply[REPLY_MAX];
    struct sockaddr_un address;
    size_t size = 0;
    json_t *json;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(socket_address(daemon->admin_socket, NULL, &address), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_gt(send(fd, message, strlen(message) + 1, MSG_NOSIGNAL), 0);
    do {
        ssize_t got;

        wait_readable(fd);
        got = read(fd, reply + size, sizeof(reply) - size);
        ck_assert_msg(got > 0, "no whole answer to %s", message);
        size += (size_t)got;
    } while (reply[size - 1] != '\0');
    json = json_loads(reply, 0, NULL);
    ck_assert_msg(json && !json_object_get(json, "error"), "%s: %s", message, reply);
    return json;
}

/* A number of the usage of that kind; 0 if it is not there. */
static uint64_t usage_number(json_t *usages, const char *kind, const char *key) {
    json_t *usage;
    size_t i;

    json_array_foreach (usages, i, usage)
        if (strcmp(json_string_value(json_object_get(usage, "kind")), kind) == 0)
            return (uint64_t)json_integer_value(json_object_get(usage, key));
    ck_abort_msg("no usage of %s", kind);
}

void balance_read(const struct test_daemon *daemon, struct balance *ret) {
    json_t *reply = call(daemon, "{\"method\":\"io.shmreg.Admin.GetStatus\"}");
    json_t *status = json_object_get(reply, "parameters");
    json_t *usages = json_object_get(status, "usage");

    *ret = (struct balance){
        .clients = (uint64_t)json_integer_value(json_object_get(status, "clients")),
        .regions = usage_number(usages, "regions", "used"),
        .bytes = usage_number(usages, "bytes", "used"),
        .attachments = usage_number(usages, "attachments", "used"),
        .connections = usage_number(usages, "connections", "used"),
        .attachments_limit = usage_number(usages, "attachments", "limit"),
    };
    ck_assert_uint_eq(ret->regions,
                      (uint64_t)json_integer_value(json_object_get(status, "regions")));
    json_decref(reply);
}
