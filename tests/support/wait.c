/*
 * Waiting with a deadline: see wait.h.
 */
#include "tests/support/wait.h"

#include "proto/cleanup.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define USEC_PER_MSEC UINT64_C(1000)

uint64_t monotonic_usec(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

int msec_until(uint64_t deadline_usec) {
    uint64_t now = monotonic_usec();

    return deadline_usec > now ? (int)((deadline_usec - now) / USEC_PER_MSEC) + 1 : 0;
}

bool is_readable_within(int fd, int msec) {
    uint64_t deadline = monotonic_usec() + (uint64_t)msec * USEC_PER_MSEC;
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int r;

    do
        r = poll(&poller, 1, msec_until(deadline));
    while (r < 0 && errno == EINTR);
    ck_assert_int_ge(r, 0);
    return r > 0;
}

void wait_readable(int fd) {
    ck_assert_msg(is_readable_within(fd, DEADLINE_MSEC), "nothing came before the deadline");
}

void wait_until(bool (*condition)(void *data), void *data) {
    uint64_t deadline = monotonic_usec() + DEADLINE_MSEC * USEC_PER_MSEC;

    while (!condition(data)) {
        ck_assert_msg(monotonic_usec() < deadline, "what was waited for did not happen");
        poll(NULL, 0, 1);
    }
}

int wait_for_end(pid_t pid) {
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int status;

    ck_assert_int_ge(pidfd, 0);
    wait_readable(pidfd);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}
