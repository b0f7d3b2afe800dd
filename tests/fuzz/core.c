/*
 * Core: see core.h.
 */
#include "tests/fuzz/core.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"

/* A process that was forked early makes the processes that are asked for: this one, if it forked, would
 * then copy each page that it writes to. */
static int spawner = -1;

static void wait_for_death(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(0, UINT_MAX, 0);
    while (true)
        pause();
}

static void serve(int socket) {
    char request;

    signal(SIGCHLD, SIG_IGN);
    while (read(socket, &request, 1) == 1) {
        pid_t pid = fork();

        if (pid == 0)
            wait_for_death();
        if (write(socket, &pid, sizeof(pid)) != sizeof(pid))
            break;
    }
    _exit(0);
}

static void start_spawner(void) {
    int ends[2];
    pid_t pid;

    fuzz_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    pid = fork();
    fuzz_check(pid >= 0);
    close(ends[pid == 0 ? 0 : 1]);
    if (pid == 0)
        serve(ends[1]);
    spawner = ends[0];
}

static void start(struct core *core) {
    const struct manager_options options = {
        .base = core->base,
        .config = &core->config,
        .runtime_directory = core->runtime,
        .state_directory = core->state,
        .fdstore = &core->fdstore,
    };
    struct error error = {0};
    int r = manager_new(&options, &core->manager, &error);

    if (r < 0)
        fprintf(stderr, "manager_new: %s\n", error.text);
    fuzz_check(r == 0);
}

void core_init(struct core *core) {
    static struct namespace everything = {.prefix = (char *)NAMESPACE_EVERYTHING, .anyone = true};
    char place[PLACE_MAX];

    place_make(place);
    if (spawner < 0)
        start_spawner();
    *core = (struct core){
        .config = {.default_backing = BACKING_SHM,
                   .namespaces = &everything,
                   .n_namespaces = 1,
                   .timeouts = {.hello = 60, .request = 60, .reply = 60}},
        .descriptors = count_entries("/proc/self/fd", ""),
    };
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        core->config.total.most[kind] = core->config.user.most[kind] =
            core->config.unit.most[kind] = LIMIT_NONE;
    strcpy(core->directory, place);
    snprintf(core->runtime, sizeof(core->runtime), "%s/run", core->directory);
    snprintf(core->state, sizeof(core->state), "%s/state", core->directory);
    fuzz_check(mkdir(core->runtime, 0755) == 0 && mkdir(core->state, 0700) == 0);
    core->base = event_base_new();
    fuzz_check(core->base);
    start(core);
}

void core_restart(struct core *core) {
    manager_free(core->manager);
    start(core);
}

void core_settle(struct core *core) {
    fuzz_check(event_base_loop(core->base, EVLOOP_NONBLOCK) >= 0);
}

static void expect_no_segments(const struct core *core) {
    char segments[96], prefix[64];

    snprintf(prefix, sizeof(prefix), "shmreg.%s.", manager_instance(core->manager));
    snprintf(segments, sizeof(segments), "%s/segments", core->state);
    fuzz_check(count_entries("/dev/shm", prefix) == 0);
    fuzz_check(count_entries(segments, prefix) == 0);
}

void core_deinit(struct core *core) {
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        fuzz_check(quota_used(manager_quota(core->manager), kind) == 0);
    fuzz_check(manager_n_regions(core->manager) == 0);
    expect_no_segments(core);
    manager_free(core->manager);
    event_base_free(core->base);
    place_remove(core->directory);
    fuzz_check(count_entries("/proc/self/fd", "") == core->descriptors);
}

/* libFuzzer's clock interrupts what waits. */
pid_t core_spawn(void) {
    pid_t pid = -1;

    fuzz_check(TEMP_FAILURE_RETRY(write(spawner, "", 1)) == 1);
    fuzz_check(TEMP_FAILURE_RETRY(read(spawner, &pid, sizeof(pid))) == sizeof(pid));
    fuzz_check(pid > 0);
    return pid;
}

void core_kill(pid_t pid) {
    _cleanup_close_ int pidfd = pidfd_open(pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    fuzz_check(pidfd >= 0 && kill(pid, SIGKILL) == 0);
    fuzz_check(TEMP_FAILURE_RETRY(poll(&ended, 1, -1)) == 1);
}
