/*
 * Manager, the memory of a version: it grows in place for whoever has it, and once it is sealed
 * nobody writes to it; on any error nothing has changed.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"

#define SIZE 5000u
#define MAX_SIZE UINT64_C(20000)

static struct world world;

static struct region *make(const char *name, enum backing backing) {
    struct region_spec spec = world_spec(name);

    spec.backing = backing;
    spec.size = SIZE;
    spec.max_size = MAX_SIZE;
    return world_create(&world, WORLD_UID, &spec);
}

static struct region *find(const char *name) {
    struct region *region = manager_lookup(world.manager, name);

    ck_assert_ptr_nonnull(region);
    return region;
}

static int resize(const char *name, uint64_t size, struct error *error) {
    struct caller owner = world_caller(WORLD_UID);

    return manager_resize(world.manager, &owner, name, size, error);
}

static int seal(const char *name, struct error *error) {
    struct caller owner = world_caller(WORLD_UID);

    return manager_seal(world.manager, &owner, name, error);
}

static void expect_error(int r, int code, const struct error *error, const char *words) {
    ck_assert_int_eq(r, code);
    ck_assert_msg(strstr(error->text, words) != NULL, "'%s' says nothing of '%s'", error->text,
                  words);
}

static off_t size_in_kernel(const struct region *region) {
    _cleanup_close_ int fd = segment_open(region->segment, O_RDONLY, NULL);
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return status.st_size;
}

static int seals_of(const struct region *region) {
    _cleanup_close_ int fd = segment_open(region->segment, O_RDONLY, NULL);

    return fcntl(fd, F_GET_SEALS);
}

/* A record that cannot be written; the attributes to put back. */
static char *spoil(struct region *region) {
    char *attributes = region->attributes;

    region->attributes = "\xff";
    return attributes;
}

#define EACH_BACKING(backing)                                                                      \
    enum backing backing = BACKING_SHM;                                                            \
    backing <= BACKING_FILE;                                                                       \
    backing++

START_TEST(it_grows_under_whoever_has_it_mapped) {
    world_init(&world);
    for (EACH_BACKING(backing)) {
        struct region *region = make(backing_to_word(backing), backing);
        _cleanup_close_ int fd = segment_open(region->segment, O_RDWR, NULL);
        char *map = mmap(NULL, MAX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        uint32_t slot_version = region->slot_version;

        ck_assert_ptr_ne(map, MAP_FAILED);
        ck_assert_int_eq(resize(region->name, MAX_SIZE - 1, NULL), 0);
        ck_assert_uint_eq(region->segment->size, MAX_SIZE - 1);
        ck_assert_int_eq(map[MAX_SIZE - 2], 0);
        map[MAX_SIZE - 2] = 'x';
        ck_assert_uint_eq(region->slot_version, slot_version + 1);
        ck_assert_int_eq(resize(region->name, MAX_SIZE, NULL), 0);
        ck_assert_int_eq(map[MAX_SIZE - 2], 'x');
        ck_assert_uint_eq(region->segment->version, 1);
        munmap(map, MAX_SIZE);
        /* Nothing to do, and nothing is told. */
        ck_assert_int_eq(resize(region->name, MAX_SIZE, NULL), 0);
        ck_assert_uint_eq(region->slot_version, slot_version + 2);
    }
    world_expect_usage(&world, 3, 3 * MAX_SIZE, 0, 0);
    world_restart(&world);
    ck_assert_uint_eq(find("shm")->segment->size, MAX_SIZE);
    ck_assert_uint_eq(find("file")->segment->size, MAX_SIZE);
    world_deinit(&world);
}
END_TEST

/* Whoever waits for a size sees none until it is the whole. */
START_TEST(it_grows_from_nothing) {
    static const enum backing backings[] = {BACKING_SHM, BACKING_FILE};

    world_init(&world);
    for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
        struct region_spec spec = world_spec(backing_to_word(backings[i]));
        struct region *region;

        spec.backing = backings[i];
        spec.size = 0;
        spec.max_size = MAX_SIZE;
        region = world_create(&world, WORLD_UID, &spec);
        ck_assert_int_eq(size_in_kernel(region), 0);
    }
    world_expect_usage(&world, 2, 2 * MAX_SIZE, 0, 0);
    world_restart(&world);
    for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
        struct region *region = find(backing_to_word(backings[i]));

        ck_assert_uint_eq(region->segment->size, 0);
        ck_assert_int_eq(resize(region->name, 0, NULL), 0);
        ck_assert_int_eq(size_in_kernel(region), 0);
        ck_assert_int_eq(resize(region->name, SIZE, NULL), 0);
        ck_assert_int_eq(size_in_kernel(region), SIZE);
        ck_assert_uint_eq(region->segment->version, 1);
    }
    world_restart(&world);
    ck_assert_uint_eq(find("shm")->segment->size, SIZE);
    ck_assert_uint_eq(find("file")->segment->size, SIZE);
    world_deinit(&world);
}
END_TEST

