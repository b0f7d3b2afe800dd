/*
 * Guard: an access to memory that may not be there
 *
 * A page past the end of a truncated file, or one that there is no space for, is a SIGBUS. Each
 * guarded access is one frame on the stack of its thread; the handler looks for the frame whose
 * region the address lies in and goes back there. Every other SIGBUS goes to whoever handled it
 * before.
 */
#include "client/failure.h"
#include "client/region.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

struct frame {
    sigjmp_buf environment;
    uintptr_t start;
    uintptr_t length;
    volatile uintptr_t offset; /* of the access that failed */
    struct frame *outer;
};

/* In the thread's own memory from its start: a handler must not have to allocate it. */
static _Thread_local struct frame *volatile innermost __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int install_error;
static struct sigaction previous;

/* By a process, or as news of bad memory that nobody has touched. */
static bool was_sent(const siginfo_t *info) {
    return info->si_code <= 0 || info->si_code == BUS_MCEERR_AO;
}

static struct frame *find_frame(const siginfo_t *info) {
    struct frame *frame;

    if (was_sent(info))
        return NULL;
    for (frame = innermost; frame; frame = frame->outer)
        if ((uintptr_t)info->si_addr - frame->start < frame->length)
            break;
    return frame;
}

/* Ends the process as if there was no handler: the instruction is carried out again. A signal that
 * was sent is not repeated by itself. */
static void die(const siginfo_t *info) {
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(SIGBUS, &action, NULL);
    if (was_sent(info))
        raise(SIGBUS);
}

static void hand_on(int signal_number, siginfo_t *info, void *context) {
    /* A fault that is ignored would come again for ever: the kernel does not let a process do so. */
    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(signal_number, info, context);
    else if (previous.sa_handler == SIG_DFL || (previous.sa_handler == SIG_IGN && !was_sent(info)))
        die(info);
    else if (previous.sa_handler != SIG_IGN)
        previous.sa_handler(signal_number);
}

static void on_sigbus(int signal_number, siginfo_t *info, void *context) {
    struct frame *frame = find_frame(info);
    int saved_errno = errno;

    if (frame) {
        frame->offset = (uintptr_t)info->si_addr - frame->start;
        siglongjmp(frame->environment, 1);
    }
    hand_on(signal_number, info, context);
    errno = saved_errno;
}

/* What was asked for the handler before holds for it still, as it runs inside this one. */
static void install(void) {
    struct sigaction action = {.sa_sigaction = on_sigbus};

    if (sigaction(SIGBUS, NULL, &previous) == 0) {
        action.sa_mask = previous.sa_mask;
        action.sa_flags = SA_SIGINFO | (previous.sa_flags & (SA_ONSTACK | SA_RESTART | SA_NODEFER));
        if (sigaction(SIGBUS, &action, NULL) == 0)
            return;
    }
    install_error = -errno;
}

int shmreg_guard(const shmreg_region *region, void (*access)(void *data), void *data,
                 uint64_t *ret_offset) {
    const struct mapping *mapping = region_mapping(region);
    struct frame frame = {
        .start = (uintptr_t)mapping->data, .length = mapping->length, .outer = innermost};

    pthread_once(&once, install);
    if (install_error < 0)
        return fail(install_error, "cannot handle SIGBUS: %s", strerror(-install_error));
    if (sigsetjmp(frame.environment, 1) == 0) {
        innermost = &frame;
        access(data);
        innermost = frame.outer;
        return 0;
    }
    innermost = frame.outer;
    if (ret_offset)
        *ret_offset = frame.offset;
    return fail(-EFAULT, "region '%s': there is no memory at offset %" PRIuPTR, mapping->name,
                frame.offset);
}
