/*
 * Pressure: the kernel, a FIFO and a socket are watched as the service manager's convention has it;
 * what cannot be is said, and is in nobody's way.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ground/pressure.h"
#include "proto/cleanup.h"
#include "proto/socket-path.h"
#include "tests/unit/world.h"

#define PATH_LENGTH 64

static const struct memory_pressure settings = {.watch = true, .stall = 2000, .window = 2000};

static struct event_base *base;
static struct pressure *pressure;
static char directory[PATH_LENGTH / 2] = "/tmp/shmreg-unit-XXXXXX", path[PATH_LENGTH];
static unsigned felt, descriptors;

static void on_felt(void *data) {
    (void)data;
    felt++;
}

static void begin(void) {
    log_capture();
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/watch", directory);
    ck_assert_int_eq(setenv("MEMORY_PRESSURE_WATCH", path, 1), 0);
    ck_assert_int_eq(unsetenv("MEMORY_PRESSURE_WRITE"), 0);
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    descriptors = count_descriptors();
    ck_assert_int_eq(pressure_new(base, on_felt, NULL, &pressure), 0);
}

static void end(void) {
    cleanup_pressure_free(&pressure);
    ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    ck_assert_uint_eq(count_descriptors(), descriptors);
    event_base_free(base);
    remove(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* What is there already. */
static unsigned feel(void) {
    felt = 0;
    ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    return felt;
}

static unsigned sources(void) {
    return (unsigned)event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
}

/* Whether this kernel tells. */
static unsigned host_sources(void) {
    return access("/proc/pressure/memory", W_OK) == 0;
}

START_TEST(a_fifo_is_read_empty_each_time) {
    int fd;

    begin();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    pressure_configure(pressure, &settings);
    ck_assert_uint_eq(sources(), 1 + host_sources());
    ck_assert_uint_eq(feel(), 0);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(write(fd, "pressure", 8), 8);
    ck_assert_uint_eq(feel(), 1);
    ck_assert_uint_eq(feel(), 0);
    ck_assert_int_eq(write(fd, "", 1), 1);
    ck_assert_uint_eq(feel(), 1);
    /* Another writer may come. */
    close(fd);
    ck_assert_uint_eq(feel(), 0);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_uint_eq(feel(), 0);
    ck_assert_uint_eq(sources(), 1 + host_sources());
    /* It is kept for when it is wanted again. */
    pressure_configure(pressure, &(struct memory_pressure){0});
    ck_assert_uint_eq(sources(), 0);
    ck_assert_int_eq(remove(path), 0);
    pressure_configure(pressure, &settings);
    ck_assert_int_eq(write(fd, "!", 1), 1);
    ck_assert_uint_eq(feel(), 1);
    close(fd);
    end();
}
END_TEST

START_TEST(a_socket_gets_what_is_to_be_written) {
    struct sockaddr_un address;
    int listener, fd;
    char text[8];

    begin();
    ck_assert_int_eq(setenv("MEMORY_PRESSURE_WRITE", "aGVsbG8A", 1), 0);
    ck_assert_int_eq(socket_address(path, NULL, &address), 0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    pressure_configure(pressure, &settings);
    fd = accept(listener, NULL, NULL);
    ck_assert_int_eq(read(fd, text, sizeof(text)), 6);
    ck_assert_mem_eq(text, "hello", 6);
    ck_assert_uint_eq(feel(), 0);
    ck_assert_int_eq(write(fd, "!", 1), 1);
    ck_assert_uint_eq(feel(), 1);
    close(fd);
    ck_assert_uint_eq(feel(), 0);
    ck_assert(log_has("any more"));
    ck_assert_uint_eq(sources(), host_sources());
    close(listener);
    end();
}
END_TEST

START_TEST(the_service_manager_may_turn_it_off) {
    begin();
    ck_assert_int_eq(setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 1), 0);
    pressure_configure(pressure, &settings);
    ck_assert_uint_eq(sources(), 0);
    end();
}
END_TEST

START_TEST(settings_may_change) {
    struct memory_pressure changed = settings;

    begin();
    ck_assert_int_eq(unsetenv("MEMORY_PRESSURE_WATCH"), 0);
    pressure_configure(pressure, &settings);
    ck_assert_uint_eq(sources(), host_sources());
    changed.window = 4000;
    pressure_configure(pressure, &changed);
    ck_assert_uint_eq(sources(), host_sources());
    changed.watch = false;
    pressure_configure(pressure, &changed);
    ck_assert_uint_eq(sources(), 0);
    pressure_configure(pressure, &settings);
    ck_assert_uint_eq(sources(), host_sources());
    ck_assert(host_sources() == 0 || !log_has("not told of"));
    end();
}
END_TEST

/* Of no use: a file that is not there, one that nothing tells of, a directory, malformed texts. */
static const struct {
    const char *watch, *write, *line;
} useless[] = {
    {"/nowhere", "", "not told of by /nowhere: No such file or directory"},
    {path, "", "/watch: Operation not permitted"},
    {"/", "", "not told of by /: Is a directory"},
    {"relative", "", "not told of by the service manager: MEMORY_PRESSURE_WATCH or"},
    {path, "no base64", "MEMORY_PRESSURE_WRITE is malformed"},
};

START_TEST(what_cannot_be_watched_is_said) {
    int fd;

    begin();
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(useless); i++) {
        ck_assert_int_eq(setenv("MEMORY_PRESSURE_WATCH", useless[i].watch, 1), 0);
        ck_assert_int_eq(setenv("MEMORY_PRESSURE_WRITE", useless[i].write, 1), 0);
        pressure_configure(pressure, &settings);
        ck_assert_uint_eq(sources(), host_sources());
        ck_assert_msg(log_has(useless[i].line), "%s", useless[i].line);
        cleanup_pressure_free(&pressure);
        ck_assert_int_eq(pressure_new(base, on_felt, NULL, &pressure), 0);
    }
    end();
}
END_TEST

SUITE_MAIN("pressure", a_fifo_is_read_empty_each_time, a_socket_gets_what_is_to_be_written,
           the_service_manager_may_turn_it_off, settings_may_change,
           what_cannot_be_watched_is_said);
