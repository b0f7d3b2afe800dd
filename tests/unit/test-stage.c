/*
 * Stages of clients: they become the region's version and the client's attachment in one step, go
 * with their client, and outlive the daemon, whatever it was doing when it was killed.
 */
#include "tests/support/shm-name.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/record.h"
#include "daemon/core/stage.h"

#define SIZE 4096u

static struct world world;

/* The client's process is this one, or 0 for one of its own. */
static struct client *client_of(pid_t pid, uint64_t id) {
    return world_client(&world, WORLD_UID, pid, id);
}

static int try_stage(struct client *client, const struct region_spec *spec, struct stage **ret,
                     struct error *error) {
    int fd = -1, r = manager_stage_as_client(world.manager, client, spec, ret, &fd, error);

    ck_assert_int_eq(fd >= 0, r == 0);
    if (r == 0)
        close(fd);
    return r;
}

static struct stage *stage(struct client *client, const char *name, const char *text) {
    struct region_spec spec = world_spec(name);
    struct error error = {0};
    struct stage *stage = NULL;
    int r = try_stage(client, &spec, &stage, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    ck_assert_int_eq(stage_write(stage, 0, text, strlen(text), NULL), 0);
    return stage;
}

static int try_publish(struct client *client, uint64_t id, uint32_t expected,
                       struct attachment **ret, struct error *error) {
    int sync_block_fd = -1;
    int r =
        manager_publish_as_client(world.manager, client, id, expected, ret, &sync_block_fd, error);

