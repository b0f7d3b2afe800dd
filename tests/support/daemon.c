/*
 * Daemon: see daemon.h.
 */
#include "tests/support/daemon.h"

#include "proto/cleanup.h"
#include "proto/packet.h"
#include "proto/socket-path.h"
#include "tests/support/child.h"
#include "tests/support/sandbox.h"
#include "tests/support/service-manager.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM_FD 200

static void make_directory(const char *path, mode_t mode) {
    ck_assert_int_eq(mkdir(path, mode), 0);
    ck_assert_int_eq(chown(path, DAEMON_UID, DAEMON_UID), 0);
}

static void write_file(const char *path, const char *text) {
    _cleanup_fclose_ FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
}

static void set_path(char ret[static DAEMON_PATH_MAX], const char *directory, const char *name) {
    ck_assert_int_lt(snprintf(ret, DAEMON_PATH_MAX, "%s/%s", directory, name), DAEMON_PATH_MAX);
}

void daemon_prepare(struct test_daemon *ret, const char *config) {
    char drop_in[DAEMON_PATH_MAX];

    sandbox_mount("/dev/shm", 0);
    *ret = (struct test_daemon){.root = SANDBOX_DIRECTORY "/test-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(ret->root));
    ck_assert_int_eq(chmod(ret->root, 0755), 0);
    set_path(ret->runtime, ret->root, "run");
    set_path(ret->state, ret->root, "state");
    set_path(ret->config, ret->root, "shmregd.json");
    set_path(ret->log, ret->root, "log");
    set_path(ret->socket, ret->runtime, CLIENT_SOCKET_NAME);
    set_path(ret->admin_socket, ret->runtime, ADMIN_SOCKET_NAME);
    make_directory(ret->runtime, 0755);
    make_directory(ret->state, 0700);
    write_file(ret->config, config);
    set_path(drop_in, ret->root, "conf.d");
    make_directory(drop_in, 0755);
    set_path(drop_in, ret->root, "conf.d/open.json");
    write_file(drop_in, "{\"namespaces\": {\"*\": {\"create\": [\"anyone\"]}}}");
    write_file(ret->log, "");
}

/* As sd_listen_fds_with_names(3) takes it: descriptor 3. */
static void hand_over(const struct test_daemon *daemon) {
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", getpid());
    ck_assert_int_eq(setenv("LISTEN_PID", pid, 1) | setenv("LISTEN_FDS", "1", 1) |
                         setenv("LISTEN_FDNAMES", daemon->stored_name, 1),
                     0);
    /* Perhaps what check tells its parent through: no assertion from here on. */
    dup2(daemon->stored_fd, 3);
}

/* The program is opened as root: the directory it was built in may be closed to other users. */
static void execute(const struct test_daemon *daemon) {
    char runtime[DAEMON_PATH_MAX + 32], state[DAEMON_PATH_MAX + 32], config[DAEMON_PATH_MAX + 32];
    char *arguments[] = {"shmregd", "--foreground", config, runtime, state, NULL};
    const char *path = getenv("SHMREGD");
    _cleanup_close_ int opened = path ? open(path, O_PATH | O_CLOEXEC) : -1;
    /* Where no descriptor that is handed over takes its place. */
    int program = fcntl(opened, F_DUPFD_CLOEXEC, PROGRAM_FD);
    int log = open(daemon->log, O_WRONLY | O_APPEND | O_CLOEXEC);

    ck_assert_msg(program >= 0, "SHMREGD does not name a program: %s", strerror(errno));
    ck_assert_int_ge(log, 0);
    snprintf(runtime, sizeof(runtime), "--runtime-directory=%s", daemon->runtime);
    snprintf(state, sizeof(state), "--state-directory=%s", daemon->state);
    snprintf(config, sizeof(config), "--config=%s", daemon->config);
    if (daemon->max_descriptors > 0)
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){daemon->max_descriptors,
                                                                   daemon->max_descriptors}),
                         0);
    ck_assert_int_eq(setpgid(0, 0), 0);
    become(USER(DAEMON_UID));
    ck_assert_int_eq(dup2(log, STDERR_FILENO), STDERR_FILENO);
    if (daemon->stored_name)
        hand_over(daemon);
    if (daemon->manager)
        service_manager_hand_over(daemon->manager);
    if (daemon->held)
        raise(SIGSTOP);
    fexecve(program, arguments, environ);
    ck_abort_msg("cannot execute shmregd: %s", strerror(errno));
}

