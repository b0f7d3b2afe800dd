/*
 * Flush: see flush.h.
 */
#include "daemon/core/flush.h"

#include "daemon/core/durability.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct flush {
    struct job job; /* the first: a job is cast to it */
    struct disk *disk;
    struct segment *segment; /* kept, whatever becomes of its stage */
    int fd;
    int result;
    void (*ended)(void *data, const struct error *error);
    void *data;
};

static void flush_free(struct flush *flush) {
    segment_unref(flush->segment);
    close_fd(&flush->fd);
    free(flush);
}
DEFINE_CLEANUP(struct flush *, flush_free);

static void run(struct job *job) {
    struct flush *flush = (struct flush *)job;

    flush->result = fsync(flush->fd) < 0 ? -errno : 0;
}

static void on_done(struct job *job) {
    _cleanup_(cleanup_flush_free) struct flush *flush = (struct flush *)job;
    struct error error = {0};

    if (flush->result < 0)
        error_set(&error, flush->result, "cannot sync a segment: %s", strerror(-flush->result));
    if (job_is_cancelled(job))
        return;
    flush->segment->synced = error.code == 0;
    disk_enter(flush->disk);
    flush->ended(flush->data, &error);
    disk_leave(flush->disk);
}

void flush_cancel(struct flush *flush) {
    job_cancel(&flush->job);
}

static bool is_needed(const struct stage *stage) {
    const struct region *region = manager_lookup(stage->manager, stage->spec.name);

    if (stage->segment->backing != BACKING_FILE)
        return false;
    return (region ? region->durability : durability_of(&stage->spec, BACKING_FILE)) ==
           DURABILITY_PUBLISH;
}

int flush_stage(const struct stage *stage, void (*ended)(void *data, const struct error *error),
                void *data, struct flush **ret, struct error *error) {
    _cleanup_(cleanup_flush_free) struct flush *flush = NULL;
    struct disk *disk = stage->manager->places.disk;
    int r;

    *ret = NULL;
    if (!is_needed(stage))
        return 0;
    flush = malloc(sizeof(*flush));
    if (!flush)
        return error_set(error, -ENOMEM, "no memory for a flush");
    *flush = (struct flush){
        .job = {.run = run, .done = on_done},
        .disk = disk,
        .segment = segment_ref(stage->segment),
        .fd = segment_open(stage->segment, O_RDONLY, error),
        .ended = ended,
        .data = data,
    };
    if (flush->fd < 0)
        return flush->fd;
    r = disk_start(disk, &flush->job);
    if (r < 0)
        return error_set(error, r, "cannot start a worker: %s", strerror(-r));
    *ret = steal_pointer(flush);
    return 0;
}