    ck_assert_int_eq(sync_block_fd >= 0, r == 0 && (*ret)->region->sync_block);
    close_fd(&sync_block_fd);
    return r;
}

static struct attachment *publish(struct client *client, uint64_t id, uint32_t expected) {
    struct attachment *attachment = NULL;
    struct error error = {0};
    int r = try_publish(client, id, expected, &attachment, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    ck_assert_uint_eq(attachment->id, id);
    ck_assert_uint_eq(attachment->access, RIGHT_WRITE);
    return attachment;
}

static unsigned count_records(enum registry_table table);

/* Nothing but what is counted: a stage is charged as an attachment, and has a record. */
static void expect(unsigned regions, unsigned segments, unsigned stages, unsigned attachments,
                   unsigned clients) {
    world_expect_usage(&world, regions, segments * SIZE, stages + attachments, clients);
    world_expect_segments(&world, (int)segments, 0);
    ck_assert_uint_eq(count_records(REGISTRY_STAGES), stages);
    ck_assert_uint_eq(count_records(REGISTRY_HOLDERS), attachments);
}

static int count_record(void *data, const char *key, const char *value) {
    (void)key;
    (void)value;
    ++*(unsigned *)data;
    return 0;
}

static unsigned count_records(enum registry_table table) {
    unsigned count = 0;

    ck_assert_int_eq(registry_each(world.manager->volatile_registry, table, count_record, &count),
                     0);
    return count;
}

START_TEST(a_published_stage_is_a_version_and_an_attachment) {
    struct client *client;
    struct attachment *first, *second;

    world_init(&world);
    client = client_of(0, 1);
    first = publish(client, stage(client, "region", "first")->id, 0);
    ck_assert_uint_eq(first->segment->version, 1);
    ck_assert_uint_eq(first->region->writers, 1);
    world_expect_content(&world, "region", "first");
    expect(1, 1, 0, 1, 1);
    second = publish(client, stage(client, "region", "second")->id, 1);
    ck_assert_uint_eq(second->segment->version, 2);
    ck_assert_uint_eq(second->region->writers, 2);
    world_expect_content(&world, "region", "second");
    world_expect_usage(&world, 1, 2 * SIZE, 2, 1);
    ck_assert_int_eq(manager_detach(world.manager, client, first->id, NULL), 0);
    expect(1, 1, 0, 1, 1);
    ck_assert_int_eq(manager_detach(world.manager, client, second->id, NULL), 0);
    expect(1, 1, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(one_of_two_publishers_wins) {
    struct attachment *attachment;
    struct client *one, *two;
    struct error error = {0};
    uint64_t loser;

    world_init(&world);
    world_put(&world, WORLD_UID, "region", "old");
    one = client_of(0, 1);
    two = client_of(0, 2);
    loser = stage(two, "region", "two")->id;
    publish(one, stage(one, "region", "one")->id, 1);
    ck_assert_int_eq(try_publish(two, loser, 1, &attachment, &error), -ESTALE);
    ck_assert_str_eq(error.text, "region 'region' is at version 2, not 1");
    world_expect_content(&world, "region", "one");
    /* The loser still has its stage, and may look at what won before it tries again. */
    publish(two, loser, 2);
    world_expect_content(&world, "region", "two");
    loser = stage(two, "new", "new")->id;
    ck_assert_int_eq(try_publish(two, loser, 1, &attachment, &error), -ESTALE);
    ck_assert_ptr_nonnull(strstr(error.text, "there is no region 'new'"));
    manager_remove_client(world.manager, two);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_goes_with_its_client) {
    struct client *client;
    uint64_t id;

    world_init(&world);
    world_put(&world, WORLD_UID, "region", "old");
    client = client_of(0, 1);
    id = stage(client, "region", "given up")->id;
    stage(client, "new", "left behind");
    world_expect_segments(&world, 3, 0);
    ck_assert_int_eq(manager_detach(world.manager, client, id, NULL), 0);
    ck_assert_int_eq(manager_detach(world.manager, client, id, NULL), -ENOENT);
    world_expect_usage(&world, 1, SIZE + 3, 1, 1);
    manager_remove_client(world.manager, client);
    world_expect_usage(&world, 1, 3, 0, 0);
    world_expect_segments(&world, 1, 0);
    ck_assert_uint_eq(count_records(REGISTRY_STAGES), 0);
    world_deinit(&world);
}
END_TEST

START_TEST(requests_that_were_answered_are_not_repeated) {
    struct region_spec spec = world_spec("region");
    struct stage *first = NULL, *again = NULL;
    struct attachment *attachment;
    struct client *client;
    uint64_t id;

    world_init(&world);
    client = client_of(0, 1);
    spec.tag = (struct request_tag){1, 5};
    ck_assert_int_eq(try_stage(client, &spec, &first, NULL), 0);
    ck_assert_int_eq(try_stage(client, &spec, &again, NULL), 0);
    ck_assert_ptr_eq(first, again);
    id = first->id;
    attachment = publish(client, id, 0);
    ck_assert_ptr_eq(publish(client, id, 0), attachment);
    /* Nor after another has replaced it. */
    world_put(&world, WORLD_UID, "region", "newer");
    ck_assert_ptr_eq(publish(client, id, 0), attachment);
    ck_assert_uint_eq(attachment->segment->version, 1);
    world_expect_content(&world, "region", "newer");
    ck_assert_int_eq(try_publish(client, id + 1000, 0, &attachment, NULL), -ENOENT);
    world_deinit(&world);
}
END_TEST

START_TEST(nobody_publishes_what_is_not_his) {
    struct attachment *attachment;
    struct client *one, *two;
    uint64_t id;

    world_init(&world);
    one = client_of(0, 1);
    two = client_of(0, 2);
    id = stage(one, "region", "one")->id;
    ck_assert_int_eq(try_publish(two, id, 0, &attachment, NULL), -ENOENT);
    /* Not what is only read, either. */
    publish(one, id, 0);
    id = world_attach(one, "region", RIGHT_READ)->id;
    ck_assert_int_eq(try_publish(one, id, 0, &attachment, NULL), -ENOENT);
    world_deinit(&world);
}
END_TEST

START_TEST(what_cannot_be_staged) {
    struct region_spec spec = world_spec("region");
    struct client *other;
    struct stage *stage;
    struct error error = {0};

    world_init(&world);
    spec.acl = "user:20002:w";
    world_create(&world, WORLD_UID, &spec);
    other = world_client(&world, OTHER_UID, 0, 2);
    ck_assert_int_eq(try_stage(other, &spec, &stage, &error), -EACCES);
    ck_assert_ptr_nonnull(strstr(error.text, "lacks the right 'r'"));
    spec = world_spec("new");
    spec.mode = 0777;
    ck_assert_int_eq(try_stage(other, &spec, &stage, NULL), -EINVAL);
    spec.mode = 0600;
    spec.size = 0;
    ck_assert_int_eq(try_stage(other, &spec, &stage, NULL), -EINVAL);
    spec.size = SIZE;
    world.config.user.most[LIMIT_BYTES] = SIZE - 1;
    ck_assert_int_eq(try_stage(other, &spec, &stage, NULL), -EDQUOT);
    world.config.user.most[LIMIT_BYTES] = LIMIT_NONE;
    world.config.user.most[LIMIT_ATTACHMENTS] = 0;
    ck_assert_int_eq(try_stage(other, &spec, &stage, &error), -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "attachments"));
    expect(1, 1, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(a_publish_that_cannot_be_leaves_the_stage) {
    struct attachment *attachment;
    struct client *client;
    uint64_t id;

    world_init(&world);
    client = client_of(0, 1);
    id = stage(client, "region", "kept")->id;
    world.config.user.most[LIMIT_REGIONS] = 0;
    ck_assert_int_eq(try_publish(client, id, 0, &attachment, NULL), -EDQUOT);
    expect(0, 1, 1, 0, 1);
    world.config.user.most[LIMIT_REGIONS] = LIMIT_NONE;
    publish(client, id, 0);
    world_expect_content(&world, "region", "kept");
    expect(1, 1, 0, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(the_hold_that_a_stage_becomes_keeps_an_attached_region) {
    struct region_spec spec = world_spec("region");
    struct client *client;
    struct stage *stage;
    uint64_t id;

    world_init(&world);
    spec.lifetime = LIFETIME_ATTACHED;
    client = client_of(0, 1);
    ck_assert_int_eq(try_stage(client, &spec, &stage, NULL), 0);
    id = stage->id;
    publish(client, id, 0);
    world_settle(&world);
    ck_assert(world_has(&world, "region"));
    ck_assert_int_eq(manager_detach(world.manager, client, id, NULL), 0);
    world_wait_gone(&world, "region");
    expect(0, 0, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

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
    client = client_of(getpid(), 1);
    in_shm = stage(client, "shm", "in shm")->id;
    in_file = stage(client, "file", "in a file")->id;
    for (unsigned i = 0; i < 2; i++) {
        world_restart(&world);
        world_expect_usage(&world, 1, 3 * SIZE, 2, 0);
        world_expect_segments(&world, 1, 2);
    }
    client = come_back();
    publish(client, in_shm, 0);
    attachment = publish(client, in_file, 1);
    ck_assert_uint_eq(attachment->segment->version, 2);
    world_expect_content(&world, "shm", "in shm");
    world_expect_content(&world, "file", "in a file");
    world_expect_usage(&world, 2, 2 * SIZE, 2, 1);
    world_restart(&world);
    world_expect_usage(&world, 2, 2 * SIZE, 2, 0);
    /* And a publish whose answer was lost is still known. */
    client = come_back();
    ck_assert_uint_eq(publish(client, in_file, 1)->segment->version, 2);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_of_a_region_with_a_sync_block) {
    struct region_spec spec = world_spec("region");
    struct stage *staged = NULL;
    struct client *client;

    world_init(&world);
    spec.sync_block = true;
    ck_assert_int_eq(try_stage(client_of(getpid(), 1), &spec, &staged, NULL), 0);
    world_expect_segments(&world, 1, 0);
    world_restart(&world);
    client = come_back();
    publish(client, LIST_FIRST(&client->stages)->id, 0);
    world_expect_segments(&world, 2, 0);
    publish(client, stage(client, "region", "second")->id, 1);
    manager_remove_client(world.manager, client);
    world_expect_segments(&world, 2, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_stage_ends_with_its_process_while_the_daemon_is_away) {
    pid_t pid = process_spawn();

    world_init(&world);
    stage(world_client(&world, WORLD_UID, pid, 1), "region", "never seen");
    world_stop(&world);
    process_kill(pid);
    world_start(&world);
    expect(0, 0, 0, 0, 0);
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
    stage(world_client(&world, WORLD_UID, pid, 1), "region", "never seen");
    world_restart(&world);
    expect(0, 1, 1, 0, 0);
    process_kill(pid);
    world_wait(&world, is_empty, NULL);
    expect(0, 0, 0, 0, 0);
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
    client = client_of(getpid(), 1);
    id = stage(client, "region", "staged")->id;
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
    expect(1, 2, 1, 0, 0);
    client = come_back();
    ck_assert_uint_eq(publish(client, id, 1)->segment->version, 2);
    world_expect_content(&world, "region", "staged");
    expect(1, 1, 0, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(a_publish_cut_off_after_its_commit_has_happened) {
    static const char *const names[] = {"new", "old"};
    struct client *client;

    world_init(&world);
    world_put(&world, WORLD_UID, "old", "old");
    client = client_of(getpid(), 1);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct stage *staged = stage(client, names[i], "staged");
        _cleanup_free_ char *text = NULL;
        char key[RECORD_KEY_MAX];

        stage_record_key(staged, key);
        ck_assert_int_eq(
            registry_get(world.manager->volatile_registry, REGISTRY_STAGES, key, &text), 0);
        publish(client, staged->id, 0);
        ck_assert_int_eq(
            registry_put(world.manager->volatile_registry, REGISTRY_STAGES, key, text, NULL), 0);
    }
    world_restart(&world);
    expect(2, 2, 0, 2, 0);
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
    client = client_of(0, UINT64_MAX);
    spec.acl = "user:20002:rw";
    spec.attributes = "{\"a\":\"\\\"\"}";
    spec.lifetime = LIFETIME_LEASE;
    spec.seconds = UINT32_MAX;
    spec.max_size = 2 * SIZE;
    spec.tag = (struct request_tag){UINT64_MAX, UINT32_MAX};
    ck_assert_int_eq(try_stage(client, &spec, &staged, NULL), 0);
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
    ck_assert_uint_eq(record.spec.max_size, 2 * SIZE);
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

SUITE_MAIN("stage", a_published_stage_is_a_version_and_an_attachment, one_of_two_publishers_wins,
           a_stage_goes_with_its_client, requests_that_were_answered_are_not_repeated,
           nobody_publishes_what_is_not_his, what_cannot_be_staged,
           a_publish_that_cannot_be_leaves_the_stage,
           the_hold_that_a_stage_becomes_keeps_an_attached_region, a_stage_outlives_the_daemon,
           a_stage_of_a_region_with_a_sync_block,
           a_stage_ends_with_its_process_while_the_daemon_is_away,
           a_stage_ends_with_its_process_before_it_comes_back,
           a_publish_cut_off_before_its_commit_gives_the_stage_back,
           a_publish_cut_off_after_its_commit_has_happened,
           a_stage_record_comes_back_whole_or_is_refused);
