/*
 * FD store: what the service manager hands over at start and hears at its socket.
 */
#include "daemon/ground/fdstore.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOTIFY_SOCKET SCRATCH "/notify"

static int make_numbered_file(int number) {
    char path[64];

    snprintf(path, sizeof(path), SCRATCH "/file%d", number);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static bool is_numbered_file(int fd, int number) {
    char path[64];
    struct stat status, expected;

    snprintf(path, sizeof(path), SCRATCH "/file%d", number);
    return fstat(fd, &status) == 0 && stat(path, &expected) == 0 &&
           status.st_ino == expected.st_ino && status.st_dev == expected.st_dev;
}

/* Starts as a service does: with files 0 to 3 as its descriptors 3 to 6. */
static void start_as_service(const char *names) {
    char pid[16];
    int fds[4];

    for (int i = 0; i < 4; i++)
        fds[i] = fcntl(make_numbered_file(i), F_DUPFD, 20);
    for (int i = 0; i < 4; i++)
        if (dup2(fds[i], 3 + i) < 0)
            _exit(100);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "4", 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

/* Returns the number of the expectation that failed, or 0. check has descriptors of its own where
 * a service has those it was given, so this runs in a process that check does not look into. */
static int use_what_was_handed_over(void) {
    struct fdstore store;
    int fd;

    start_as_service("client:admin:admin:left");
    if (fdstore_init(&store) != 0 || store.n_stored != 4)
        return 1;
    if (getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES") || getenv("LISTEN_PID"))
        return 2;
    fd = fdstore_take(&store, "admin");
    if (!is_numbered_file(fd, 1) || fcntl(fd, F_GETFD) != FD_CLOEXEC)
        return 3;
    fd = fdstore_take(&store, "admin");
    if (!is_numbered_file(fd, 2))
        return 4;
    if (fdstore_take(&store, "admin") != -ENOENT || fdstore_take(&store, "other") != -ENOENT)
        return 5;
    if (!is_numbered_file(fdstore_take(&store, "client"), 0))
        return 6;
    fdstore_deinit(&store);
    if (fcntl(6, F_GETFD) != -1 || !is_numbered_file(3, 0))
        return 7;
    return 0;
}

START_TEST(descriptors_are_handed_over_by_name) {
    int status;
    pid_t child;

    scratch_mount(1 << 20);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(use_what_was_handed_over());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(nothing_may_be_handed_over) {
    struct fdstore store;

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    ck_assert_int_eq(fdstore_init(&store), 0);
    ck_assert_int_eq(fdstore_take(&store, "client"), -ENOENT);
    fdstore_deinit(&store);
}
END_TEST

START_TEST(without_a_service_manager_nothing_is_kept) {
    unsetenv("NOTIFY_SOCKET");
    ck_assert(!fdstore_available());
    ck_assert_int_eq(fdstore_push("shmreg.1.2.3", 0), -ENOTCONN);
    ck_assert_int_eq(fdstore_drop("shmreg.1.2.3"), -ENOTCONN);
}
END_TEST

/* Receives what the service manager would, and the descriptor that came along, or -1. */
static int receive(int manager, char text[static 512]) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {.iov_base = text, .iov_len = 511};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    const struct cmsghdr *rights;
    ssize_t n = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);
    int fd = -1;

    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    rights = CMSG_FIRSTHDR(&message);
    if (rights && rights->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
    return fd;
}

START_TEST(a_copy_is_kept_under_a_name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = NOTIFY_SOCKET};
    int manager, fd, kept;
    char text[512];

    scratch_mount(1 << 20);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", NOTIFY_SOCKET, 1);
    ck_assert(fdstore_available());

    fd = make_numbered_file(9);
    ck_assert_int_eq(fdstore_push("shmreg.1.2.3", fd), 0);
    kept = receive(manager, text);
    ck_assert_str_eq(text, "FDSTORE=1\nFDNAME=shmreg.1.2.3");
    ck_assert(is_numbered_file(kept, 9));
    ck_assert(is_numbered_file(fd, 9));
    ck_assert_int_eq(fdstore_drop("shmreg.1.2.3"), 0);
    ck_assert_int_eq(receive(manager, text), -1);
    ck_assert_str_eq(text, "FDSTOREREMOVE=1\nFDNAME=shmreg.1.2.3");
    ck_assert_int_eq(fcntl(manager, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(a_name_that_systemd_would_not_take_is_refused) {
    char longest[257];

    memset(longest, 'n', 256);
    longest[256] = '\0';
    setenv("NOTIFY_SOCKET", NOTIFY_SOCKET, 1);
    ck_assert_int_eq(fdstore_push("", 0), -EINVAL);
    ck_assert_int_eq(fdstore_push("a:b", 0), -EINVAL);
    ck_assert_int_eq(fdstore_push("a\nREADY=1", 0), -EINVAL);
    ck_assert_int_eq(fdstore_push("\xc3\xa9", 0), -EINVAL);
    ck_assert_int_eq(fdstore_push(longest, 0), -EINVAL);
    ck_assert_int_eq(fdstore_drop("a:b"), -EINVAL);
}
END_TEST

SUITE_MAIN("fdstore", descriptors_are_handed_over_by_name, nothing_may_be_handed_over,
           without_a_service_manager_nothing_is_kept, a_copy_is_kept_under_a_name,
           a_name_that_systemd_would_not_take_is_refused);
