/*
 * Hostile peers: who changes his uid, gives his connection away, takes the pid of another, looks into
 * other processes, or leaves his descriptors under way
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTILE 20001
#define OTHER 20002
#define SIZE 10000L

static struct test_daemon daemon_;
static shmreg_conn *conn; /* root's */

static void start(rlim_t max_descriptors) {
    daemon_prepare(&daemon_, "{}");
    daemon_.max_descriptors = max_descriptors;
    daemon_launch(&daemon_);
    conn = connect_to(&daemon_);
    create_region(conn, "roots", SIZE, NULL);
}

static void teardown(void) {
    ck_assert(daemon_is_alive(&daemon_));
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static int32_t try_to_open(int fd, const char *name) {
    raw_request(fd, WIRE_OPEN, 2, &(struct wire_open_request){.count = 1, .access = WIRE_READ},
                &(struct wire_string){name, (uint32_t)strlen(name) + 1});
    return raw_receive_status(fd);
}

/* The rights are those of who connected: nobody gains any afterwards, and nobody loses any. */
static void change_uids(int channel, void *data) {
    int as_root = raw_greet(daemon_.socket), as_user;

    (void)channel;
    (void)data;
    ck_assert_int_eq(setresuid(HOSTILE, HOSTILE, 0), 0);
    as_user = raw_greet(daemon_.socket);
    ck_assert_int_eq(try_to_open(as_user, "roots"), -EACCES);
    ck_assert_int_eq(try_to_open(as_root, "roots"), 0);
    ck_assert_int_eq(setresuid(0, 0, 0), 0);
    ck_assert_int_eq(try_to_open(as_user, "roots"), -EACCES);
    close(as_root);
    close(as_user);
}

START_TEST(test_a_peer_that_changes_its_uid) {
    start(0);
    run_as(USER(0), change_uids, NULL);
}
END_TEST

static void use_anothers_connection(int channel, void *data) {
    (void)channel;
    ck_assert_int_eq(try_to_open(*(int *)data, "roots"), 0);
}

/* Whoever gives it away gives his rights along, as with a descriptor of a file. */
START_TEST(test_a_connection_that_is_given_away) {
    int fd;

    start(0);
    fd = raw_greet(daemon_.socket);
    run_as(USER(HOSTILE), use_anothers_connection, &fd);
    close(fd);
}
END_TEST

/* A process of that very pid, as user; or -1 with errno. */
static pid_t take_pid(pid_t pid) {
    struct clone_args arguments = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1};
    long r = syscall(SYS_clone3, &arguments, sizeof(arguments));

    if (r == 0) {
        become(USER(HOSTILE));
        for (;;)
            pause();
    }
    return (pid_t)r;
}

static void own_until_killed(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)data;
    create_region(own, "owned", SIZE, SHMREG_OPTIONS(.lifetime = SHMREG_OWNER));
    channel_say(channel);
    channel_hear(channel);
}

/* Nobody inherits what a dead owner left by having his pid: neither while no daemon looks. */
START_TEST(test_a_pid_that_is_used_again) {
    struct child owner;
    pid_t pid, again;

    start(0);
    owner = child_start(USER(HOSTILE), own_until_killed, NULL);
    channel_hear(owner.channel);
    ck_assert(exists(conn, "owned"));
    pid = owner.pid;
    daemon_kill(&daemon_);
    child_kill(&owner);
    /* A start time is a number of ticks: one of the same tick would be the owner to everybody. */
    poll(NULL, 0, 2 * 1000 / (int)sysconf(_SC_CLK_TCK));
    again = take_pid(pid);
    if (again < 0)
        fprintf(stderr, "skipped: no pid of one's choice here: %s\n", strerror(errno));
    ck_assert(again < 0 || again == pid);
    daemon_launch(&daemon_);
    wait_gone(conn, "owned");
    ck_assert(exists(conn, "roots"));
    if (again > 0) {
        ck_assert_int_eq(kill(again, SIGKILL), 0);
        ck_assert_int_eq(waitpid(again, NULL, 0), again);
    }
}
END_TEST

struct victim {
    pid_t pid;
    int fd;
    const void *memory;
};

static void open_secret(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "secret", SHMREG_READ);
    struct victim victim = {getpid(), shmreg_fd(region), shmreg_data(region)};

    (void)data;
    ck_assert_int_eq(write(channel, &victim, sizeof(victim)), sizeof(victim));
    channel_hear(channel);
    shmreg_disconnect(own);
}

