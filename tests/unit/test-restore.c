/*
 * Restore and sweep: records that are broken or contradict what is there, memory that is gone or
 * not the daemon's, memfds with and without a service manager that keeps them, leftovers.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"
#include "proto/packet.h"

#define SEGMENT_PATH_MAX 256

static void segment_path(const struct world *world, const struct region *region,
                         char ret[static SEGMENT_PATH_MAX]) {
    char name[SEGMENT_NAME_MAX];

    segment_name(region->segment, name);
    if (region->segment->backing == BACKING_FILE)
        snprintf(ret, SEGMENT_PATH_MAX, "%s/segments/%s", world->state, name);
    else
        snprintf(ret, SEGMENT_PATH_MAX, "/dev/shm/%s", name);
}

static int count_files(const char *directory, const char *prefix) {
    _cleanup_closedir_ DIR *stream = opendir(directory);
    const struct dirent *entry;
    int count = 0;

    while (stream && (entry = readdir(stream)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    return count;
}

static int count_quarantined(const char *directory, const char *prefix) {
    char path[WORLD_PATH_MAX + 32];

    snprintf(path, sizeof(path), "%s/quarantine", directory);
    return count_files(path, prefix);
}

START_TEST(a_broken_record_is_set_aside_and_the_rest_goes_on) {
    static const char *const broken[] = {"", "{", "{}", "[1,2]", "\xff\xfe"};
    struct region_spec spec = world_spec("good");
    struct world world;

    log_capture();
    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        char key[32];

        snprintf(key, sizeof(key), "broken%zu", i);
        ck_assert_int_eq(
            registry_put(world.manager->volatile_registry, REGISTRY_REGIONS, key, broken[i], NULL),
            0);
        ck_assert_int_eq(
            registry_put(world.manager->volatile_registry, REGISTRY_HOLDERS, key, broken[i], NULL),
            0);
    }
    for (unsigned i = 0; i < 2; i++) {
        world_restart(&world);
        ck_assert(world_has(&world, "good"));
        ck_assert_int_eq(count_quarantined(world.runtime, "regions.broken"), 5);
        ck_assert_int_eq(count_quarantined(world.runtime, "holders.broken"), 5);
        world_expect_usage(&world, 1, 4096, 0, 0);
    }
    world_deinit(&world);
}
END_TEST

START_TEST(the_segment_of_a_broken_record_is_kept) {
    struct region_spec spec = world_spec("kept");
    char key[RECORD_KEY_MAX], command[WORLD_PATH_MAX + 64];
    struct world world;

    world_init(&world);
    region_record_key(world_create(&world, WORLD_UID, &spec)->id, key);
    ck_assert_int_eq(
        registry_put(world.manager->volatile_registry, REGISTRY_REGIONS, key, "{}", NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        world_restart(&world);
        ck_assert(!world_has(&world, "kept"));
        world_expect_segments(&world, 1, 0);
    }
    snprintf(command, sizeof(command), "rm -r %s/quarantine", world.runtime);
    ck_assert_int_eq(system(command), 0);
    world_restart(&world);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(two_records_of_one_name_are_one_region) {
    struct region_spec spec = world_spec("twice");
    struct region *region;
    struct world world;
    uint64_t id;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    id = region->id++;
    ck_assert_int_eq(manager_record(world.manager, region, NULL), 0);
    region->id = id;
    world_restart(&world);
    ck_assert(world_has(&world, "twice"));
    ck_assert_int_eq(count_quarantined(world.runtime, "regions."), 1);
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_region_whose_memory_is_gone_is_set_aside) {
    struct region_spec spec = world_spec("gone");
    char path[SEGMENT_PATH_MAX];
    struct world world;

    log_capture();
    world_init(&world);
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing += 2) {
        spec.backing = backing;
        segment_path(&world, world_create(&world, WORLD_UID, &spec), path);
        ck_assert_int_eq(unlink(path), 0);
        world_restart(&world);
        ck_assert(!world_has(&world, "gone"));
        ck_assert_int_eq(
            count_quarantined(backing == BACKING_FILE ? world.state : world.runtime, "regions."),
            1);
        world_expect_usage(&world, 0, 0, 0, 0);
    }
    ck_assert(log_has("region 'gone' is lost"));
    world_deinit(&world);
}
END_TEST

START_TEST(anothers_object_in_its_place_is_not_taken) {
    struct region_spec spec = world_spec("taken");
    char path[SEGMENT_PATH_MAX];
    struct world world;

    world_init(&world);
    segment_path(&world, world_create(&world, WORLD_UID, &spec), path);
    ck_assert_int_eq(chown(path, OTHER_UID, OTHER_UID), 0);
    world_restart(&world);
    ck_assert(!world_has(&world, "taken"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world_expect_segments(&world, 1, 0);
    ck_assert_int_eq(unlink(path), 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_region_that_a_writer_resized_goes_on_and_is_reported) {
    struct region_spec spec = world_spec("resized");
    char path[SEGMENT_PATH_MAX];
    struct world world;

    log_capture();
    world_init(&world);
    segment_path(&world, world_create(&world, WORLD_UID, &spec), path);
    ck_assert_int_eq(truncate(path, 10), 0);
    world_restart(&world);
    ck_assert(world_has(&world, "resized"));
    ck_assert(log_has("region 'resized': a writer resized it: it has 10 bytes"));
    world_deinit(&world);
}
END_TEST

START_TEST(a_memfd_without_a_service_manager_ends_with_the_daemon) {
    struct region_spec spec = world_spec("memfd");
    struct world world;

    unsetenv("NOTIFY_SOCKET");
    log_capture();
    world_init(&world);
    spec.backing = BACKING_MEMFD;
    world_create(&world, WORLD_UID, &spec);
    world_restart(&world);
    ck_assert(!world_has(&world, "memfd"));
    ck_assert(log_has("region 'memfd' is lost: its memfd ended with the last daemon"));
    ck_assert_int_eq(count_quarantined(world.runtime, "regions."), 0);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_restart(&world);
    world_deinit(&world);
}
END_TEST

/* The test is the service manager: a socket in $NOTIFY_SOCKET. */
static int listen_as_service_manager(const struct world *world) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", world->directory);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    return fd;
}

