/*
 * Service manager: see service-manager.h.
 */
#include "tests/support/service-manager.h"

#include "proto/cleanup.h"
#include "proto/packet.h"
#include "proto/socket-path.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST 3        /* of the descriptors that a service gets */
#define OUT_OF_WAY 100 /* above all of them */
#define MESSAGE_MAX 4096

static bool has_line(const char *message, const char *line) {
    const char *found = strstr(message, line);

    return found && (found == message || found[-1] == '\n');
}

static bool read_name(const char *message, char ret[static STORED_NAME_MAX]) {
    const char *line = strstr(message, "FDNAME=shmreg.");

    return line && sscanf(line, "FDNAME=%127[^\n]", ret) == 1;
}

/* As systemd does, it ignores an open file description that it has already. */
static bool is_stored(const struct service_manager *manager, int fd) {
    for (unsigned i = 0; i < manager->n_stored; i++)
        if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, manager->stored[i].fd, fd) == 0)
            return true;
    return false;
}

static void store(struct service_manager *manager, const char *name, int *fd) {
    if (is_stored(manager, *fd))
        return;
    ck_assert_uint_lt(manager->n_stored, STORED_MAX);
    strcpy(manager->stored[manager->n_stored].name, name);
    manager->stored[manager->n_stored++].fd = steal_fd(fd);
}

static void remove_stored(struct service_manager *manager, const char *name) {
    for (unsigned i = manager->n_stored; i-- > 0;)
        if (strcmp(manager->stored[i].name, name) == 0) {
            close(manager->stored[i].fd);
            manager->stored[i] = manager->stored[--manager->n_stored];
        }
}

/* Whoever sent a descriptor with a message that is none of these waits for its end. */
static void obey(struct service_manager *manager, const char *message, struct packet_fds *fds) {
    char name[STORED_NAME_MAX];

    if (!read_name(message, name))
        return;
    if (has_line(message, "FDSTOREREMOVE=1"))
        remove_stored(manager, name);
    else if (has_line(message, "FDSTORE=1") && fds->count == 1)
        store(manager, name, &fds->fd[0]);
}

static void *listen_to_daemon(void *data) {
    struct service_manager *manager = data;
    char message[MESSAGE_MAX];
    struct packet_fds fds;
    int size;

    while ((size = packet_receive(manager->socket, message, sizeof(message) - 1, &fds)) > 0) {
        message[size] = '\0';
        obey(manager, message, &fds);
        packet_fds_close(&fds);
    }
    return NULL;
}

void service_manager_start(struct service_manager *ret, const char *directory) {
    struct sockaddr_un address;

    *ret = (struct service_manager){.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_ge(ret->socket, 0);
    snprintf(ret->path, sizeof(ret->path), "%s/notify", directory);
    ck_assert_int_eq(socket_address(ret->path, NULL, &address), 0);
    ck_assert_int_eq(bind(ret->socket, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(chmod(ret->path, 0666), 0);
    ck_assert_int_eq(pthread_create(&ret->thread, NULL, listen_to_daemon, ret), 0);
}

/* Says this, with a descriptor if it is not -1. */
static void tell(const struct service_manager *manager, const char *message, int fd) {
    _cleanup_close_ int client = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(socket_address(manager->path, NULL, &address), 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(packet_send(client, message, strlen(message), &fd, fd >= 0), 0);
}

void service_manager_stop(struct service_manager *manager) {
    ck_assert_int_eq(shutdown(manager->socket, SHUT_RD), 0);
    ck_assert_int_eq(pthread_join(manager->thread, NULL), 0);
    while (manager->n_stored > 0)
        close(manager->stored[--manager->n_stored].fd);
    close_fd(&manager->socket);
}

void service_manager_settle(const struct service_manager *manager) {
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    tell(manager, "BARRIER=1", ends[1]);
    close(ends[1]);
    wait_readable(ends[0]);
    close(ends[0]);
}

void service_manager_hand_over(const struct service_manager *manager) {
    char names[STORED_MAX * STORED_NAME_MAX] = "", number[16];
    int fds[STORED_MAX];

    for (unsigned i = 0; i < manager->n_stored; i++) {
        fds[i] = fcntl(manager->stored[i].fd, F_DUPFD_CLOEXEC, OUT_OF_WAY);
        ck_assert_int_ge(fds[i], 0);
        strcat(names, i > 0 ? ":" : "");
        strcat(names, manager->stored[i].name);
    }
    /* From here on nothing is asserted: check writes to one of the descriptors that are replaced. */
    for (unsigned i = 0; i < manager->n_stored; i++)
        if (dup2(fds[i], FIRST + (int)i) < 0)
            _exit(127);
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", manager->path, 1);
    if (manager->n_stored == 0)
        return;
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%u", manager->n_stored);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}
