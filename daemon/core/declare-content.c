/*
 * Declarations: the content of a file, loaded as a new version of its region
 *
 * A worker looks at the file; if it is not the one that the region has been loaded from, a stage is
 * made for it, which the worker fills and the loop publishes. So nobody waits for the file, and
 * nobody sees half of it. A path belongs to users where it leads through their directories: no part
 * of it may be a symbolic link, which could lead the daemon to what only the daemon may read.
 */
#include "daemon/core/declare-private.h"

#include "daemon/core/copy.h"
#include "daemon/core/disk.h"
#include "daemon/core/durability.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAMP_MAX 96

struct load {
    struct job job; /* the first: a job is cast to it */
    LIST_ENTRY(load) link;
    struct declarations *declarations;
    const struct declared *declared; /* gone with its configuration once the load is cancelled */
    char *path;
    int to;
    struct stat status; /* of the file, as it was looked at */
    struct stage *stage;
    bool syncs;
    struct disk_wait *wait; /* NULL: for a worker, and not for the disk */
    struct error error;     /* of the worker */
};

static void load_free(struct load *load) {
    cleanup_stage_free(&load->stage);
    close_fd(&load->to);
    free(load->path);
    free(load);
}
DEFINE_CLEANUP(struct load *, load_free);

/* Which content it is, as far as a file tells that without being read. */
static void stamp_of(const struct stat *status, char ret[static STAMP_MAX]) {
    snprintf(ret, STAMP_MAX, "%llu %lld.%09ld %lld", (unsigned long long)status->st_ino,
             (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec,
             (long long)status->st_size);
}

/* The part of a path that is in the directory; -ELOOP if it is a symbolic link. */
static int open_part(int directory, const char *part, int flags) {
    struct stat status;
    int fd;

    do
        fd = openat(directory, part, flags | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return fd;
    if (errno == ENOTDIR && fstatat(directory, part, &status, AT_SYMLINK_NOFOLLOW) == 0)
        errno = S_ISLNK(status.st_mode) ? ELOOP : ENOTDIR;
    return -errno;
}

/* As openat2(2) would, which systemd's RestrictSUIDSGID= takes away. A file that waits for whoever writes to
 * it, as a FIFO does, is not waited for. */
static int open_file(const char *path) {
    _cleanup_free_ char *parts = strdup(path);
    char *state, *part = parts ? strtok_r(parts, "/", &state) : NULL, *next;
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (!parts || fd < 0) {
        close_fd(&fd);
        return parts ? -errno : -ENOMEM;
    }
    for (; part && fd >= 0; part = next) {
        _cleanup_close_ int directory = fd;

        next = strtok_r(NULL, "/", &state);
        fd = open_part(directory, part,
                       next ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY);
    }
    return fd;
}

/* Opened and closed by workers only: a file system may have either wait for ever. */
static int open_content(struct load *load, struct stat *ret) {
    _cleanup_close_ int fd = open_file(load->path);

    if (fd == -ELOOP)
        return error_set(&load->error, fd, "%s: a part of the path is a symbolic link", load->path);
    if (fd < 0)
        return error_set(&load->error, fd, "cannot open %s: %s", load->path, strerror(-fd));
    if (fstat(fd, ret) < 0)
        return error_set(&load->error, -errno, "cannot read %s: %s", load->path, strerror(errno));
    if (!S_ISREG(ret->st_mode))
        return error_set(&load->error, -EINVAL, "%s is not a regular file", load->path);
    return steal_fd(&fd);
}

static void look(struct job *job) {
    struct load *load = (struct load *)job;
    _cleanup_close_ int fd = open_content(load, &load->status);

    (void)fd;
}

static bool is_same(const struct stat *a, const struct stat *b) {
    char first[STAMP_MAX], second[STAMP_MAX];

    stamp_of(a, first);
    stamp_of(b, second);
    return strcmp(first, second) == 0;
}

/* What was written to while it was read may be half of this and half of that. */
static void copy(struct job *job) {
    struct load *load = (struct load *)job;
    struct stat before, after;
    _cleanup_close_ int from = open_content(load, &before);
    int r;

    if (from < 0)
        return;
    r = copy_content(from, load->to, (uint64_t)load->status.st_size, job, &load->error);
    if (r == -EUCLEAN || (r == 0 && (!is_same(&before, &load->status) || fstat(from, &after) < 0 ||
                                     !is_same(&after, &before))))
        r = error_set(&load->error, -EBUSY,
                      "%s was changed while it was read: it is left to the next reload",
                      load->path);
    if (r == 0 && load->syncs && fsync(load->to) < 0)
        error_set(&load->error, -errno, "cannot sync a segment: %s", strerror(errno));
}

static void forget(struct load *load) {
    struct declarations *declarations = load->declarations;

    LIST_REMOVE(load, link);
    load_free(load);
    declare_settle(declarations);
}

static void fail(struct load *load, const struct error *error) {
    declare_report(load->declarations, load->declared, DECLARED_CONTENT, "%s", error->text);
    forget(load);
}

/* Goes on with @next when the disk has answered. */
static void await_disk(struct load *load, void (*next)(void *data)) {
    struct error error;
    int r = manager_await_disk(load->declarations->manager, next, load, &load->wait);

    if (r == 0)
        return;
    error_set(&error, r, "cannot start a worker: %s", strerror(-r));
    fail(load, &error);
}

static void publish(void *data) {
    struct load *load = data;
    struct manager *manager = load->declarations->manager;
    const struct declared *declared = load->declared;
    struct caller maker = declare_maker(load->declared);
    bool is_new = load->stage->region_id == 0;
    struct region *region;
    char stamp[STAMP_MAX];
    struct error error;
    uint32_t version;

    load->wait = NULL;
    load->stage->segment->synced = load->syncs;
    if (manager_publish(manager, &maker, steal_pointer(load->stage), 0, &version, &error) < 0) {
        fail(load, &error);
        return;
    }
    region = manager_lookup(manager, declared->name);
    stamp_of(&load->status, stamp);
    declare_remember(load->declarations, region, declared, is_new ? declared->keys : NULL, stamp);
    declare_keys(load->declarations, region, declared, DECLARE_CONTENT);
    forget(load);
}

static void on_copied(struct job *job) {
    struct load *load = (struct load *)job;

    if (job_is_cancelled(job))
        load_free(load);
    else if (load->error.code < 0)
        fail(load, &load->error);
    else if (load->stage->segment->backing == BACKING_FILE &&
             disk_check(load->declarations->manager->places.disk, NULL) < 0)
        await_disk(load, publish);
    else
        publish(load);
}

/* A stage for the file: as large as it is, or larger if that is declared. */
static int make_stage(struct load *load, struct error *error) {
    struct manager *manager = load->declarations->manager;
    struct region_spec spec = declare_spec(load->declared);
    struct caller maker = declare_maker(load->declared);
    uint64_t size = (uint64_t)load->status.st_size;
    const struct region *region = manager_lookup(manager, load->declared->name);
    int r;

    if (spec.size == 0)
        spec.size = size;
    if (size > spec.size)
        return error_set(error, -EFBIG,
                         "%s has %" PRIu64 " bytes, and the region is to have %" PRIu64, load->path,
                         size, spec.size);
    r = manager_stage(manager, &maker, &spec, &load->stage, error);
    if (r < 0)
        return r;
    load->to = segment_open(load->stage->segment, O_RDWR, error);
    load->syncs =
        (region ? region->durability : durability_of(&spec, load->stage->segment->backing)) ==
        DURABILITY_PUBLISH;
    return load->to < 0 ? load->to : 0;
}

static int start(struct load *load, struct error *error) {
    struct declarations *declarations = load->declarations;
    int r = declarations->workers
                ? 0
                : workers_new(declarations->manager->base, &declarations->workers);

    if (r == 0)
        r = workers_start(declarations->workers, &load->job);
    return r < 0 ? error_set(error, r, "cannot start a worker: %s", strerror(-r)) : 0;
}

static void stage_and_copy(void *data) {
    struct load *load = data;
    struct error error;
    int r = make_stage(load, &error);

    load->wait = NULL;
    load->job.run = copy;
    load->job.done = on_copied;
    if (r == 0)
        r = start(load, &error);
    if (r == -EINPROGRESS)
        await_disk(load, stage_and_copy);
    else if (r < 0)
        fail(load, &error);
}

static void on_looked(struct job *job) {
    struct load *load = (struct load *)job;
    struct region *region;
    char stamp[STAMP_MAX];

    if (job_is_cancelled(job)) {
        load_free(load);
        return;
    }
    region = manager_lookup(load->declarations->manager, load->declared->name);
    stamp_of(&load->status, stamp);
    if (!declare_may_change(load->declarations, region, load->declared)) {
        forget(load);
        return;
    }
    if (load->error.code == 0 && region && region->loaded && strcmp(region->loaded, stamp) == 0) {
        declare_keys(load->declarations, region, load->declared, DECLARE_CONTENT);
        forget(load);
        return;
    }
    if (load->error.code < 0)
        fail(load, &load->error);
    else
        stage_and_copy(load);
}

static int begin(struct declarations *declarations, const struct declared *declared,
                 struct error *error) {
    _cleanup_(cleanup_load_free) struct load *load = calloc(1, sizeof(*load));
    int r;

    if (!load)
        return error_set(error, -ENOMEM, "no memory");
    *load = (struct load){
        .job = {.run = look, .done = on_looked},
        .declarations = declarations,
        .declared = declared,
        .path = strdup(declared->content),
        .to = -1,
    };
    if (!load->path)
        return error_set(error, -ENOMEM, "no memory");
    r = start(load, error);
    if (r < 0)
        return r;
    LIST_INSERT_HEAD(&declarations->loads, load, link);
    steal_pointer(load);
    return 0;
}

void declare_load(struct declarations *declarations, const struct declared *declared) {
    struct error error;

    if (begin(declarations, declared, &error) < 0)
        declare_report(declarations, declared, DECLARED_CONTENT, "%s", error.text);
}

unsigned declarations_n_loading(const struct declarations *declarations) {
    unsigned count = declarations->wait ? 1 : 0;
    const struct load *load;

    LIST_FOREACH (load, &declarations->loads, link)
        count++;
    return count;
}

void declare_cancel_loads(struct declarations *declarations) {
    struct load *load;

    while ((load = LIST_FIRST(&declarations->loads))) {
        LIST_REMOVE(load, link);
        job_cancel(&load->job);
        /* What it is charged is free for the next one, whenever the worker comes back. */
        if (load->stage)
            stage_free(steal_pointer(load->stage));
        if (load->wait) {
            disk_wait_cancel(load->wait);
            load_free(load);
        }
    }
}
