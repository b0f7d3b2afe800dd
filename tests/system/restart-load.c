/*
 * One client under load, to be run while the daemon is restarted again and again
 *
 * Calls whatever changes something, in a loop, and knows for each call what its answer has to be if
 * it took effect exactly once: versions go up by one, what was created is there to be destroyed, and
 * nothing exists that was not made. Beside it a thread sleeps on a region and an event loop watches
 * it: neither may miss the last change. Says `ready`, ends when its standard input does, and prints
 * what it has done and how many answers were wrong.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/shmreg.h"

#define SIZE 20000
#define PATIENCE_MSEC 20000

struct load {
    shmreg_conn *conn;
    unsigned uid;
    uint32_t value_version; /* that "value" has to be at */
    uint32_t fed_version;
    unsigned long requests, errors;
};

static void name_of(const struct load *load, const char *what, char ret[static 64]) {
    snprintf(ret, 64, "user/%u/load-%s", load->uid, what);
}

static void expect(struct load *load, const char *what, int r) {
    load->requests++;
    if (r == 0)
        return;
    load->errors++;
    printf("user %u: %s: %d: %s\n", load->uid, what, r, shmreg_error_message());
    fflush(stdout);
}

static void expect_version(struct load *load, const char *what, uint32_t version,
                           uint32_t expected) {
    if (version == expected)
        return;
    load->errors++;
    printf("user %u: %s: version %u instead of %u\n", load->uid, what, version, expected);
    fflush(stdout);
}

static uint32_t version_of(struct load *load, const char *name) {
    struct shmreg_description *description;
    uint32_t version;
    int r = shmreg_describe(load->conn, name, &description);

    expect(load, "describe", r);
    if (r < 0)
        return 0;
    version = description->version;
    shmreg_description_free(description);
    return version;
}

static void put(struct load *load) {
    char name[64];

    name_of(load, "value", name);
    expect(load, "put", shmreg_put(load->conn, name, "value", 6, 0644));
    load->value_version++;
    expect_version(load, "put", version_of(load, name), load->value_version);
}

static void publish(struct load *load, const char *what, uint32_t *version) {
    shmreg_region *stage;
    uint32_t now = 0;
    char name[64];
    int r;

    name_of(load, what, name);
    r = shmreg_stage(load->conn, name, SIZE, SHMREG_OPTIONS(.mode = 0644, .max_size = 2 * SIZE),
                     &stage);
    expect(load, "stage", r);
    if (r < 0)
        return;
    memset(shmreg_data(stage), (int)(*version + 1), SIZE);
    expect(load, "publish", shmreg_publish(stage, *version, &now));
    ++*version;
    expect_version(load, "publish", now, *version);
    shmreg_close(stage);
}

/* Made, changed and destroyed: each of it once. */
static void come_and_go(struct load *load, unsigned round) {
    static const uint32_t backings[] = {SHMREG_SHM, SHMREG_MEMFD, SHMREG_FILE};
    shmreg_region *region, *reader;
    char name[64];
    int r;

    name_of(load, "short", name);
    r = shmreg_create(load->conn, name, SIZE,
                      SHMREG_OPTIONS(.backing = backings[round % 3], .max_size = 2 * SIZE),
                      &region);
    expect(load, "create", r);
    if (r < 0)
        return;
    memset(shmreg_data(region), 7, SIZE);
    expect(load, "open", shmreg_open(load->conn, name, SHMREG_READ, &reader));
    expect(load, "resize", shmreg_resize(load->conn, name, SIZE + 1000));
    expect(load, "set_access", shmreg_set_access(load->conn, name, 0640, NULL));
    expect(load, "set_attributes", shmreg_set_attributes(load->conn, name, "{\"a\":1}"));
    if (((char *)shmreg_data(reader))[SIZE - 1] != 7)
        expect(load, "content", -EIO);
    shmreg_close(region);
    expect(load, "seal", shmreg_seal(load->conn, name));
    expect_version(load, "short", version_of(load, name), 1);
    expect(load, "destroy", shmreg_destroy(load->conn, name));
    shmreg_close(reader);
}

