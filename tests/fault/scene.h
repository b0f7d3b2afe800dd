/*
 * Scene: what a fault falls into
 *
 * One daemon, one client that asks for the operation (without the library, so that nothing is asked
 * twice), and one that looks on. Afterwards an operation that was answered has taken effect; one that
 * was refused has changed nothing; one without an answer is whole or not there at all.
 */
#pragma once

#include <pthread.h>

#include "client/shmreg.h"
#include "proto/wire.h"
#include "tests/support/child.h"
#include "tests/support/daemon.h"
#include "tests/support/service-manager.h"

#define NAME "region"
#define CLIENT_ID 4711
#define OLD_SIZE 100
#define NEW_SIZE 5000
#define SCENE_BYTES_MAX (UINT64_C(1) << 40) /* that the daemon lets all of them have */

enum outcome {
    UNANSWERED,
    ANSWERED,
    REFUSED,
};

struct scene {
    struct test_daemon daemon;
    struct service_manager manager; /* keeps its memfds */
    shmreg_conn *conn;              /* the one that looks on */
    int fd;                         /* the one that asks */
    uint64_t attachment_id;
    struct child owner;
    enum outcome outcome;
    bool check_all;       /* what is on disk, each time and not once at the end */
    bool cut_off;         /* the daemon closed the connection instead of an answer, or after it */
    bool restarted;       /* the daemon, since the operation */
    bool nameless;        /* the memory of its regions: memfds */
    unsigned descriptors; /* of the daemon, when nothing is there but the one that looks on */
    struct sleeper {
        shmreg_region *region; /* NULL: nobody sleeps */
        pthread_t thread;
        _Atomic pid_t tid;
    } sleeper;
};

/* Starts the daemon with that default backing, and takes the scene down. */
void scene_init(struct scene *scene, const char *backing);
void scene_deinit(struct scene *scene);

/* The client that asks comes; and goes, after which nothing may be left of any operation: no segment,
 * no charge, no descriptor, no client. */
void scene_enter(struct scene *scene);
void scene_leave(struct scene *scene);

/* Sees that the daemon is through with all that was asked so far. */
void scene_settle(struct scene *scene);

/* Takes what has come of the answer to the operation by now; or waits for all of it, or for the end
 * of the connection. */
void scene_receive_now(struct scene *scene);
void scene_receive(struct scene *scene);
/* Whether the operation may have taken effect, or not, after that outcome. */
void scene_expect(const struct scene *scene, bool effect);
/* Whether the daemon still has what the client that asks held: it connects again if it has to. */
bool scene_resume(struct scene *scene);

/* A thread that sleeps until the region changes. */
void scene_put_to_sleep(struct scene *scene);
/* The region has changed, so the sleeper is awake. */
void scene_expect_awake(struct scene *scene);

/* So many segments there are, in its directories, of backings that have a name there; at once after a
 * restart, else when what could not be removed was tried again. */
void scene_expect_segments(const struct scene *scene, int count);
bool scene_has_value(const struct scene *scene, const char *name, size_t size, unsigned seed);
/* Destroys the region, and with it its segment. */
void scene_destroy(struct scene *scene);
