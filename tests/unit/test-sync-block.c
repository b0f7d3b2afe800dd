/*
 * Sync blocks: made whole before the region is recorded, a page of its owner's, handed out with the
 * access granted, kept over versions and restarts, and gone with the region.
 */
#include "daemon/core/sync-block.h"
#include "daemon/core/manager-private.h"
#include "proto/sync-block.h"
#include "tests/support/shm-name.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static struct region_spec spec_of(enum backing backing) {
    struct region_spec spec = world_spec("block");

    spec.backing = backing;
    spec.sync_block = true;
    return spec;
}

static struct region *find(struct world *world) {
    struct caller root = world_caller(0);
    struct region *region;

    ck_assert_int_eq(manager_find(world->manager, &root, "block", &region, NULL), 0);
    return region;
}

static struct attachment_fds attach(struct world *world, uint32_t access) {
    struct client *client = world_client(world, WORLD_UID, getpid(), 1);
    struct attachment *attachment;
    struct attachment_fds fds;

    ck_assert_int_eq(
        manager_attach(world->manager, client, "block", access, &attachment, &fds, NULL), 0);
    return fds;
}

static struct sync_block *map(struct world *world) {
    struct attachment_fds fds = attach(world, RIGHT_WRITE);
    struct sync_block *block =
        mmap(NULL, SYNC_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds.sync_block, 0);

    ck_assert_ptr_ne(block, MAP_FAILED);
    attachment_fds_close(&fds);
    return block;
}

static void block_path(const struct world *world, uint64_t id, char ret[static 128]) {
    snprintf(ret, 128, "/dev/shm/shmreg.%s.%llu.0", manager_instance(world->manager),
             (unsigned long long)id);
    shm_find_suffix(ret, 128);
}

static void check_comes_and_goes(enum backing backing) {
    struct region_spec spec = spec_of(backing);
    struct caller owner = world_caller(WORLD_UID);
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    world_expect_usage(&world, 1, 2 * PAGE, 0, 0);
    if (backing != BACKING_MEMFD)
        world_expect_segments(&world, backing == BACKING_SHM ? 2 : 1, backing == BACKING_FILE);
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "block", NULL), 0);
    world_expect_segments(&world, 0, 0);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}

START_TEST(it_is_a_page_that_comes_and_goes_with_the_region) {
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing++)
        check_comes_and_goes(backing);
}
END_TEST

START_TEST(a_region_without_one_gives_none) {
    struct region_spec spec = world_spec("block");
    struct attachment_fds fds;
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    fds = attach(&world, RIGHT_WRITE);
    ck_assert_int_eq(fds.sync_block, -1);
    attachment_fds_close(&fds);
    world_expect_usage(&world, 1, PAGE, 1, 1);
    world_deinit(&world);
}
END_TEST

static void check_access(enum backing backing) {
    static const uint32_t accesses[] = {RIGHT_READ, RIGHT_WRITE};
    struct region_spec spec = spec_of(backing);
    struct stat status, other;
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
        struct attachment_fds fds = attach(&world, accesses[i]);

        ck_assert_int_eq(fcntl(fds.sync_block, F_GETFL) & O_ACCMODE,
                         accesses[i] == RIGHT_READ ? O_RDONLY : O_RDWR);
        ck_assert_int_eq(fstat(fds.sync_block, &status), 0);
        ck_assert_int_eq(fstat(fds.segment, &other), 0);
        ck_assert_int_eq(status.st_mode, S_IFREG | 0600);
        ck_assert_int_eq(status.st_size, SYNC_BLOCK_SIZE);
        ck_assert(status.st_ino != other.st_ino);
        if (backing == BACKING_MEMFD)
            ck_assert_int_eq(fcntl(fds.sync_block, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
        attachment_fds_close(&fds);
    }
    world_deinit(&world);
}

START_TEST(its_descriptor_has_the_access_granted) {
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing++)
        check_access(backing);
}
END_TEST

static void check_owner_death(enum backing backing) {
    struct region_spec spec = spec_of(backing);
    struct sync_block *block;
    struct world world;
    pid_t pid;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    block = map(&world);
    ck_assert_uint_eq(block->magic, SYNC_BLOCK_MAGIC);
    ck_assert_uint_eq(block->layout, SYNC_BLOCK_LAYOUT);
    ck_assert_uint_eq(block->sequence, 0);
    pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(&block->lock);
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(pthread_mutex_lock(&block->lock), EOWNERDEAD);
    ck_assert_int_eq(pthread_mutex_consistent(&block->lock), 0);
    ck_assert_int_eq(pthread_mutex_lock(&block->lock), EDEADLK);
    ck_assert_int_eq(pthread_mutex_unlock(&block->lock), 0);
    world_deinit(&world);
}

START_TEST(its_lock_tells_of_an_owner_that_died) {
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing++)
        check_owner_death(backing);
}
END_TEST