static void look_into(int channel, void *data) {
    const struct victim *victim = data;
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, victim->pid, 0);
    char path[64], byte;
    struct iovec local = {&byte, 1}, remote = {(void *)victim->memory, 1};

    (void)channel;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", victim->pid, victim->fd);
    ck_assert_int_eq(open(path, O_RDONLY | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
    snprintf(path, sizeof(path), "/proc/%d/mem", victim->pid);
    ck_assert_int_eq(open(path, O_RDONLY | O_CLOEXEC), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_ge(pidfd, 0);
    ck_assert_int_eq((int)syscall(SYS_pidfd_getfd, pidfd, victim->fd, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq((int)process_vm_readv(victim->pid, &local, 1, &remote, 1, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq((int)ptrace(PTRACE_ATTACH, victim->pid, NULL, NULL), -1);
    ck_assert_int_eq(errno, EPERM);
}

START_TEST(test_looking_into_a_process_that_may) {
    struct victim victim;
    struct child reader;

    start(0);
    create_region(conn, "secret", SIZE, SHMREG_OPTIONS(.acl = "user:20002:r"));
    reader = child_start(USER(OTHER), open_secret, NULL);
    wait_readable(reader.channel);
    ck_assert_int_eq(read(reader.channel, &victim, sizeof(victim)), sizeof(victim));
    run_as(USER(HOSTILE), look_into, &victim);
    channel_say(reader.channel);
    child_finish(&reader);
}
END_TEST

/* As many as the daemon may have open, of which each user has a share. */
#define DESCRIPTORS 4096
#define HOSTILE_CONNECTIONS 20

static int32_t try_hello(void) {
    _cleanup_close_ int fd = raw_connect(daemon_.socket);

    raw_request(fd, WIRE_HELLO, 1,
                &(struct wire_hello_request){.version = WIRE_VERSION, .client_id = 77}, NULL);
    return raw_receive_status(fd);
}

static void leave_some_under_way(int fd) {
    static const char name[] = "public";

    raw_request(fd, WIRE_HELLO, 1,
                &(struct wire_hello_request){.version = WIRE_VERSION, .client_id = (uint64_t)fd},
                NULL);
    for (uint32_t serial = 2; serial < 52; serial++)
        raw_request(fd, WIRE_OPEN, serial,
                    &(struct wire_open_request){.count = 1, .access = WIRE_READ},
                    &(struct wire_string){name, sizeof(name)});
}

static bool is_welcome(void *data) {
    (void)data;
    return try_hello() == 0;
}

static bool is_unwelcome(void *data) {
    return !is_welcome(data);
}

/* His share is used up until he takes them, or lets go of them: to end the connections is not enough. */
static void leave_descriptors_under_way(int channel, void *data) {
    int fds[HOSTILE_CONNECTIONS];

    (void)data;
    for (unsigned i = 0; i < HOSTILE_CONNECTIONS; i++) {
        fds[i] = raw_connect(daemon_.socket);
        leave_some_under_way(fds[i]);
    }
    wait_until(is_unwelcome, NULL);
    ck_assert_int_eq(try_hello(), -ETOOMANYREFS);
    for (unsigned i = 0; i < HOSTILE_CONNECTIONS; i++)
        ck_assert_int_eq(shutdown(fds[i], SHUT_WR), 0);
    channel_say(channel);
    channel_hear(channel); /* the daemon has seen the end of them all */
    ck_assert_int_eq(try_hello(), -ETOOMANYREFS);
    channel_say(channel);
    channel_hear(channel);
    for (unsigned i = 0; i < HOSTILE_CONNECTIONS; i++)
        close(fds[i]);
    wait_until(is_welcome, NULL);
}

static void open_public(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)channel;
    (void)data;
    shmreg_close(open_region(own, "public", SHMREG_READ));
    shmreg_disconnect(own);
}

START_TEST(test_descriptors_that_nobody_takes) {
    struct child hostile;

    start(DESCRIPTORS);
    create_region(conn, "public", SIZE, SHMREG_OPTIONS(.mode = 0644));
    hostile = child_start(USER(HOSTILE), leave_descriptors_under_way, NULL);
    channel_hear(hostile.channel);
    wait_holders(conn, "public", 0, 0);
    ck_assert_uint_gt(daemon_usage(&daemon_, "connections"), HOSTILE_CONNECTIONS / 2);
    channel_say(hostile.channel);
    channel_hear(hostile.channel);
    run_as(USER(OTHER), open_public, NULL);
    channel_say(hostile.channel);
    child_finish(&hostile);
}
END_TEST

static void offend_often(int channel, void *data) {
    (void)channel;
    (void)data;
    for (unsigned i = 0; i < 50; i++) {
        _cleanup_close_ int fd = raw_greet(daemon_.socket);

        ck_assert_int_eq(send(fd, "nonsense", 8, MSG_NOSIGNAL), 8);
        raw_wait_closed(fd);
    }
}

static unsigned count_log_lines(const char *text) {
    _cleanup_fclose_ FILE *file = fopen(daemon_.log, "re");
    unsigned count = 0;
    char line[4096];

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, text) != NULL;
    return count;
}

/* Nor does he hide what others do. */
START_TEST(test_an_offender_who_fills_the_log) {
    start(0);
    run_as(USER(HOSTILE), offend_often, NULL);
    ck_assert_uint_eq(count_log_lines("of user 20001 is cut off"), 10);
    run_as(USER(OTHER), offend_often, NULL);
    ck_assert_uint_eq(count_log_lines("of user 20002 is cut off"), 10);
}
END_TEST

int main(void) {
    TCase *peers = tcase_create("hostile-peers");

    tcase_add_checked_fixture(peers, NULL, teardown);
    tcase_set_timeout(peers, 30);
    tcase_add_test(peers, test_a_peer_that_changes_its_uid);
    tcase_add_test(peers, test_a_connection_that_is_given_away);
    tcase_add_test(peers, test_a_pid_that_is_used_again);
    tcase_add_test(peers, test_looking_into_a_process_that_may);
    tcase_add_test(peers, test_descriptors_that_nobody_takes);
    tcase_add_test(peers, test_an_offender_who_fills_the_log);
    return sandbox_run("hostile-peers", &peers, 1);
}
