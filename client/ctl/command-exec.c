/*
 * exec: runs a program with regions as open descriptors
 *
 * shmregctl stays as the program's parent and is the holder of its regions: an attachment ends with
 * its connection, and a program that knows nothing of shmregd could not restore one after a restart
 * of the daemon. So this process does, until the program ends; it hands on signals and the status.
 */
#include "client/ctl/commands.h"
#include "client/shmreg.h"
#include "proto/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define CANNOT_RUN 126
#define NOT_FOUND 127
#define SIGNALLED 128
#define VARIABLE "SHMREG_FD_"
#define SHIM "libshmreg-posix.so"

struct opening {
    char *name;
    uint32_t access;
    int target;
    int source;
    shmreg_region *region;
};

struct openings {
    shmreg_conn *conn;
    struct opening list[REPEATED_MAX];
    unsigned count;
};

static void openings_deinit(struct openings *openings) {
    for (unsigned i = 0; i < openings->count; i++)
        free(openings->list[i].name);
    shmreg_disconnect(openings->conn);
}

/* Reads NAME[:rw]=FD. */
static int parse(const char *text, struct opening *ret, struct error *error) {
    const char *equals = strrchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    bool write = length > 3 && strncmp(text + length - 3, ":rw", 3) == 0;
    char *end = NULL;
    long fd = equals && isdigit((unsigned char)equals[1]) ? strtol(equals + 1, &end, 10) : -1;

    if (length == 0 || !end || *end || fd < 0 || fd >= INT_MAX)
        return error_set(error, -EINVAL, "--region=%s is not NAME=FD or NAME:rw=FD", text);
    *ret = (struct opening){
        .name = strndup(text, write ? length - 3 : length),
        .access = write ? SHMREG_WRITE : SHMREG_READ,
        .target = (int)fd,
        .source = -1,
    };
    return ret->name ? 0 : error_set(error, -ENOMEM, "no memory");
}

