/*
 * Snapshot: the content arrives whole, in any backing, with holes; until then there is nothing to
 * see, and what is given up leaves nothing.
 */
#include "daemon/core/snapshot.h"

#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LARGE (64u << 20)
#define SOURCE "source"
#define COPY "copy"

struct outcome {
    bool ended;
    struct region *region;
    struct error error;
};

static struct world world;

static void on_progress(void *data, uint64_t done, uint64_t total) {
    (void)data;
    ck_assert_uint_le(done, total);
}

static void on_ended(void *data, struct region *region, const struct error *error) {
    struct outcome *outcome = data;

    outcome->ended = true;
    outcome->region = region;
    outcome->error = *error;
}

static int begin(uid_t uid, const struct region_spec *spec, struct outcome *outcome,
                 struct snapshot **ret, struct error *error) {
    struct caller caller = world_caller(uid);
    struct region *region;

    *outcome = (struct outcome){0};
    return manager_snapshot(
        world.manager, &caller, NULL, SOURCE, spec,
        &(struct snapshot_listener){.progress = on_progress, .ended = on_ended, .data = outcome},
        ret, &region, error);
}

static bool has_ended(struct world *w, void *data) {
    (void)w;
    return ((struct outcome *)data)->ended;
}

/* Takes a snapshot and waits for it; the result is in @outcome. */
static void take(const struct region_spec *spec, struct outcome *outcome) {
    struct snapshot *snapshot;
    struct error error = {0};
    int r = begin(WORLD_UID, spec, outcome, &snapshot, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    world_wait(&world, has_ended, outcome);
}

static struct region_spec copy_spec(enum backing backing) {
    struct region_spec spec = world_spec(COPY);

    spec.size = 0;
    spec.backing = backing;
    return spec;
}

static struct region *make_source(enum backing backing, uint64_t size) {
    struct region_spec spec = world_spec(SOURCE);

    spec.size = size;
    spec.backing = backing;
    return world_create(&world, WORLD_UID, &spec);
}

static void write_at(const struct region *region, uint64_t offset, const char *text) {
    ck_assert_int_eq(segment_write(region->segment, offset, text, strlen(text), NULL), 0);
}

static void expect_at(const struct region *region, uint64_t offset, const char *text) {
    char buffer[64] = "";

    ck_assert_int_eq(segment_read(region->segment, offset, buffer, strlen(text), NULL), 0);
    ck_assert_str_eq(buffer, text);
}

static void copies_between(enum backing from, enum backing to) {
    struct region *source = make_source(from, 3u << 20);
    struct region_spec spec = copy_spec(to);
    struct outcome outcome;

    write_at(source, 0, "first");
    write_at(source, (3u << 20) - 4, "last");
    take(&spec, &outcome);
    ck_assert_msg(outcome.region != NULL, "%s", outcome.error.text);
    ck_assert_int_eq(outcome.region->segment->backing, to);
    ck_assert_uint_eq(outcome.region->segment->size, 3u << 20);
    expect_at(outcome.region, 0, "first");
    expect_at(outcome.region, (3u << 20) - 4, "last");
    write_at(source, 0, "other");
    expect_at(outcome.region, 0, "first");
}

START_TEST(test_every_backing_to_every_other) {
    for (unsigned from = BACKING_SHM; from <= BACKING_FILE; from++) {
        for (unsigned to = BACKING_SHM; to <= BACKING_FILE; to++) {
            world_init(&world);
            copies_between(from, to);
            world_deinit(&world);
        }
    }
}
END_TEST

static uint64_t blocks_of(const struct region *region) {
    struct stat status;
    int fd = segment_open(region->segment, O_RDONLY, NULL);

    ck_assert_int_eq(fstat(fd, &status), 0);
    close_fd(&fd);
    return (uint64_t)status.st_blocks * 512;
}

START_TEST(test_holes_stay_holes) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct region *source;

    world_init(&world);
    source = make_source(BACKING_SHM, LARGE);
    write_at(source, LARGE / 2, "middle");
    take(&spec, &outcome);
    ck_assert_ptr_nonnull(outcome.region);
    expect_at(outcome.region, LARGE / 2, "middle");
    ck_assert_uint_le(blocks_of(outcome.region), LARGE / 16);
    world_deinit(&world);
}
END_TEST

START_TEST(test_it_survives_a_restart) {
    struct region_spec spec = copy_spec(BACKING_FILE);
    struct outcome outcome;

    world_init(&world);
    write_at(make_source(BACKING_SHM, 4096), 0, "kept");
    take(&spec, &outcome);
    ck_assert_ptr_nonnull(outcome.region);
    world_restart(&world);
    world_expect_content(&world, COPY, "kept");
    world_deinit(&world);
}
END_TEST

START_TEST(test_of_what_has_no_bytes_yet) {
    struct region_spec source = world_spec(SOURCE), spec = copy_spec(0);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    source.size = 0;
    source.max_size = 8192;
    world_create(&world, WORLD_UID, &source);
    spec.backing = BACKING_MEMFD;
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), -EINVAL);
    spec.backing = BACKING_FILE;
    take(&spec, &outcome);
    ck_assert_ptr_nonnull(outcome.region);
    ck_assert_uint_eq(outcome.region->segment->size, 0);
    ck_assert_uint_eq(outcome.region->segment->max_size, 8192);
    world_deinit(&world);
}
END_TEST

