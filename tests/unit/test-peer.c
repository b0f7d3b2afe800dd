/*
 * Peer: real processes under several uids at the other end of a socket.
 */
#include "daemon/faces/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/unit/suite.h"

#define UID 20001u
#define GID 20011u
#define ADMIN_GROUP 20099u
#define GROUPS 300u /* more than any buffer that was sized by guess */

static const struct config no_group;
static const struct config with_group = {.has_admin_group = true, .admin_group = ADMIN_GROUP};

/* An abstract address: no file is left behind. */
static struct sockaddr_un test_address(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "shmreg-test-%d", getpid());
    return address;
}

static void connect_as(const struct sockaddr_un *address, uid_t uid, gid_t gid, const gid_t *groups,
                       size_t n_groups) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setgroups(n_groups, groups) < 0 ||
        setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        _exit(1);
    for (;;)
        pause();
}

/* A process that has connected with these credentials; returns our end. */
static int peer_start(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, pid_t *ret_pid) {
    struct sockaddr_un address = test_address();
    int fd, listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    *ret_pid = fork();
    ck_assert_int_ge(*ret_pid, 0);
    if (*ret_pid == 0)
        connect_as(&address, uid, gid, groups, n_groups);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    close(listener);
    return fd;
}

static void peer_end(int fd, pid_t pid) {
    close(fd);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(credentials_are_those_of_the_peer) {
    static gid_t groups[GROUPS];
    struct caller caller;
    int fd, pidfd;
    pid_t pid;

    for (size_t i = 0; i < GROUPS; i++)
        groups[i] = 30000 + (gid_t)i;
    fd = peer_start(UID, GID, groups, GROUPS, &pid);
    ck_assert_int_eq(peer_read(fd, &with_group, &caller, &pidfd), 0);
    ck_assert_uint_eq(caller.uid, UID);
    ck_assert_uint_eq(caller.gid, GID);
    ck_assert_int_eq(caller.pid, pid);
    ck_assert_uint_eq(caller.n_groups, GROUPS);
    ck_assert_mem_eq(caller.groups, groups, sizeof(groups));
    ck_assert(!caller.administrator);
    close(pidfd);
    caller_deinit(&caller);
    peer_end(fd, pid);
}
END_TEST

START_TEST(no_groups_are_none) {
    struct caller caller;
    int fd, pidfd;
    pid_t pid;

    fd = peer_start(UID, GID, NULL, 0, &pid);
    ck_assert_int_eq(peer_read(fd, &no_group, &caller, &pidfd), 0);
    ck_assert_uint_eq(caller.n_groups, 0);
    ck_assert_ptr_null(caller.groups);
    close(pidfd);
    peer_end(fd, pid);
}
END_TEST

START_TEST(the_pidfd_tells_of_the_end) {
    struct pollfd poller = {.events = POLLIN};
    struct caller caller;
    int fd;
    pid_t pid;

    fd = peer_start(UID, GID, NULL, 0, &pid);
    ck_assert_int_eq(peer_read(fd, &no_group, &caller, &poller.fd), 0);
    ck_assert_int_eq(poll(&poller, 1, 0), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(poll(&poller, 1, 10000), 1);
    close(poller.fd);
    peer_end(fd, pid);
}
END_TEST

/* A newer kernel still has a pidfd for it, on which it has ended; an older one has none. */
START_TEST(a_process_that_is_gone_is_known_to_be) {
    struct pollfd poller = {.events = POLLIN};
    struct caller caller;
    int fd;
    pid_t pid;

    fd = peer_start(UID, GID, NULL, 0, &pid);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(peer_read(fd, &no_group, &caller, &poller.fd), 0);
    ck_assert_uint_eq(caller.uid, UID);
    if (poller.fd >= 0) {
        ck_assert_int_eq(poll(&poller, 1, 0), 1);
        close(poller.fd);
    }
    close(fd);
}
END_TEST

static bool is_administrator(const struct config *config, uid_t uid, gid_t gid, const gid_t *groups,
                             size_t n_groups) {
    struct caller caller;
    int fd, pidfd;
    pid_t pid;

    fd = peer_start(uid, gid, groups, n_groups, &pid);
    ck_assert_int_eq(peer_read(fd, config, &caller, &pidfd), 0);
    close(pidfd);
    caller_deinit(&caller);
    peer_end(fd, pid);
    return caller.administrator;
}

START_TEST(administrators_are_root_and_the_group) {
    static const gid_t groups[] = {GID, ADMIN_GROUP};

    ck_assert(is_administrator(&no_group, 0, 0, NULL, 0));
    ck_assert(!is_administrator(&no_group, UID, ADMIN_GROUP, groups, 2));
    ck_assert(!is_administrator(&with_group, UID, GID, groups, 1));
    ck_assert(is_administrator(&with_group, UID, ADMIN_GROUP, NULL, 0));
    ck_assert(is_administrator(&with_group, UID, GID, groups, 2));
}
END_TEST

START_TEST(the_daemons_own_user_administers) {
    struct caller caller;
    int fd, pidfd;
    pid_t pid;

    fd = peer_start(UID, GID, NULL, 0, &pid);
    ck_assert_int_eq(seteuid(UID), 0);
    ck_assert_int_eq(peer_read(fd, &no_group, &caller, &pidfd), 0);
    ck_assert(caller.administrator);
    ck_assert_int_eq(seteuid(0), 0);
    close(pidfd);
    peer_end(fd, pid);
}
END_TEST

START_TEST(what_is_no_unix_socket_has_no_peer) {
    struct caller caller;
    int pipes[2], pidfd;

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(peer_read(pipes[0], &no_group, &caller, &pidfd), -ENOTSOCK);
    close(pipes[0]);
    close(pipes[1]);
}
END_TEST

SUITE_MAIN("peer", credentials_are_those_of_the_peer, no_groups_are_none,
           the_pidfd_tells_of_the_end, a_process_that_is_gone_is_known_to_be,
           administrators_are_root_and_the_group, the_daemons_own_user_administers,
           what_is_no_unix_socket_has_no_peer);