/* SHMREG_FD_user_1000_prices=/proc/self/fd/3 for user/1000/prices=3 */
static int set_variable(const struct opening *opening, struct error *error) {
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
    _cleanup_free_ char *variable = NULL;

    if (asprintf(&variable, VARIABLE "%s", opening->name) < 0) {
        variable = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    for (char *c = variable; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    if (getenv(variable))
        return error_set(error, -EINVAL, "%s, for region %s, is set already", variable,
                         opening->name);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", opening->target);
    if (setenv(variable, path, 1) < 0)
        return error_set(error, -ENOMEM, "no memory");
    return 0;
}

static int parse_all(const struct invocation *invocation, struct openings *ret,
                     struct error *error) {
    for (unsigned i = 0; i < invocation->n_repeated; i++) {
        int r = parse(invocation->repeated[i], &ret->list[i], error);

        if (r < 0)
            return r;
        ret->count++;
        for (unsigned j = 0; j < i; j++)
            if (ret->list[j].target == ret->list[i].target)
                return error_set(error, -EINVAL, "two regions as descriptor %d",
                                 ret->list[i].target);
        r = set_variable(&ret->list[i], error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_all(struct openings *openings, struct error *error) {
    int r = openings->count > 0 ? shmreg_connect(NULL, &openings->conn) : 0;

    for (unsigned i = 0; r == 0 && i < openings->count; i++) {
        struct opening *opening = &openings->list[i];

        r = shmreg_open(openings->conn, opening->name, opening->access, &opening->region);
    }
    return r < 0 ? error_set(error, -EREMOTEIO, "%s", shmreg_error_message()) : 0;
}

static int choose_socket(const struct invocation *invocation, struct error *error) {
    _cleanup_free_ char *path = NULL;

    if (invocation->global[GLOBAL_SOCKET])
        return error_set(error, -EINVAL, "exec asks at the client socket: set SHMREG_SOCKET");
    if (!invocation->global[GLOBAL_USER])
        return 0;
    if (asprintf(&path, "%s/shmregd/client.sock", getenv("XDG_RUNTIME_DIR")) < 0) {
        path = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    return setenv("SHMREG_SOCKET", path, 1) < 0 ? error_set(error, -ENOMEM, "no memory") : 0;
}

/* Where the loader does not find it, it would run the program without. */
static int preload_shim(struct error *error) {
    const char *directory = getenv("SHMREG_LIB_PATH"), *others = getenv("LD_PRELOAD");
    _cleanup_free_ char *value = NULL;
    int length;

    if (!directory || *directory != '/')
        directory = LIB_PATH;
    length =
        asprintf(&value, "%s/" SHIM "%s%s", directory, others ? ":" : "", others ? others : "");
    if (length < 0) {
        value = NULL;
        return error_set(error, -ENOMEM, "no memory");
    }
    value[strlen(directory) + sizeof("/" SHIM) - 1] = '\0';
    if (access(value, R_OK) < 0)
        return error_set(error, -errno, "cannot preload %s: %s", value, strerror(errno));
    if (others)
        value[strlen(directory) + sizeof("/" SHIM) - 1] = ':';
    return setenv("LD_PRELOAD", value, 1) < 0 ? error_set(error, -ENOMEM, "no memory") : 0;
}

/* Puts each descriptor in its place; first all out of the way, as one may be where another goes. */
static int place_descriptors(struct openings *openings) {
    int free_from = 0;

    for (unsigned i = 0; i < openings->count; i++)
        if (openings->list[i].target >= free_from)
            free_from = openings->list[i].target + 1;
    for (unsigned i = 0; i < openings->count; i++) {
        struct opening *opening = &openings->list[i];

        opening->source = fcntl(shmreg_fd(opening->region), F_DUPFD_CLOEXEC, free_from);
        if (opening->source < 0)
            return -errno;
    }
    for (unsigned i = 0; i < openings->count; i++)
        if (dup2(openings->list[i].source, openings->list[i].target) < 0)
            return -errno;
    return 0;
}

static void __attribute__((noreturn))
run_child(struct openings *openings, char **arguments, const sigset_t *mask) {
    struct error error = {0};
    int r = place_descriptors(openings);

    if (r < 0) {
        (void)error_set(&error, r, "cannot place the descriptors: %s", strerror(-r));
    } else {
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        execvp(arguments[0], arguments);
        r = -errno;
        (void)error_set(&error, r, "cannot run %s: %s", arguments[0], strerror(-r));
    }
    ctl_report(&error);
    _exit(r == -ENOENT ? NOT_FOUND : CANNOT_RUN);
}

/* Hands on what other processes send; what the terminal sends, the program has got itself. */
static void forward_signal(int signals, pid_t child) {
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info) && info.ssi_signo != SIGCHLD &&
        info.ssi_code != SI_KERNEL)
        (void)kill(child, (int)info.ssi_signo);
}

static void ignore_news(void *data, shmreg_region *region, uint32_t what) {
    (void)data;
    (void)region;
    (void)what;
}

/* Returns the exit status once the program has ended. */
static int attend(struct openings *openings, int signals, pid_t child) {
    struct pollfd fds[] = {
        {.fd = signals, .events = POLLIN},
        {.fd = openings->conn ? shmreg_conn_fd(openings->conn) : -1, .events = POLLIN},
    };
    int status;

    while (waitpid(child, &status, WNOHANG) == 0) {
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            continue;
        if (fds[0].revents)
            forward_signal(signals, child);
        if (fds[1].revents)
            (void)shmreg_process(openings->conn, ignore_news, NULL);
    }
    return WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_program(struct openings *openings, char **arguments, int *ret, struct error *error) {
    static const int forwarded[] = {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    _cleanup_close_ int signals = -1;
    sigset_t set, mask;
    pid_t child;

    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
        sigaddset(&set, forwarded[i]);
    sigprocmask(SIG_BLOCK, &set, &mask);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    child = signals < 0 ? -1 : fork();
    if (child < 0)
        return error_set(error, -errno, "cannot run %s: %s", arguments[0], strerror(errno));
    if (child == 0)
        run_child(openings, arguments, &mask);
    *ret = attend(openings, signals, child);
    return 0;
}

int command_exec(struct ctl *ctl, const struct invocation *invocation, struct error *error) {
    _cleanup_(openings_deinit) struct openings openings = {0};
    int status = 0;
    int r = choose_socket(invocation, error);

    (void)ctl;
    if (r == 0)
        r = parse_all(invocation, &openings, error);
    if (r == 0 && invocation->option[EXEC_SHIM])
        r = preload_shim(error);
    if (r == 0)
        r = open_all(&openings, error);
    if (r == 0)
        r = run_program(&openings, invocation->arguments, &status, error);
    if (r == 0 && status != 0) {
        openings_deinit(&openings);
        exit(status);
    }
    return r;
}
