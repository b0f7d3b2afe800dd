/*
 * World: a manager in directories of its own, for tests that drive the core without any socket
 *
 * Holders and owners are real processes, deadlines real time; the event loop runs until what is
 * expected has happened. world_restart() is what a killed daemon and the next one are to the core:
 * nothing is ended, everything is loaded again.
 */
#pragma once

#include <stdbool.h>

#include "daemon/core/manager.h"
#include "tests/unit/suite.h"

#define WORLD_UID 20001u
#define OTHER_UID 20002u
#define WORLD_PATH_MAX 64

struct world {
    char directory[WORLD_PATH_MAX], runtime[WORLD_PATH_MAX + 8], state[WORLD_PATH_MAX + 8];
    struct event_base *base;
    struct config config;
    struct fdstore fdstore;
    struct manager *manager;
};

/* Makes the directories and a manager in them, without limits; anyone may create anything. */
void world_init(struct world *world);
/* Frees the manager and removes everything it made. */
void world_deinit(struct world *world);

void world_stop(struct world *world);
void world_start(struct world *world);
void world_restart(struct world *world);

/* Runs the event loop until the condition holds, and fails after a generous time without it. */
void world_wait(struct world *world, bool (*condition)(struct world *world, void *data),
                void *data);
/* Until there is no region of that name. */
void world_wait_gone(struct world *world, const char *name);
/* What is due already, without waiting. */
void world_settle(struct world *world);

/* Callers, and a client of a process (0: a process of its own, killed with the test). */
struct caller world_caller(uid_t uid);
struct client *world_client(struct world *world, uid_t uid, pid_t pid, uint64_t id);

/* The spec of a persistent region of one page. */
struct region_spec world_spec(const char *name);
struct region *world_create(struct world *world, uid_t uid, const struct region_spec *spec);
bool world_has(struct world *world, const char *name);

/* What came with an attachment, or fails without its segment's descriptor. */
void attachment_fds_close(struct attachment_fds *fds);

/* Attaches, or fails; the descriptors are closed. */
struct attachment *world_attach(struct client *client, const char *name, uint32_t access);
struct attachment *world_create_attached(struct client *client, const struct region_spec *spec);
void world_put(struct world *world, uid_t uid, const char *name, const char *text);
/* Fails unless the region's content begins with the text. */
void world_expect_content(struct world *world, const char *name, const char *text);

/* Fails unless exactly so much is charged in all. */
void world_expect_usage(struct world *world, uint64_t regions, uint64_t bytes, uint64_t attachments,
                        uint64_t connections);
/* Fails unless so many segments of this world are in /dev/shm and in the state directory. */
void world_expect_segments(struct world *world, int shm, int files);

/* A process that does nothing until it is killed, with the test at the latest. */
pid_t process_spawn(void);
void process_kill(pid_t pid);
unsigned count_descriptors(void);

/* Sends the log into a file from now on; whether it has the text. */
void log_capture(void);
bool log_has(const char *text);