static void check_versions(enum backing backing) {
    struct region_spec spec = spec_of(backing);
    struct sync_block *block, *again;
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    block = map(&world);
    block->event = 7;
    world_put(&world, WORLD_UID, "block", "new");
    again = map(&world);
    ck_assert_uint_eq(again->event, 7);
    world_expect_usage(&world, 1, 2 * PAGE + PAGE, 2, 2);
    world_deinit(&world);
}

START_TEST(it_belongs_to_the_region_and_not_to_a_version) {
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing++)
        check_versions(backing);
}
END_TEST

static void check_restart(enum backing backing) {
    struct region_spec spec = spec_of(backing);
    struct sync_block *block;
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    block = map(&world);
    pthread_mutex_lock(&block->lock);
    block->event = 7;
    world_restart(&world);
    world_expect_segments(&world, backing == BACKING_SHM ? 2 : 1, backing == BACKING_FILE);
    ck_assert_uint_eq(quota_used(manager_quota(world.manager), LIMIT_BYTES), 2 * PAGE);
    block = map(&world);
    ck_assert_uint_eq(block->event, 7);
    ck_assert_int_eq(pthread_mutex_lock(&block->lock), EDEADLK);
    world_deinit(&world);
}

START_TEST(it_outlives_the_daemon) {
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing += 2)
        check_restart(backing);
}
END_TEST

START_TEST(a_files_is_made_anew_after_a_reboot) {
    struct region_spec spec = spec_of(BACKING_FILE);
    struct sync_block *block;
    struct world world;
    char path[128];

    log_capture();
    world_init(&world);
    block_path(&world, world_create(&world, WORLD_UID, &spec)->id, path);
    block = map(&world);
    block->event = 7;
    ck_assert_int_eq(pthread_mutex_lock(&block->lock), 0);
    ck_assert_int_eq(registry_put(world.manager->durable_registry, REGISTRY_META, "boot_id",
                                  "of another boot", NULL),
                     0);
    world_stop(&world);
    ck_assert_int_eq(unlink(path), 0);
    world_start(&world);
    ck_assert(log_has("region 'block': its sync block has gone, so it gets a new one"));
    world_expect_segments(&world, 1, 1);
    ck_assert_uint_eq(quota_used(manager_quota(world.manager), LIMIT_BYTES), 2 * PAGE);
    block = map(&world);
    ck_assert_uint_eq(block->event, 0);
    ck_assert_int_eq(pthread_mutex_trylock(&block->lock), 0);
    world_deinit(&world);
}
END_TEST

START_TEST(one_that_a_killed_daemon_left_unfinished_is_finished) {
    struct region_spec spec = spec_of(BACKING_FILE);
    struct sync_block *block;
    struct world world;
    char path[128];

    world_init(&world);
    block_path(&world, world_create(&world, WORLD_UID, &spec)->id, path);
    world_stop(&world);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(truncate(path, SYNC_BLOCK_SIZE), 0);
    world_start(&world);
    block = map(&world);
    ck_assert_uint_eq(block->magic, SYNC_BLOCK_MAGIC);
    ck_assert_uint_eq(block->layout, SYNC_BLOCK_LAYOUT);
    world_deinit(&world);
}
END_TEST

START_TEST(one_that_a_writer_resized_is_reported) {
    struct region_spec spec = spec_of(BACKING_SHM);
    struct world world;
    char path[128];

    log_capture();
    world_init(&world);
    block_path(&world, world_create(&world, WORLD_UID, &spec)->id, path);
    ck_assert_int_eq(truncate(path, 10), 0);
    world_restart(&world);
    ck_assert(world_has(&world, "block"));
    ck_assert(log_has("region 'block': a writer resized its sync block: it has 10 bytes"));
    world_deinit(&world);
}
END_TEST

START_TEST(one_without_its_region_is_swept) {
    struct region_spec spec = spec_of(BACKING_SHM);
    struct world world;
    char path[128];

    world_init(&world);
    block_path(&world, world_create(&world, WORLD_UID, &spec)->id + 1, path);
    close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    world_expect_segments(&world, 3, 0);
    world_restart(&world);
    world_expect_segments(&world, 2, 0);
    ck_assert_ptr_nonnull(find(&world)->sync_block);
    world_deinit(&world);
}
END_TEST

START_TEST(without_room_for_it_there_is_no_region) {
    struct region_spec spec = spec_of(BACKING_SHM);
    struct caller owner = world_caller(WORLD_UID);
    struct error error = {0};
    struct region *region;
    struct world world;

    world_init(&world);
    world.config.user.most[LIMIT_BYTES] = 2 * PAGE - 1;
    ck_assert_int_eq(manager_create(world.manager, &owner, NULL, &spec, &region, &error), -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on bytes of user 20001"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("sync-block", it_is_a_page_that_comes_and_goes_with_the_region,
           a_region_without_one_gives_none, its_descriptor_has_the_access_granted,
           its_lock_tells_of_an_owner_that_died, it_belongs_to_the_region_and_not_to_a_version,
           it_outlives_the_daemon, a_files_is_made_anew_after_a_reboot,
           one_that_a_killed_daemon_left_unfinished_is_finished,
           one_that_a_writer_resized_is_reported, one_without_its_region_is_swept,
           without_room_for_it_there_is_no_region);
