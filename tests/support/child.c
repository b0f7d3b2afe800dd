/*
 * Child: see child.h.
 */
#include "tests/support/child.h"

#include "proto/cleanup.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the sanitizer that looks for leaks, where there is one. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* A child ends without the exit handlers, which are the test's, so it has to ask by itself. Whoever
 * changed its user cannot be looked into unless it allows it. */
static void check_leaks(void) {
    if (!__lsan_do_recoverable_leak_check)
        return;
    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
    ck_assert_int_eq(__lsan_do_recoverable_leak_check(), 0);
}

void become(const struct user *user) {
    ck_assert_int_eq(setgroups(user->n_groups, user->groups), 0);
    ck_assert_int_eq(setresgid(user->id, user->id, user->id), 0);
    ck_assert_int_eq(setresuid(user->id, user->id, user->id), 0);
    /* A change of user cleared it, so it comes last. */
    ck_assert_int_eq(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
}

struct child child_start(const struct user *user, child_function function, void *data) {
    struct child child;
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    child.pid = fork();
    ck_assert_int_ge(child.pid, 0);
    if (child.pid == 0) {
        close(ends[0]);
        become(user);
        function(ends[1], data);
        check_leaks();
        _exit(0);
    }
    close(ends[1]);
    child.channel = ends[0];
    return child;
}

void child_finish(struct child *child) {
    int status = wait_for_end(child->pid);

    close_fd(&child->channel);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed: status %#x",
                  (unsigned)status);
}

void child_kill(struct child *child) {
    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child->pid, NULL, 0), child->pid);
    close_fd(&child->channel);
}

void run_as(const struct user *user, child_function function, void *data) {
    struct child child = child_start(user, function, data);

    child_finish(&child);
}

void channel_say(int channel) {
    ck_assert_int_eq(send(channel, "", 1, MSG_NOSIGNAL), 1);
}

void channel_hear(int channel) {
    char byte;

    wait_readable(channel);
    ck_assert_msg(read(channel, &byte, 1) == 1, "the other side of a channel is gone");
}