struct watcher {
    shmreg_conn *conn;
    shmreg_region *region;
    _Atomic bool ends;
    unsigned wakes, errors;
};

/* Follows the region by sleeping on it. */
static void *sleep_on(void *data) {
    struct watcher *watcher = data;

    while (!watcher->ends) {
        int r = shmreg_wait(watcher->region, 1000);

        if (r == 0) {
            watcher->wakes++;
            r = shmreg_refresh(watcher->region);
        }
        shmreg_drop_old(watcher->region);
        if (r < 0 && r != -ETIMEDOUT) {
            watcher->errors++;
            printf("sleeper: %d: %s\n", r, shmreg_error_message());
        }
    }
    return NULL;
}

static void follow(void *data, shmreg_region *region, uint32_t what) {
    struct watcher *watcher = data;
    int r = what & SHMREG_NEWS_DESTROYED ? -EIDRM : shmreg_refresh(region);

    watcher->wakes++;
    shmreg_drop_old(region);
    if (r < 0) {
        watcher->errors++;
        printf("watcher: news %#x: %d: %s\n", what, r, shmreg_error_message());
    }
}

static void *watch(void *data) {
    struct watcher *watcher = data;
    struct pollfd poller = {.fd = shmreg_conn_fd(watcher->conn), .events = POLLIN};

    while (!watcher->ends)
        if (poll(&poller, 1, 1000) > 0 && shmreg_process(watcher->conn, follow, watcher) < 0) {
            watcher->errors++;
            printf("watcher: %s\n", shmreg_error_message());
        }
    return NULL;
}

static bool start_watcher(struct watcher *watcher, const char *name, void *(*run)(void *data),
                          pthread_t *ret) {
    return shmreg_connect(NULL, &watcher->conn) == 0 &&
           shmreg_open(watcher->conn, name, SHMREG_READ, &watcher->region) == 0 &&
           pthread_create(ret, NULL, run, watcher) == 0;
}

/* The last change was heard of: nobody slept through a restart. */
static void finish_watcher(struct load *load, struct watcher *watcher, pthread_t thread,
                           const char *what) {
    for (unsigned i = 0; i < PATIENCE_MSEC && shmreg_version(watcher->region) != load->fed_version;
         i++)
        usleep(1000);
    watcher->ends = true;
    pthread_join(thread, NULL);
    expect_version(load, what, shmreg_version(watcher->region), load->fed_version);
    load->errors += watcher->errors;
    shmreg_close(watcher->region);
    shmreg_disconnect(watcher->conn);
}

static bool is_over(void) {
    return poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, 0) > 0;
}

int main(void) {
    struct load load = {.uid = getuid()};
    struct watcher sleeper = {0}, watcher = {0};
    pthread_t sleeping, watching;
    char fed[64];

    if (shmreg_connect(NULL, &load.conn) < 0) {
        printf("user %u: %s\n", load.uid, shmreg_error_message());
        return 1;
    }
    name_of(&load, "fed", fed);
    publish(&load, "fed", &load.fed_version);
    if (!start_watcher(&sleeper, fed, sleep_on, &sleeping) ||
        !start_watcher(&watcher, fed, watch, &watching)) {
        printf("user %u: %s\n", load.uid, shmreg_error_message());
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    for (unsigned round = 0; !is_over(); round++) {
        put(&load);
        publish(&load, "fed", &load.fed_version);
        come_and_go(&load, round);
    }
    finish_watcher(&load, &sleeper, sleeping, "sleeper");
    finish_watcher(&load, &watcher, watching, "watcher");
    printf("%lu requests, %u wakes, %lu errors\n", load.requests, sleeper.wakes + watcher.wakes,
           load.errors);
    shmreg_disconnect(load.conn);
    return load.errors > 0;
}