START_TEST(it_grows_up_to_its_maximum_by_who_manages_it) {
    struct caller other = world_caller(OTHER_UID);
    struct error error;

    world_init(&world);
    make("region", BACKING_SHM);
    expect_error(resize("region", SIZE - 1, &error), -EINVAL, &error, "does not shrink: publish");
    expect_error(resize("region", 0, &error), -EINVAL, &error, "does not shrink");
    expect_error(resize("region", MAX_SIZE + 1, &error), -EINVAL, &error,
                 "its max_size: not 20001");
    expect_error(resize("region", UINT64_MAX, &error), -EINVAL, &error,
                 "20000 bytes, its max_size");
    expect_error(resize("nothing", SIZE, &error), -ENOENT, &error, "'nothing'");
    expect_error(manager_resize(world.manager, &other, "region", MAX_SIZE, &error), -EACCES, &error,
                 "the right 'm'");
    ck_assert_int_eq(seal("region", NULL), 0);
    expect_error(resize("region", MAX_SIZE, &error), -EPERM, &error,
                 "version 1 of region 'region' is sealed");
    ck_assert_uint_eq(find("region")->segment->size, SIZE);
    ck_assert_int_eq(size_in_kernel(find("region")), SIZE);
    world_deinit(&world);
}
END_TEST

START_TEST(what_cannot_be_recorded_has_not_happened) {
    world_init(&world);
    for (EACH_BACKING(backing)) {
        struct region *region = make(backing_to_word(backing), backing);
        uint32_t slot_version = region->slot_version;
        int seals = seals_of(region);
        char *attributes = spoil(region);

        ck_assert_int_lt(resize(region->name, MAX_SIZE, NULL), 0);
        ck_assert_int_lt(seal(region->name, NULL), 0);
        region->attributes = attributes;
        ck_assert_uint_eq(region->segment->size, SIZE);
        ck_assert(!region->segment->sealed);
        ck_assert_int_eq(seals_of(region), seals);
        ck_assert_uint_eq(region->slot_version, slot_version);
        ck_assert_int_eq(resize(region->name, SIZE + 1, NULL), 0);
        ck_assert_int_eq(seal(region->name, NULL), 0);
    }
    world_deinit(&world);
}
END_TEST

/* A kill after the memory grew, and before that was recorded. */
START_TEST(memory_that_is_larger_than_recorded_is_taken) {
    log_capture();
    world_init(&world);
    ck_assert_int_eq(segment_grow(make("shm", BACKING_SHM)->segment, 9000, NULL), 0);
    ck_assert_int_eq(segment_grow(make("file", BACKING_FILE)->segment, MAX_SIZE, NULL), 0);
    world_restart(&world);
    ck_assert(!log_has("resized"));
    ck_assert_uint_eq(find("shm")->segment->size, SIZE);
    ck_assert_int_eq(resize("shm", 6000, NULL), 0);
    ck_assert_int_eq(size_in_kernel(find("shm")), 9000);
    ck_assert_int_eq(resize("file", MAX_SIZE, NULL), 0);
    ck_assert_uint_eq(find("file")->segment->size, MAX_SIZE);
    world_deinit(&world);
}
END_TEST

static int try_attach(struct client *client, const char *name, uint32_t access,
                      struct error *error) {
    struct attachment *attachment;
    struct attachment_fds fds;
    int r = manager_attach(world.manager, client, name, access, &attachment, &fds, error);

    if (r == 0) {
        attachment_fds_close(&fds);
        ck_assert_int_eq(manager_detach(world.manager, client, attachment->id, NULL), 0);
    }
    return r;
}

START_TEST(writers_keep_it_from_being_sealed) {
    struct attachment *first, *second;
    struct client *client;
    struct error error;

    world_init(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    for (EACH_BACKING(backing)) {
        const struct region *region = make(backing_to_word(backing), backing);

        world_attach(client, region->name, RIGHT_READ);
        first = world_attach(client, region->name, RIGHT_WRITE);
        second = world_attach(client, region->name, RIGHT_WRITE);
        expect_error(seal(region->name, &error), -EBUSY, &error, "it has 2 writers, process ");
        ck_assert_int_eq(manager_detach(world.manager, client, first->id, NULL), 0);
        expect_error(seal(region->name, &error), -EBUSY, &error, "it has 1 writer, process ");
        ck_assert_int_eq(try_attach(client, region->name, RIGHT_WRITE, NULL), 0);
        ck_assert_int_eq(manager_detach(world.manager, client, second->id, NULL), 0);
        ck_assert_int_eq(seal(region->name, NULL), 0);
        ck_assert_int_eq(try_attach(client, region->name, RIGHT_READ, NULL), 0);
        expect_error(try_attach(client, region->name, RIGHT_WRITE, &error), -EPERM, &error,
                     "is sealed");
    }
    world_deinit(&world);
}
END_TEST

START_TEST(only_who_manages_it_seals_it_and_only_once) {
    struct caller other = world_caller(OTHER_UID);
    struct error error;
    uint32_t slot_version;
    struct region *region;

    world_init(&world);
    region = make("region", BACKING_MEMFD);
    slot_version = region->slot_version;
    expect_error(manager_seal(world.manager, &other, "region", &error), -EACCES, &error,
                 "the right 'm'");
    expect_error(seal("nothing", &error), -ENOENT, &error, "'nothing'");
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(seal("region", NULL), 0);
        ck_assert_uint_eq(region->slot_version, slot_version + 1);
    }
    ck_assert(status_slot_flags(world.manager->status, region->slot) & SLOT_SEALED);
    world_deinit(&world);
}
END_TEST

