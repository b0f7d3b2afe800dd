/*
 * Pressure: see pressure.h.
 *
 * libevent knows no POLLPRI, which is how the kernel tells: an epoll instance that waits for it is
 * readable then. Looking at the file takes the event away, so that whoever hears of it hears once.
 */
#include "daemon/ground/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ground/log.h"
#include "proto/base64.h"
#include "proto/socket-path.h"

#define HOST PRESSURE_DIRECTORY "/memory"
#define TRIGGER_MAX 4096
#define USEC_PER_MSEC 1000u

/* One file that is watched. */
struct source {
    struct pressure *pressure;
    char path[PATH_MAX];
    int fd;
    int epoll_fd;        /* of a file of the kernel's; else -1 */
    uint64_t stall_usec; /* that the trigger asks for; 0: that is not known */
    uint64_t total_usec; /* that processes had waited when the last event came */
    struct event *event;
};

struct pressure {
    struct event_base *base;
    void (*felt)(void *data);
    void *data;
    struct memory_pressure settings;
    bool configured;
    struct source host, service;
};

/* What is written into a file after opening it. */
struct trigger {
    char bytes[TRIGGER_MAX];
    size_t size;
};

static void stop(struct source *source) {
    if (source->event)
        event_free(source->event);
    source->event = NULL;
    close_fd(&source->epoll_fd);
    close_fd(&source->fd);
}

static void lose(struct source *source, const char *why) {
    log_warning("memory pressure is not told of by %s any more: %s", source->path, why);
    stop(source);
}

/* 0 if it cannot be told. */
static uint64_t read_total(const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    uint64_t total;

    return file && fscanf(file, "some %*s %*s %*s total=%" SCNu64, &total) == 1 ? total : 0;
}

/* Up to Linux 6.18 at least, the first event of a trigger set without privileges comes with the first wait
 * of any length: the kernel compares with a count of zero. */
static bool is_true(struct source *source) {
    uint64_t before = source->total_usec;

    if (source->stall_usec == 0)
        return true;
    source->total_usec = read_total(source->path);
    return source->total_usec == 0 || source->total_usec - before >= source->stall_usec;
}

/* Reads all there is. False if there will be no more. */
static bool discard(int fd) {
    char bytes[256];
    ssize_t n;

    do
        n = read(fd, bytes, sizeof(bytes));
    while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 && errno == EAGAIN;
}

static bool is_alive(const struct source *source) {
    struct epoll_event event;

    if (source->epoll_fd < 0)
        return discard(source->fd);
    return epoll_wait(source->epoll_fd, &event, 1, 0) <= 0 || !(event.events & EPOLLERR);
}

static void on_event(int fd, short what, void *data) {
    struct source *source = data;
    struct pressure *pressure = source->pressure;

    (void)fd;
    (void)what;
    if (!is_alive(source))
        lose(source, "it has ended");
    else if (is_true(source))
        pressure->felt(pressure->data);
}

static int open_socket(const char *path) {
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    int r = fd < 0 ? -errno : socket_address(path, NULL, &address);

    if (r < 0)
        return r;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return steal_fd(&fd);
}

/* "some STALL WINDOW"; others are believed. */
static void note_trigger(struct source *source, const struct trigger *trigger) {
    char text[64];

    source->total_usec = read_total(source->path);
    source->stall_usec = 0;
    snprintf(text, sizeof(text), "%.*s", (int)trigger->size, trigger->bytes);
    sscanf(text, "some %" SCNu64, &source->stall_usec);
}