/* Whether connections are accepted; then it returns when the daemon has let go of this one. */
static bool accepts(const char *path, int type) {
    _cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(socket_address(path, NULL, &address), 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    wait_readable(fd);
    return true;
}

static bool is_ready(const struct test_daemon *daemon) {
    return accepts(daemon->socket, SOCK_SEQPACKET) && accepts(daemon->admin_socket, SOCK_STREAM);
}

/* Every start changes the runtime directory and ends with a line in the log. Returns whether it is
 * ready; else it has ended. */
static bool wait_ready(const struct test_daemon *daemon, int watcher) {
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
    struct pollfd pollers[] = {{.fd = watcher, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    uint64_t deadline = monotonic_usec() + DEADLINE_MSEC * UINT64_C(1000);
    char events[4096];

    while (!is_ready(daemon)) {
        int r = poll(pollers, ARRAY_SIZE(pollers), msec_until(deadline));

        ck_assert_msg(r > 0, "shmregd is not ready in time");
        if (pollers[1].revents != 0)
            return false;
        ck_assert_int_gt(read(watcher, events, sizeof(events)), 0);
    }
    return true;
}

static int watch(const struct test_daemon *daemon) {
    int watcher = inotify_init1(IN_CLOEXEC);

    ck_assert_int_ge(watcher, 0);
    ck_assert_int_ge(inotify_add_watch(watcher, daemon->runtime, IN_CREATE), 0);
    ck_assert_int_ge(inotify_add_watch(watcher, daemon->log, IN_MODIFY), 0);
    return watcher;
}

static void spawn(struct test_daemon *daemon) {
    if (daemon->manager)
        service_manager_settle(daemon->manager);
    daemon->pid = fork();
    ck_assert_int_ge(daemon->pid, 0);
    if (daemon->pid == 0)
        execute(daemon);
}

static void expect_given_up(const struct test_daemon *daemon) {
    int status = wait_for_end(daemon->pid);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1,
                  "shmregd ended with status %#x instead of 1", (unsigned)status);
}

void daemon_expect_refusal(struct test_daemon *daemon) {
    spawn(daemon);
    expect_given_up(daemon);
}

void daemon_launch(struct test_daemon *daemon) {
    _cleanup_close_ int watcher = watch(daemon);

    spawn(daemon);
    ck_assert_msg(wait_ready(daemon, watcher), "shmregd did not start, its log is %s", daemon->log);
}

void daemon_launch_held(struct test_daemon *daemon) {
    int status;

    daemon->held = true;
    spawn(daemon);
    daemon->held = false;
    ck_assert_int_eq(waitpid(daemon->pid, &status, WUNTRACED), daemon->pid);
    ck_assert_msg(WIFSTOPPED(status), "shmregd ended with status %#x", (unsigned)status);
}

void daemon_start_with(struct test_daemon *ret, const char *config) {
    daemon_prepare(ret, config);
    daemon_launch(ret);
}

void daemon_start(struct test_daemon *ret) {
    daemon_start_with(ret, "{}");
}

void daemon_kill(struct test_daemon *daemon) {
    ck_assert_int_eq(kill(daemon->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(daemon->pid, NULL, 0), daemon->pid);
}

void daemon_stop(struct test_daemon *daemon) {
    int status;

    ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
    status = wait_for_end(daemon->pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "shmregd ended with status %#x instead of 0", (unsigned)status);
}

bool daemon_is_alive(const struct test_daemon *daemon) {
    return waitpid(daemon->pid, NULL, WNOHANG) == 0;
}
