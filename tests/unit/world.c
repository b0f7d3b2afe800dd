/*
 * World: see world.h.
 */
#include "tests/unit/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/core/segment.h"
#include "daemon/ground/log.h"

#define DEADLINE_SECONDS 20
#define LOG_MAX 65536

static void no_limits(struct limits *limits) {
    for (size_t i = 0; i < LIMIT_KIND_COUNT; i++)
        limits->most[i] = LIMIT_NONE;
}

void world_init(struct world *world) {
    static struct namespace everything = {.prefix = (char *)NAMESPACE_EVERYTHING, .anyone = true};

    *world = (struct world){.config = {
                                .default_backing = BACKING_SHM,
                                .namespaces = &everything,
                                .n_namespaces = 1,
                                .timeouts = {.hello = 60, .request = 60, .reply = 60},
                            }};
    no_limits(&world->config.total);
    no_limits(&world->config.user);
    no_limits(&world->config.unit);
    strcpy(world->directory, "/tmp/shmreg-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->directory));
    snprintf(world->runtime, sizeof(world->runtime), "%s/run", world->directory);
    snprintf(world->state, sizeof(world->state), "%s/state", world->directory);
    ck_assert_int_eq(mkdir(world->runtime, 0755), 0);
    ck_assert_int_eq(mkdir(world->state, 0700), 0);
    world->base = event_base_new();
    ck_assert_ptr_nonnull(world->base);
    world_start(world);
}

void world_start(struct world *world) {
    const struct manager_options options = {
        .base = world->base,
        .config = &world->config,
        .runtime_directory = world->runtime,
        .state_directory = world->state,
        .fdstore = &world->fdstore,
    };
    struct error error = {0};
    int r = manager_new(&options, &world->manager, &error);

    ck_assert_msg(r == 0, "manager_new: %d: %s", r, error.text);
}

void world_stop(struct world *world) {
    manager_free(world->manager);
    world->manager = NULL;
}

void world_restart(struct world *world) {
    world_stop(world);
    world_start(world);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int destroy_first(void *data, struct region *region) {
    *(struct region **)data = region;
    return 1;
}

void world_deinit(struct world *world) {
    struct caller root = {.administrator = true};
    struct region *region;

    while (manager_each_region(world->manager, destroy_first, &region))
        ck_assert_int_eq(manager_destroy(world->manager, &root, region->name, NULL), 0);
    world_expect_segments(world, 0, 0);
    world_stop(world);
    event_base_free(world->base);
    ck_assert_int_eq(nftw(world->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void on_deadline(int fd, short what, void *data) {
    (void)fd;
    (void)what;
    *(bool *)data = true;
}

void world_wait(struct world *world, bool (*condition)(struct world *world, void *data),
                void *data) {
    const struct timeval deadline = {.tv_sec = DEADLINE_SECONDS};
    bool late = false;
    struct event *timer = evtimer_new(world->base, on_deadline, &late);

    ck_assert_ptr_nonnull(timer);
    ck_assert_int_eq(event_add(timer, &deadline), 0);
    while (!condition(world, data)) {
        ck_assert_msg(!late, "what the test waits for has not happened");
        ck_assert_int_eq(event_base_loop(world->base, EVLOOP_ONCE), 0);
    }
    event_free(timer);
}

static bool is_gone(struct world *world, void *name) {
    return !world_has(world, name);
}

void world_wait_gone(struct world *world, const char *name) {
    world_wait(world, is_gone, (void *)name);
}

void world_settle(struct world *world) {
    ck_assert_int_ge(event_base_loop(world->base, EVLOOP_NONBLOCK), 0);
}

struct caller world_caller(uid_t uid) {
    return (struct caller){.uid = uid, .gid = uid, .pid = getpid(), .administrator = uid == 0};
}

struct client *world_client(struct world *world, uid_t uid, pid_t pid, uint64_t id) {
    struct caller caller = world_caller(uid);
    struct client *client = NULL;
    struct error error = {0};
    int r;

    caller.pid = pid ? pid : process_spawn();
    r = manager_add_client(world->manager, &caller, -1, &client, &error);
    ck_assert_msg(r == 0, "manager_add_client: %d: %s", r, error.text);
    manager_identify_client(world->manager, client, id);
    return client;
}

struct region_spec world_spec(const char *name) {
    return (struct region_spec){
        .name = name,
        .size = 4096,
        .mode = DEFAULT_MODE,
        .acl = "",
        .attributes = "",
    };
}

struct region *world_create(struct world *world, uid_t uid, const struct region_spec *spec) {
    struct caller caller = world_caller(uid);
    struct region *region = NULL;
    struct error error = {0};
    int r = manager_create(world->manager, &caller, NULL, spec, &region, &error);

    ck_assert_msg(r == 0, "manager_create: %d: %s", r, error.text);
    return region;
}

bool world_has(struct world *world, const char *name) {
    struct caller root = world_caller(0);
    struct region *region;

    return manager_find(world->manager, &root, name, &region, NULL) == 0;
}

void attachment_fds_close(struct attachment_fds *fds) {
    ck_assert_int_ge(fds->segment, 0);
    close_fd(&fds->segment);
    close_fd(&fds->sync_block);
}

struct attachment *world_attach(struct client *client, const char *name, uint32_t access) {
    struct attachment *attachment = NULL;
    struct attachment_fds fds;
    struct error error = {0};
    int r = manager_attach(client->manager, client, name, access, &attachment, &fds, &error);

    ck_assert_msg(r == 0, "manager_attach: %d: %s", r, error.text);
    attachment_fds_close(&fds);
    return attachment;
}

struct attachment *world_create_attached(struct client *client, const struct region_spec *spec) {
    struct attachment *attachment = NULL;
    struct error error = {0};
    struct attachment_fds fds;
    bool created;
    int r;

    r = manager_create_and_attach(client->manager, client, spec, false, RIGHT_WRITE, &attachment,
                                  &fds, &created, &error);
    ck_assert_msg(r == 0, "manager_create_and_attach: %d: %s", r, error.text);
    ck_assert(created);
    attachment_fds_close(&fds);
    return attachment;
}

void world_put(struct world *world, uid_t uid, const char *name, const char *text) {
    struct caller caller = world_caller(uid);
    struct error error = {0};
    uint32_t version;
    int r = manager_put(world->manager, &caller, name, text, strlen(text), DEFAULT_MODE, &version,
                        &error);

    ck_assert_msg(r == 0, "manager_put: %d: %s", r, error.text);
}

void world_expect_content(struct world *world, const char *name, const char *text) {
    struct caller root = world_caller(0);
    struct segment *segment = NULL;
    struct error error = {0};
    char content[128];
    int r = manager_read(world->manager, &root, name, &segment, &error);

    ck_assert_msg(r == 0, "manager_read: %d: %s", r, error.text);
    ck_assert_uint_ge(segment->size, strlen(text));
    r = segment_read(segment, 0, content, strlen(text), &error);
    ck_assert_msg(r == 0, "segment_read: %d: %s", r, error.text);
    ck_assert_mem_eq(content, text, strlen(text));
    segment_unref(segment);
}

void world_expect_usage(struct world *world, uint64_t regions, uint64_t bytes, uint64_t attachments,
                        uint64_t connections) {
    const struct quota *quota = manager_quota(world->manager);

    ck_assert_uint_eq(quota_used(quota, LIMIT_REGIONS), regions);
    ck_assert_uint_eq(quota_used(quota, LIMIT_BYTES), bytes);
    ck_assert_uint_eq(quota_used(quota, LIMIT_ATTACHMENTS), attachments);
    ck_assert_uint_eq(quota_used(quota, LIMIT_CONNECTIONS), connections);
}

static int count_segments(const char *directory, const char *instance) {
    _cleanup_closedir_ DIR *stream = opendir(directory);
    const struct dirent *entry;
    char prefix[64];
    int count = 0;

    ck_assert_ptr_nonnull(stream);
    snprintf(prefix, sizeof(prefix), "shmreg.%s.", instance);
    while ((entry = readdir(stream)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    return count;
}

void world_expect_segments(struct world *world, int shm, int files) {
    char directory[WORLD_PATH_MAX + 32];

    snprintf(directory, sizeof(directory), "%s/segments", world->state);
    ck_assert_int_eq(count_segments("/dev/shm", manager_instance(world->manager)), shm);
    ck_assert_int_eq(count_segments(directory, manager_instance(world->manager)), files);
}

pid_t process_spawn(void) {
    pid_t parent = getpid(), pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent)
        pause();
    _exit(0);
}

void process_kill(pid_t pid) {
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

unsigned count_descriptors(void) {
    _cleanup_closedir_ DIR *stream = opendir("/proc/self/fd");
    unsigned count = 0;

    ck_assert_ptr_nonnull(stream);
    while (readdir(stream))
        count++;
    return count;
}

void log_capture(void) {
    int fd = memfd_create("log", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    close(fd);
    log_open(true);
}

bool log_has(const char *text) {
    static char log[LOG_MAX];
    ssize_t size = pread(STDERR_FILENO, log, sizeof(log) - 1, 0);

    ck_assert_int_ge(size, 0);
    log[size] = '\0';
    return strstr(log, text) != NULL;
}