/* Sets the descriptor, and for a file of the kernel's the epoll instance, of the source. */
static int open_source(struct source *source, const struct trigger *trigger) {
    struct epoll_event interest = {.events = EPOLLPRI};
    struct stat status;

    if (stat(source->path, &status) < 0)
        return -errno;
    if (S_ISSOCK(status.st_mode))
        source->fd = open_socket(source->path);
    else
        source->fd = open(source->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (source->fd < 0)
        return S_ISSOCK(status.st_mode) ? source->fd : -errno;
    if (trigger->size > 0 && write(source->fd, trigger->bytes, trigger->size) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return 0;
    note_trigger(source, trigger);
    source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (source->epoll_fd < 0 ||
        epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, source->fd, &interest) < 0)
        return -errno;
    return 0;
}

static void start(struct source *source, const char *path, const struct trigger *trigger) {
    int r, fd;

    snprintf(source->path, sizeof(source->path), "%s", path);
    r = open_source(source, trigger);
    if (r == 0) {
        fd = source->epoll_fd >= 0 ? source->epoll_fd : source->fd;
        source->event =
            event_new(source->pressure->base, fd, EV_READ | EV_PERSIST, on_event, source);
        if (!source->event || event_add(source->event, NULL) < 0)
            r = -ENOMEM;
    }
    if (r == 0) {
        log_debug("memory pressure is told of by %s", path);
        return;
    }
    log_write(LOG_NOTICE, NULL, "memory pressure is not told of by %s: %s", path, strerror(-r));
    stop(source);
}

/* False if it is no base64, or too long. */
static bool read_trigger(struct trigger *trigger) {
    const char *text = getenv("MEMORY_PRESSURE_WRITE");
    size_t length = text ? strlen(text) : 0;

    trigger->size = 0;
    if (length == 0)
        return true;
    return length <= TRIGGER_MAX &&
           base64_decode(text, length, trigger->bytes, &trigger->size) == 0;
}

static void start_service(struct source *source, const char *path) {
    struct trigger trigger;

    if (*path != '/' || strlen(path) >= sizeof(source->path) || !read_trigger(&trigger))
        log_write(LOG_NOTICE, NULL,
                  "memory pressure is not told of by the service manager: MEMORY_PRESSURE_WATCH or "
                  "MEMORY_PRESSURE_WRITE is malformed");
    else
        start(source, path, &trigger);
}

/* The kernel's word ends with a NUL. */
static void start_host(struct source *source, const struct memory_pressure *settings) {
    struct trigger trigger;

    trigger.size =
        1 + (size_t)snprintf(trigger.bytes, sizeof(trigger.bytes), "some %" PRIu32 " %" PRIu32,
                             settings->stall * USEC_PER_MSEC, settings->window * USEC_PER_MSEC);
    start(source, HOST, &trigger);
}

/* The service manager's file is opened once: later the daemon may be confined to other files. */
static void listen_to_service(struct pressure *pressure, const char *watch, bool is_on) {
    struct source *source = &pressure->service;

    if (!pressure->configured && watch && *watch && strcmp(watch, HOST) != 0)
        start_service(source, watch);
    if (source->event && !is_on)
        event_del(source->event);
    else if (source->event && event_add(source->event, NULL) < 0)
        lose(source, "no memory");
}

void pressure_configure(struct pressure *pressure, const struct memory_pressure *settings) {
    const char *watch = getenv("MEMORY_PRESSURE_WATCH");

    if ((watch && strcmp(watch, "/dev/null") == 0) ||
        (pressure->configured && pressure->settings.watch == settings->watch &&
         pressure->settings.stall == settings->stall &&
         pressure->settings.window == settings->window))
        return;
    listen_to_service(pressure, watch, settings->watch);
    stop(&pressure->host);
    if (settings->watch)
        start_host(&pressure->host, settings);
    pressure->settings = *settings;
    pressure->configured = true;
}

int pressure_new(struct event_base *base, void (*felt)(void *data), void *data,
                 struct pressure **ret) {
    struct pressure *pressure = calloc(1, sizeof(*pressure));

    if (!pressure)
        return -ENOMEM;
    pressure->base = base;
    pressure->felt = felt;
    pressure->data = data;
    pressure->host = pressure->service =
        (struct source){.pressure = pressure, .fd = -1, .epoll_fd = -1};
    *ret = pressure;
    return 0;
}

void pressure_free(struct pressure *pressure) {
    stop(&pressure->service);
    stop(&pressure->host);
    free(pressure);
}
