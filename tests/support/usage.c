/*
 * What the daemon itself says is used of its limits: GetStatus on its admin socket.
 */
#include "tests/support/daemon.h"

#include "proto/cleanup.h"
#include "proto/socket-path.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void ask_status(const struct test_daemon *daemon, char *reply, size_t capacity) {
    static const char call[] = "{\"method\":\"io.shmreg.Admin.GetStatus\"}";
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    size_t size = 0;

    ck_assert_int_eq(socket_address(daemon->admin_socket, NULL, &address), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(send(fd, call, sizeof(call), 0), sizeof(call));
    do {
        ssize_t n = recv(fd, reply + size, capacity - size, 0);

        ck_assert_int_gt(n, 0);
        size += (size_t)n;
    } while (reply[size - 1] != '\0');
}

uint64_t daemon_usage(const struct test_daemon *daemon, const char *kind) {
    char reply[8192], wanted[64];
    const char *found;

    ask_status(daemon, reply, sizeof(reply));
    snprintf(wanted, sizeof(wanted), "\"kind\":\"%s\",\"used\":", kind);
    found = strstr(reply, wanted);
    ck_assert_msg(found, "no %s in %s", kind, reply);
    return strtoull(found + strlen(wanted), NULL, 10);
}
