/*
 * Disk: see disk.h.
 */
#include "daemon/core/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk {
    struct workers *workers;
    bool answers; /* it has just done so */
};

struct disk_wait {
    struct job job; /* the first: a job is cast to it */
    struct disk *disk;
    int directory;
    void (*answered)(void *data);
    void *data;
};

int disk_new(struct event_base *base, struct disk **ret) {
    _cleanup_(cleanup_disk_free) struct disk *disk = calloc(1, sizeof(*disk));
    int r;

    if (!disk)
        return -ENOMEM;
    r = workers_new(base, &disk->workers);
    if (r == 0)
        *ret = steal_pointer(disk);
    return r;
}

void disk_free(struct disk *disk) {
    /* What was asked of the workers is given up, whether they are stuck or not. */
    disk->answers = true;
    cleanup_workers_free(&disk->workers);
    free(disk);
}

int disk_start(struct disk *disk, struct job *job) {
    return workers_start(disk->workers, job);
}

int disk_check(const struct disk *disk, struct error *error) {
    if (disk->answers || !workers_are_busy(disk->workers))
        return 0;
    return error_set(error, -EINPROGRESS, "the disk has not answered an earlier request yet");
}

void disk_enter(struct disk *disk) {
    disk->answers = true;
}

void disk_leave(struct disk *disk) {
    disk->answers = false;
}

/* Without a change there might be nothing to ask the disk. Whether it could be synced is told by
 * whoever goes there next. */
static void ask(struct job *job) {
    const struct disk_wait *wait = (struct disk_wait *)job;

    if (futimens(wait->directory, NULL) == 0)
        fsync(wait->directory);
}

static void on_done(struct job *job) {
    struct disk_wait *wait = (struct disk_wait *)job;

    if (!job_is_cancelled(job)) {
        disk_enter(wait->disk);
        wait->answered(wait->data);
        disk_leave(wait->disk);
    }
    free(wait);
}

int disk_await(struct disk *disk, int directory, void (*answered)(void *data), void *data,
               struct disk_wait **ret) {
    _cleanup_free_ struct disk_wait *wait = malloc(sizeof(*wait));
    int r;

    if (!wait)
        return -ENOMEM;
    *wait = (struct disk_wait){
        .job = {.run = ask, .done = on_done},
        .disk = disk,
        .directory = directory,
        .answered = answered,
        .data = data,
    };
    r = disk_start(disk, &wait->job);
    if (r == 0)
        *ret = steal_pointer(wait);
    return r;
}

void disk_wait_cancel(struct disk_wait *wait) {
    job_cancel(&wait->job);
}
