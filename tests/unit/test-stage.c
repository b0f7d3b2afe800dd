/*
 * Stages of clients: they become the region's version and the client's attachment in one step, and go with
 * their client.
 */
#include "tests/unit/staging.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"

static struct world world;

START_TEST(a_published_stage_is_a_version_and_an_attachment) {
    struct client *client;
    struct attachment *first, *second;

    world_init(&world);
    client = staging_client(&world, 0, 1);
    first = staging_publish(&world, client, staging_fill(&world, client, "region", "first")->id, 0);
    ck_assert_uint_eq(first->segment->version, 1);
    ck_assert_uint_eq(first->region->writers, 1);
    world_expect_content(&world, "region", "first");
    staging_expect(&world, 1, 1, 0, 1, 1);
    second =
        staging_publish(&world, client, staging_fill(&world, client, "region", "second")->id, 1);
    ck_assert_uint_eq(second->segment->version, 2);
    ck_assert_uint_eq(second->region->writers, 2);
    world_expect_content(&world, "region", "second");
    world_expect_usage(&world, 1, 2 * STAGING_SIZE, 2, 1);
    ck_assert_int_eq(manager_detach(world.manager, client, first->id, NULL), 0);
    staging_expect(&world, 1, 1, 0, 1, 1);
    ck_assert_int_eq(manager_detach(world.manager, client, second->id, NULL), 0);
    staging_expect(&world, 1, 1, 0, 0, 1);
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
    one = staging_client(&world, 0, 1);
    two = staging_client(&world, 0, 2);
    loser = staging_fill(&world, two, "region", "two")->id;
    staging_publish(&world, one, staging_fill(&world, one, "region", "one")->id, 1);
    ck_assert_int_eq(staging_try_publish(&world, two, loser, 1, &attachment, &error), -ESTALE);
    ck_assert_str_eq(error.text, "region 'region' is at version 2, not 1");
    world_expect_content(&world, "region", "one");
    /* The loser still has its stage, and may look at what won before it tries again. */
    staging_publish(&world, two, loser, 2);
    world_expect_content(&world, "region", "two");
    loser = staging_fill(&world, two, "new", "new")->id;
    ck_assert_int_eq(staging_try_publish(&world, two, loser, 1, &attachment, &error), -ESTALE);
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
    client = staging_client(&world, 0, 1);
    id = staging_fill(&world, client, "region", "given up")->id;
    staging_fill(&world, client, "new", "left behind");
    world_expect_segments(&world, 3, 0);
    ck_assert_int_eq(manager_detach(world.manager, client, id, NULL), 0);
    ck_assert_int_eq(manager_detach(world.manager, client, id, NULL), -ENOENT);
    world_expect_usage(&world, 1, STAGING_SIZE + 3, 1, 1);
    manager_remove_client(world.manager, client);
    world_expect_usage(&world, 1, 3, 0, 0);
    world_expect_segments(&world, 1, 0);
    ck_assert_uint_eq(staging_count_records(&world, REGISTRY_STAGES), 0);
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
    client = staging_client(&world, 0, 1);
    spec.tag = (struct request_tag){1, 5};
    ck_assert_int_eq(staging_try(&world, client, &spec, &first, NULL), 0);
    ck_assert_int_eq(staging_try(&world, client, &spec, &again, NULL), 0);
    ck_assert_ptr_eq(first, again);
    id = first->id;
    attachment = staging_publish(&world, client, id, 0);
    ck_assert_ptr_eq(staging_publish(&world, client, id, 0), attachment);
    /* Nor after another has replaced it. */
    world_put(&world, WORLD_UID, "region", "newer");
    ck_assert_ptr_eq(staging_publish(&world, client, id, 0), attachment);
    ck_assert_uint_eq(attachment->segment->version, 1);
    world_expect_content(&world, "region", "newer");
    ck_assert_int_eq(staging_try_publish(&world, client, id + 1000, 0, &attachment, NULL), -ENOENT);
    world_deinit(&world);
}
END_TEST

START_TEST(nobody_publishes_what_is_not_his) {
    struct attachment *attachment;
    struct client *one, *two;
    uint64_t id;

    world_init(&world);
    one = staging_client(&world, 0, 1);
    two = staging_client(&world, 0, 2);
    id = staging_fill(&world, one, "region", "one")->id;
    ck_assert_int_eq(staging_try_publish(&world, two, id, 0, &attachment, NULL), -ENOENT);
    /* Not what is only read, either. */
    staging_publish(&world, one, id, 0);
    id = world_attach(one, "region", RIGHT_READ)->id;
    ck_assert_int_eq(staging_try_publish(&world, one, id, 0, &attachment, NULL), -ENOENT);
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
    ck_assert_int_eq(staging_try(&world, other, &spec, &stage, &error), -EACCES);
    ck_assert_ptr_nonnull(strstr(error.text, "lacks the right 'r'"));
    spec = world_spec("new");
    spec.mode = 0777;
    ck_assert_int_eq(staging_try(&world, other, &spec, &stage, NULL), -EINVAL);
    spec.mode = 0600;
    spec.size = 0;
    ck_assert_int_eq(staging_try(&world, other, &spec, &stage, NULL), -EINVAL);
    spec.size = STAGING_SIZE;
    world.config.user.most[LIMIT_BYTES] = STAGING_SIZE - 1;
    ck_assert_int_eq(staging_try(&world, other, &spec, &stage, NULL), -EDQUOT);
    world.config.user.most[LIMIT_BYTES] = LIMIT_NONE;
    world.config.user.most[LIMIT_ATTACHMENTS] = 0;
    ck_assert_int_eq(staging_try(&world, other, &spec, &stage, &error), -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "attachments"));
    staging_expect(&world, 1, 1, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(a_publish_that_cannot_be_leaves_the_stage) {
    struct attachment *attachment;
    struct client *client;
    uint64_t id;

    world_init(&world);
    client = staging_client(&world, 0, 1);
    id = staging_fill(&world, client, "region", "kept")->id;
    world.config.user.most[LIMIT_REGIONS] = 0;
    ck_assert_int_eq(staging_try_publish(&world, client, id, 0, &attachment, NULL), -EDQUOT);
    staging_expect(&world, 0, 1, 1, 0, 1);
    world.config.user.most[LIMIT_REGIONS] = LIMIT_NONE;
    staging_publish(&world, client, id, 0);
    world_expect_content(&world, "region", "kept");
    staging_expect(&world, 1, 1, 0, 1, 1);
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
    client = staging_client(&world, 0, 1);
    ck_assert_int_eq(staging_try(&world, client, &spec, &stage, NULL), 0);
    id = stage->id;
    staging_publish(&world, client, id, 0);
    world_settle(&world);
    ck_assert(world_has(&world, "region"));
    ck_assert_int_eq(manager_detach(world.manager, client, id, NULL), 0);
    world_wait_gone(&world, "region");
    staging_expect(&world, 0, 0, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("stage", a_published_stage_is_a_version_and_an_attachment, one_of_two_publishers_wins,
           a_stage_goes_with_its_client, requests_that_were_answered_are_not_repeated,
           nobody_publishes_what_is_not_his, what_cannot_be_staged,
           a_publish_that_cannot_be_leaves_the_stage,
           the_hold_that_a_stage_becomes_keeps_an_attached_region);
