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
    int fd;
    int result;
    void (*ended)(void *data, const struct error *error);
    void *data;
};

static void run(struct job *job) {
    struct flush *flush = (struct flush *)job;

    flush->result = fsync(flush->fd) < 0 ? -errno : 0;
}

static void on_done(struct job *job) {
    struct flush *flush = (struct flush *)job;
    struct error error = {0};

    if (flush->result < 0)
        error_set(&error, flush->result, "cannot sync a segment: %s", strerror(-flush->result));
    if (!job_is_cancelled(job))
        flush->ended(flush->data, &error);
    close_fd(&flush->fd);
    free(flush);
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

int manager_flush_stage(struct manager *manager, const struct client *client, uint64_t stage_id,
                        void (*ended)(void *data, const struct error *error), void *data,
                        struct flush **ret, struct error *error) {
    const struct stage *stage = client_find_stage(client, stage_id);
    _cleanup_free_ struct flush *flush = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    *ret = NULL;
    if (!stage || !is_needed(stage))
        return 0;
    fd = segment_open(stage->segment, O_RDONLY, error);
    if (fd < 0)
        return fd;
    flush = malloc(sizeof(*flush));
    if (!flush)
        return error_set(error, -ENOMEM, "no memory for a flush");
    *flush = (struct flush){
        .job = {.run = run, .done = on_done},
        .fd = fd,
        .ended = ended,
        .data = data,
    };
    r = workers_start(manager->disk_workers, &flush->job);
    if (r < 0)
        return error_set(error, r, "cannot start a worker: %s", strerror(-r));
    steal_fd(&fd);
    *ret = steal_pointer(flush);
    return 0;
}