/* The descriptor of the segment that the service manager was given to keep. */
static int receive_kept(int manager, const char *name) {
    char message[512], expected[SEGMENT_NAME_MAX + 16];
    struct packet_fds fds;
    int size = packet_receive(manager, message, sizeof(message) - 1, &fds);

    ck_assert_int_gt(size, 0);
    message[size] = '\0';
    snprintf(expected, sizeof(expected), "FDNAME=%s", name);
    ck_assert_ptr_nonnull(strstr(message, "FDSTORE=1"));
    ck_assert_ptr_nonnull(strstr(message, expected));
    ck_assert_uint_eq(fds.count, 1);
    return fds.fd[0];
}

static void restart_with(struct world *world, char *name, int fd) {
    static struct stored_fd stored;

    world_stop(world);
    stored = (struct stored_fd){.name = name, .fd = fd};
    world->fdstore = (struct fdstore){.stored = &stored, .n_stored = 1};
    world_start(world);
}

START_TEST(a_memfd_that_the_service_manager_kept_goes_on) {
    struct region_spec spec = world_spec("memfd");
    char name[SEGMENT_NAME_MAX];
    struct region *region;
    struct world world;
    int manager;

    world_init(&world);
    manager = listen_as_service_manager(&world);
    spec.backing = BACKING_MEMFD;
    region = world_create(&world, WORLD_UID, &spec);
    segment_name(region->segment, name);
    ck_assert_int_eq(segment_write(region->segment, 0, "kept", 4, NULL), 0);
    restart_with(&world, name, receive_kept(manager, name));
    world_expect_content(&world, "memfd", "kept");
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
    close(manager);
}
END_TEST

/* What a kill leaves between the record of a seal and the seal: the first time a former writer has
 * it mapped still. */
START_TEST(a_memfd_that_is_recorded_as_sealed_is_sealed) {
    struct region_spec spec = world_spec("memfd");
    struct caller owner = world_caller(WORLD_UID);
    char name[SEGMENT_NAME_MAX];
    struct region *region;
    struct world world;
    struct error error;
    int manager, fd;
    void *map;

    log_capture();
    world_init(&world);
    manager = listen_as_service_manager(&world);
    spec.backing = BACKING_MEMFD;
    region = world_create(&world, WORLD_UID, &spec);
    segment_name(region->segment, name);
    fd = receive_kept(manager, name);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    region->segment->sealed = true;
    ck_assert_int_eq(manager_record(world.manager, region, NULL), 0);
    restart_with(&world, name, dup(fd));
    ck_assert(log_has("region 'memfd': cannot seal a segment: Device or resource busy"));
    ck_assert_int_eq(manager_seal(world.manager, &owner, "memfd", &error), -EBUSY);
    munmap(map, 4096);
    restart_with(&world, name, dup(fd));
    ck_assert(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
    ck_assert(manager_lookup(world.manager, "memfd")->segment->sealed);
    ck_assert_int_eq(manager_seal(world.manager, &owner, "memfd", &error), 0);
    world_deinit(&world);
    close(fd);
    close(manager);
}
END_TEST

START_TEST(leftovers_are_swept_and_others_are_left_alone) {
    struct region_spec spec = world_spec("kept");
    char leftovers[3][128], foreign[64];
    struct world world;

    log_capture();
    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    snprintf(leftovers[0], 128, "/dev/shm/shmreg.%s.999.1", manager_instance(world.manager));
    snprintf(leftovers[1], 128, "/dev/shm/shmreg.%s.1.77", manager_instance(world.manager));
    snprintf(leftovers[2], 128, "%s/segments/shmreg.%s.998.1", world.state,
             manager_instance(world.manager));
    snprintf(foreign, sizeof(foreign), "/dev/shm/shmreg.%016x.1.1", (unsigned)getpid());
    for (size_t i = 0; i < ARRAY_SIZE(leftovers); i++)
        close(open(leftovers[i], O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    close(open(foreign, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    world_restart(&world);
    world_expect_segments(&world, 1, 0);
    ck_assert_int_eq(access(foreign, F_OK), 0);
    ck_assert(log_has(".999.1, left over by the last daemon, removed"));
    ck_assert_int_eq(unlink(foreign), 0);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("restore", a_broken_record_is_set_aside_and_the_rest_goes_on,
           the_segment_of_a_broken_record_is_kept, two_records_of_one_name_are_one_region,
           a_region_whose_memory_is_gone_is_set_aside, anothers_object_in_its_place_is_not_taken,
           a_region_that_a_writer_resized_goes_on_and_is_reported,
           a_memfd_without_a_service_manager_ends_with_the_daemon,
           a_memfd_that_the_service_manager_kept_goes_on,
           a_memfd_that_is_recorded_as_sealed_is_sealed,
           leftovers_are_swept_and_others_are_left_alone);
