/*
 * Stages outlive the daemon, whatever it was doing when it was killed, but not their client's process.
 */
#include "tests/support/shm-name.h"
#include "tests/unit/staging.h"

#include <errno.h>
#include <unistd.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"

static struct world world;

/* The client of this process comes back after a restart. */
static struct client *come_back(void) {
    struct caller caller = world_caller(WORLD_UID);
    struct client *client;

    ck_assert_int_eq(manager_add_client(world.manager, &caller, -1, &client, NULL), 0);
    ck_assert(manager_identify_client(world.manager, client, 1));
    return client;
}

START_TEST(a_stage_outlives_the_daemon) {
    struct region_spec spec = world_spec("file");
    struct client *client;
    struct attachment *attachment;
    uint64_t in_shm, in_file;

    world_init(&world);
    spec.backing = BACKING_FILE;
    world_create(&world, WORLD_UID, &spec);
    client = staging_client(&world, getpid(), 1);
    in_shm = staging_fill(&world, client, "shm", "in shm")->id;
    in_file = staging_fill(&world, client, "file", "in a file")->id;
    for (unsigned i = 0; i < 2; i++) {
        world_restart(&world);
        world_expect_usage(&world, 1, 3 * STAGING_SIZE, 2, 0);
        world_expect_segments(&world, 1, 2);
    }
    client = come_back();
    staging_publish(&world, client, in_shm, 0);
    attachment = staging_publish(&world, client, in_file, 1);
    ck_assert_uint_eq(attachment->segment->version, 2);
    world_expect_content(&world, "shm", "in shm");
    world_expect_content(&world, "file", "in a file");
    world_expect_usage(&world, 2, 2 * STAGING_SIZE, 2, 1);
    world_restart(&world);
    world_expect_usage(&world, 2, 2 * STAGING_SIZE, 2, 0);
    /* And a publish whose answer was lost is still known. */
    client = come_back();
    ck_assert_uint_eq(staging_publish(&world, client, in_file, 1)->segment->version, 2);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_of_a_region_with_a_sync_block) {
    struct region_spec spec = world_spec("region");
    struct stage *staged = NULL;
    struct client *client;

    world_init(&world);
    spec.sync_block = true;
    ck_assert_int_eq(staging_try(&world, staging_client(&world, getpid(), 1), &spec, &staged, NULL),
                     0);
    world_expect_segments(&world, 1, 0);
    world_restart(&world);
    client = come_back();
    staging_publish(&world, client, LIST_FIRST(&client->stages)->id, 0);
    world_expect_segments(&world, 2, 0);
    staging_publish(&world, client, staging_fill(&world, client, "region", "second")->id, 1);
    manager_remove_client(world.manager, client);
    world_expect_segments(&world, 2, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_ends_with_its_process_while_the_daemon_is_away) {
    pid_t pid = process_spawn();

    world_init(&world);
    staging_fill(&world, world_client(&world, WORLD_UID, pid, 1), "region", "never seen");
    world_stop(&world);
    process_kill(pid);
    world_start(&world);
    staging_expect(&world, 0, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

/* It is somebody's, and stays; the start goes on. */
START_TEST(a_link_in_the_place_of_a_stage_is_left_alone) {
    char path[256], target[8];
    struct stage *stage;

    world_init(&world);
    stage = staging_fill(&world, staging_client(&world, getpid(), 1), "region", "lost");
    snprintf(path, sizeof(path), "/dev/shm/");
    segment_name(stage->segment, path + strlen(path));
    world_stop(&world);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("nothing", path), 0);
    log_capture();
    world_start(&world);
    ck_assert(log_has("a stage for region 'region' is lost: a link or a socket is in its place"));
    ck_assert_int_eq(readlink(path, target, sizeof(target)), strlen("nothing"));
    ck_assert_int_eq(unlink(path), 0);
    staging_expect(&world, 0, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

static bool is_empty(struct world *w, void *data) {
    (void)data;
    return quota_used(manager_quota(w->manager), LIMIT_BYTES) == 0;
}

START_TEST(a_stage_ends_with_its_process_before_it_comes_back) {
    pid_t pid = process_spawn();

    world_init(&world);
    staging_fill(&world, world_client(&world, WORLD_UID, pid, 1), "region", "never seen");
    world_restart(&world);
    staging_expect(&world, 0, 1, 1, 0, 0);
    process_kill(pid);
    world_wait(&world, is_empty, NULL);
    staging_expect(&world, 0, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

static void rename_segment(uint64_t from_id, uint32_t from, uint64_t to_id, uint32_t to) {
    const char *instance = manager_instance(world.manager);
    char old[SEGMENT_NAME_MAX + 16], new[SEGMENT_NAME_MAX + 16];

    snprintf(old, sizeof(old), "/dev/shm/shmreg.%s.%llu.%u", instance, (unsigned long long)from_id,
             from);
    shm_find_suffix(old, sizeof(old));
    snprintf(new, sizeof(new), "/dev/shm/shmreg.%s.%llu.%u", instance, (unsigned long long)to_id,
             to);
    ck_assert_int_eq(rename(old, new), 0);
}

START_TEST(a_publish_cut_off_before_its_commit_gives_the_stage_back) {
    struct region_spec spec = world_spec("region");
    struct attachment *attachment;
    struct client *client;
    struct region *region;
    char key[RECORD_KEY_MAX], text[HOLDER_RECORD_MAX];
    uint64_t id;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    client = staging_client(&world, getpid(), 1);
    id = staging_fill(&world, client, "region", "staged")->id;
    /* What a kill leaves that comes between the record of the hold and that of the version. */
    attachment = world_attach(client, "region", RIGHT_WRITE);
    holder_record_key(attachment, key);
    attachment->segment->version = 2;
    holder_record_format(attachment, text);
    attachment->segment->version = 1;
    ck_assert_int_eq(
        registry_put(world.manager->volatile_registry, REGISTRY_HOLDERS, key, text, NULL), 0);
    rename_segment(id, 1, region->id, 2);
    world_restart(&world);
    staging_expect(&world, 1, 2, 1, 0, 0);
    client = come_back();
    ck_assert_uint_eq(staging_publish(&world, client, id, 1)->segment->version, 2);
    world_expect_content(&world, "region", "staged");
    staging_expect(&world, 1, 1, 0, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(a_publish_cut_off_after_its_commit_has_happened) {
    static const char *const names[] = {"new", "old"};
    struct client *client;

    world_init(&world);
    world_put(&world, WORLD_UID, "old", "old");
    client = staging_client(&world, getpid(), 1);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct stage *staged = staging_fill(&world, client, names[i], "staged");
        _cleanup_free_ char *text = NULL;
        char key[RECORD_KEY_MAX];

        stage_record_key(staged, key);
        ck_assert_int_eq(
            registry_get(world.manager->volatile_registry, REGISTRY_STAGES, key, &text), 0);
        staging_publish(&world, client, staged->id, 0);
        ck_assert_int_eq(
            registry_put(world.manager->volatile_registry, REGISTRY_STAGES, key, text, NULL), 0);
    }
    world_restart(&world);
    staging_expect(&world, 2, 2, 0, 2, 0);
    world_expect_content(&world, "new", "staged");
    world_expect_content(&world, "old", "staged");
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_record_comes_back_whole_or_is_refused) {
    struct region_spec spec = world_spec("region");
    _cleanup_free_ char *text = NULL;
    char record_key[RECORD_KEY_MAX];
    struct stage_record record;
    struct client *client;
    struct stage *staged;
    json_t *json, *value;
    const char *key;

    world_init(&world);
    client = staging_client(&world, 0, UINT64_MAX);
    spec.acl = "user:20002:rw";
    spec.attributes = "{\"a\":\"\\\"\"}";
    spec.lifetime = LIFETIME_LEASE;
    spec.seconds = UINT32_MAX;
    spec.max_size = 2 * STAGING_SIZE;
    spec.tag = (struct request_tag){UINT64_MAX, UINT32_MAX};
    ck_assert_int_eq(staging_try(&world, client, &spec, &staged, NULL), 0);
    stage_record_key(staged, record_key);
    ck_assert_int_eq(
        registry_get(world.manager->volatile_registry, REGISTRY_STAGES, record_key, &text), 0);
    ck_assert_int_eq(stage_record_parse(text, &record, NULL), 0);
    ck_assert_uint_eq(record.id, staged->id);
    ck_assert_uint_eq(record.client_id, UINT64_MAX);
    ck_assert_uint_eq(record.charged_uid, WORLD_UID);
    ck_assert_int_eq(record.process.pid, client->process->identity.pid);
    ck_assert_str_eq(record.spec.acl, spec.acl);
    ck_assert_str_eq(record.spec.attributes, spec.attributes);
    ck_assert_uint_eq(record.spec.seconds, UINT32_MAX);
    ck_assert_uint_eq(record.spec.max_size, 2 * STAGING_SIZE);
    ck_assert_uint_eq(record.spec.tag.serial, UINT32_MAX);
    stage_record_deinit(&record);

    json = json_loads(text, 0, NULL);
    json_object_foreach (json, key, value) {
        json_t *damaged = json_copy(json);

        for (unsigned i = 0; i < 2; i++) {
            _cleanup_free_ char *damaged_text = NULL;

            if (i == 0)
                json_object_del(damaged, key);
            else
                json_object_set_new(damaged, key, json_array());
            damaged_text = json_dumps(damaged, 0);
            ck_assert_int_eq(stage_record_parse(damaged_text, &record, NULL), -EBADMSG);
        }
        json_decref(damaged);
    }
    json_decref(json);
    manager_remove_client(world.manager, client);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("stage-restart", a_stage_outlives_the_daemon, a_stage_of_a_region_with_a_sync_block,
           a_stage_ends_with_its_process_while_the_daemon_is_away,
           a_link_in_the_place_of_a_stage_is_left_alone,
           a_stage_ends_with_its_process_before_it_comes_back,
           a_publish_cut_off_before_its_commit_gives_the_stage_back,
           a_publish_cut_off_after_its_commit_has_happened,
           a_stage_record_comes_back_whole_or_is_refused);