START_TEST(test_size_and_max_size) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    make_source(BACKING_SHM, 8192);
    spec.size = 4096;
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "8192"));
    spec.size = 20000;
    take(&spec, &outcome);
    ck_assert_ptr_nonnull(outcome.region);
    ck_assert_uint_eq(outcome.region->segment->size, 20000);
    ck_assert_uint_eq(outcome.region->segment->max_size, 20000);
    world_expect_usage(&world, 2, 28192, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_rights_and_names) {
    struct region_spec spec = copy_spec(0), taken = world_spec(SOURCE);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    make_source(BACKING_SHM, 4096);
    ck_assert_int_eq(begin(OTHER_UID, &spec, &outcome, &snapshot, &error), -EACCES);
    ck_assert_int_eq(begin(WORLD_UID, &taken, &outcome, &snapshot, &error), -EEXIST);
    spec.name = "/";
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), -EINVAL);
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_quota_is_checked_first) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    make_source(BACKING_SHM, 4096);
    world.config.user.most[LIMIT_BYTES] = 8191;
    ck_assert_int_eq(manager_configure(world.manager, &world.config), 0);
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), -EDQUOT);
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_expect_segments(&world, 1, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_invisible_until_whole_and_the_first_wins) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    make_source(BACKING_SHM, 4096);
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), 0);
    ck_assert(!world_has(&world, COPY));
    world_put(&world, WORLD_UID, COPY, "mine");
    world_wait(&world, has_ended, &outcome);
    ck_assert_ptr_null(outcome.region);
    ck_assert_int_eq(outcome.error.code, -EEXIST);
    world_expect_content(&world, COPY, "mine");
    world_expect_segments(&world, 2, 0);
    world_expect_usage(&world, 2, 4100, 0, 0);
    world_deinit(&world);
}
END_TEST

static bool only_source_is_left(struct world *w, void *data) {
    (void)data;
    return quota_used(manager_quota(w->manager), LIMIT_REGIONS) == 1;
}

START_TEST(test_cancelled_leaves_nothing) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    make_source(BACKING_SHM, LARGE);
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), 0);
    world_expect_segments(&world, 2, 0);
    snapshot_cancel(snapshot);
    world_wait(&world, only_source_is_left, NULL);
    ck_assert(!outcome.ended);
    world_expect_segments(&world, 1, 0);
    world_expect_usage(&world, 1, LARGE, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_a_source_destroyed_meanwhile_is_copied) {
    struct region_spec spec = copy_spec(0);
    struct caller caller = world_caller(WORLD_UID);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    write_at(make_source(BACKING_SHM, 4096), 0, "gone");
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), 0);
    ck_assert_int_eq(manager_destroy(world.manager, &caller, SOURCE, NULL), 0);
    world_wait(&world, has_ended, &outcome);
    ck_assert_ptr_nonnull(outcome.region);
    world_expect_content(&world, COPY, "gone");
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_a_truncated_source_is_an_error) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct region *source;
    int fd;

    world_init(&world);
    source = make_source(BACKING_SHM, 8192);
    fd = segment_open(source->segment, O_RDWR, NULL);
    ck_assert_int_eq(ftruncate(fd, 100), 0);
    close_fd(&fd);
    take(&spec, &outcome);
    ck_assert_ptr_null(outcome.region);
    ck_assert_int_eq(outcome.error.code, -EUCLEAN);
    world_expect_segments(&world, 1, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(test_the_same_request_again_finds_it_made) {
    struct region_spec spec = copy_spec(0);
    struct caller caller = world_caller(WORLD_UID);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct region *region;

    world_init(&world);
    make_source(BACKING_SHM, 4096);
    spec.tag = (struct request_tag){7, 9};
    take(&spec, &outcome);
    ck_assert_ptr_nonnull(outcome.region);
    ck_assert_int_eq(manager_snapshot(world.manager, &caller, NULL, SOURCE, &spec,
                                      &(struct snapshot_listener){0}, &snapshot, &region, NULL),
                     0);
    ck_assert_ptr_null(snapshot);
    ck_assert_ptr_eq(region, outcome.region);
    world_deinit(&world);
}
END_TEST

START_TEST(test_a_daemon_that_stops_leaves_nothing) {
    struct region_spec spec = copy_spec(0);
    struct outcome outcome;
    struct snapshot *snapshot;
    struct error error;

    world_init(&world);
    make_source(BACKING_SHM, LARGE);
    ck_assert_int_eq(begin(WORLD_UID, &spec, &outcome, &snapshot, &error), 0);
    snapshot_cancel(snapshot);
    world_restart(&world);
    ck_assert(!outcome.ended);
    world_expect_segments(&world, 1, 0);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("snapshot", test_every_backing_to_every_other, test_holes_stay_holes,
           test_it_survives_a_restart, test_of_what_has_no_bytes_yet, test_size_and_max_size,
           test_rights_and_names, test_quota_is_checked_first,
           test_invisible_until_whole_and_the_first_wins, test_cancelled_leaves_nothing,
           test_a_source_destroyed_meanwhile_is_copied, test_a_truncated_source_is_an_error,
           test_the_same_request_again_finds_it_made, test_a_daemon_that_stops_leaves_nothing);
