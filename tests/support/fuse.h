/*
 * FUSE: a file system whose server never answers when a file is closed
 *
 * Spoken directly at /dev/fuse: one readable file, "file", of FUSE_FILE_SIZE bytes. close(2) of a
 * descriptor of it waits for the server's answer to FLUSH, in a sleep that no signal ends.
 */
#pragma once

#include <sys/types.h>

#define FUSE_FILE_SIZE 10000

struct fuse_server {
    pid_t pid;
    char directory[64];
};

/* Mounts it in the caller's mount namespace. 0 or a negative errno when there is no FUSE here. */
int fuse_start(struct fuse_server *ret);
/* Whoever waits for an answer goes on. */
void fuse_stop(struct fuse_server *server);

/* Another descriptor of the file, O_RDONLY. */
int fuse_open(const struct fuse_server *server);