START_TEST(the_next_version_is_not_sealed) {
    struct attachment *writer;
    struct client *client;
    struct region *region;

    world_init(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    region = make("region", BACKING_SHM);
    ck_assert_int_eq(seal("region", NULL), 0);
    world_put(&world, WORLD_UID, "region", "second");
    ck_assert(!region->segment->sealed);
    ck_assert(!(status_slot_flags(world.manager->status, region->slot) & SLOT_SEALED));
    writer = world_attach(client, "region", RIGHT_WRITE);
    world_put(&world, WORLD_UID, "region", "third");
    /* Who writes to the second is none of the third's business. */
    ck_assert_int_eq(seal("region", NULL), 0);
    ck_assert_uint_eq(writer->segment->version, 2);
    world_deinit(&world);
}
END_TEST

START_TEST(a_seal_outlives_the_daemon) {
    struct error error;
    struct client *client;

    world_init(&world);
    make("shm", BACKING_SHM);
    make("file", BACKING_FILE);
    ck_assert_int_eq(seal("shm", NULL), 0);
    ck_assert_int_eq(seal("file", NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        world_restart(&world);
        client = world_client(&world, WORLD_UID, getpid(), 1);
        expect_error(try_attach(client, "shm", RIGHT_WRITE, &error), -EPERM, &error, "sealed");
        expect_error(try_attach(client, "file", RIGHT_WRITE, &error), -EPERM, &error, "sealed");
        ck_assert(status_slot_flags(world.manager->status, find("shm")->slot) & SLOT_SEALED);
    }
    world_put(&world, WORLD_UID, "shm", "next");
    world_restart(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    ck_assert_int_eq(try_attach(client, "shm", RIGHT_WRITE, NULL), 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_memfd_is_sealed_by_the_kernel) {
    struct region *region;
    struct error error;
    int fd;

    world_init(&world);
    region = make("region", BACKING_MEMFD);
    fd = segment_open(region->segment, O_RDWR, NULL);
    ck_assert_int_eq(seal("region", NULL), 0);
    ck_assert_int_eq(seals_of(region), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ck_assert_int_lt(segment_write(region->segment, 0, "x", 1, &error), 0);
    close(fd);
    world_deinit(&world);
}
END_TEST

START_TEST(a_memfd_that_is_still_mapped_for_writing_is_not_sealed) {
    struct region *region;
    struct error error;
    uint32_t slot_version;
    char *map;
    int fd;

    world_init(&world);
    region = make("region", BACKING_MEMFD);
    slot_version = region->slot_version;
    fd = segment_open(region->segment, O_RDWR, NULL);
    map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    expect_error(seal("region", &error), -EBUSY, &error, "has kept it mapped");
    ck_assert(!region->segment->sealed);
    ck_assert_uint_eq(region->slot_version, slot_version);
    *map = 'x';
    munmap(map, SIZE);
    ck_assert_int_eq(seal("region", NULL), 0);
    close(fd);
    world_deinit(&world);
}
END_TEST

struct listener {
    struct observer observer;
    char reasons[128];
};

static void note(struct observer *observer, enum region_event event, const struct region *region,
                 const char *reason) {
    struct listener *listener = (struct listener *)observer;

    (void)region;
    ck_assert_int_eq(event, REGION_CHANGED);
    strcat(strcat(listener->reasons, reason), ";");
}

START_TEST(it_is_told_and_logged) {
    struct listener listener = {.observer.notice = note};

    log_capture();
    world_init(&world);
    make("region", BACKING_SHM);
    manager_observe(world.manager, &listener.observer);
    ck_assert_int_eq(resize("region", 6000, NULL), 0);
    ck_assert_int_eq(seal("region", NULL), 0);
    manager_unobserve(&listener.observer);
    ck_assert_str_eq(listener.reasons, "resized to 6000 bytes;sealed;");
    ck_assert(log_has("region 'region' changed by user 20001: resized to 6000 bytes"));
    ck_assert(log_has("region 'region' changed by user 20001: sealed"));
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("manager-memory", it_grows_under_whoever_has_it_mapped, it_grows_from_nothing,
           it_grows_up_to_its_maximum_by_who_manages_it, what_cannot_be_recorded_has_not_happened,
           memory_that_is_larger_than_recorded_is_taken, writers_keep_it_from_being_sealed,
           only_who_manages_it_seals_it_and_only_once, the_next_version_is_not_sealed,
           a_seal_outlives_the_daemon, a_memfd_is_sealed_by_the_kernel,
           a_memfd_that_is_still_mapped_for_writing_is_not_sealed, it_is_told_and_logged);
