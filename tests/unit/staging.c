/*
 * Stages of clients in a world: see staging.h.
 */
#include "tests/unit/staging.h"

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"

#include <string.h>
#include <unistd.h>

struct client *staging_client(struct world *world, pid_t pid, uint64_t id) {
    return world_client(world, WORLD_UID, pid, id);
}

int staging_try(struct world *world, struct client *client, const struct region_spec *spec,
                struct stage **ret, struct error *error) {
    int fd = -1, r = manager_stage_as_client(world->manager, client, spec, ret, &fd, error);

    ck_assert_int_eq(fd >= 0, r == 0);
    if (r == 0)
        close(fd);
    return r;
}

struct stage *staging_fill(struct world *world, struct client *client, const char *name,
                           const char *text) {
    struct region_spec spec = world_spec(name);
    struct error error = {0};
    struct stage *stage = NULL;
    int r = staging_try(world, client, &spec, &stage, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    ck_assert_int_eq(stage_write(stage, 0, text, strlen(text), NULL), 0);
    return stage;
}

int staging_try_publish(struct world *world, struct client *client, uint64_t id, uint32_t expected,
                        struct attachment **ret, struct error *error) {
    int sync_block_fd = -1;
    int r =
        manager_publish_as_client(world->manager, client, id, expected, ret, &sync_block_fd, error);

    ck_assert_int_eq(sync_block_fd >= 0, r == 0 && (*ret)->region->sync_block);
    close_fd(&sync_block_fd);
    return r;
}

struct attachment *staging_publish(struct world *world, struct client *client, uint64_t id,
                                   uint32_t expected) {
    struct attachment *attachment = NULL;
    struct error error = {0};
    int r = staging_try_publish(world, client, id, expected, &attachment, &error);

    ck_assert_msg(r == 0, "%s", error.text);
    ck_assert_uint_eq(attachment->id, id);
    ck_assert_uint_eq(attachment->access, RIGHT_WRITE);
    return attachment;
}

static int count_record(void *data, const char *key, const char *value) {
    (void)key;
    (void)value;
    ++*(unsigned *)data;
    return 0;
}

unsigned staging_count_records(struct world *world, enum registry_table table) {
    unsigned count = 0;

    ck_assert_int_eq(registry_each(world->manager->volatile_registry, table, count_record, &count),
                     0);
    return count;
}

void staging_expect(struct world *world, unsigned regions, unsigned segments, unsigned stages,
                    unsigned attachments, unsigned clients) {
    world_expect_usage(world, regions, segments * STAGING_SIZE, stages + attachments, clients);
    world_expect_segments(world, (int)segments, 0);
    ck_assert_uint_eq(staging_count_records(world, REGISTRY_STAGES), stages);
    ck_assert_uint_eq(staging_count_records(world, REGISTRY_HOLDERS), attachments);
}
