/*
 * Stuck disk: a file system on a disk that stops answering when the test says so
 *
 * ext4 on a loop device, on a file whose server, spoken to through /dev/fuse, is this program. While it
 * is held, the server leaves the next write or sync unanswered, and everything after it: whoever
 * waits for the disk waits in the kernel, in a sleep that no signal ends.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct stuck_disk {
    pid_t pid;
    int stuck;   /* readable when the server has something that it does not answer */
    int release; /* it goes on */
    struct stuck_disk_state *state;
};

/* Whether there are FUSE, loop devices and mkfs.ext4 here. */
bool stuck_disk_can_be(void);

/* Mounts it on @path, in the caller's mount namespace: one in each test. */
void stuck_disk_mount(struct stuck_disk *ret, const char *path);

void stuck_disk_hold(const struct stuck_disk *disk);
/* Until somebody waits for it. */
void stuck_disk_wait_stuck(const struct stuck_disk *disk);
void stuck_disk_release(const struct stuck_disk *disk);
