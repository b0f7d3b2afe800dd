/*
 * Manager: what is asked, by whom, and what is refused; and that a refusal leaves everything as it
 * was: no region, no segment, no charge, no descriptor.
 */
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/core/attachment.h"

/* Creates as a user, and expects to be refused with that text in the reason. */
static void expect_refused(struct world *world, const struct region_spec *spec, int code,
                           const char *reason) {
    struct caller caller = world_caller(WORLD_UID);
    struct region *region;
    struct error error = {0};

    ck_assert_int_eq(manager_create(world->manager, &caller, NULL, spec, &region, &error), code);
    ck_assert_msg(strstr(error.text, reason), "%s", error.text);
}

START_TEST(a_region_of_each_backing) {
    struct world world;

    world_init(&world);
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing++) {
        struct region_spec spec = world_spec(backing_to_word(backing));
        struct region *region;

        spec.backing = backing;
        spec.size = 100;
        spec.max_size = 5000;
        spec.attributes = "{\"dtype\":\"u1\"}";
        region = world_create(&world, WORLD_UID, &spec);
        ck_assert_uint_eq(region->segment->backing, backing);
        ck_assert_uint_eq(region->segment->version, 1);
        ck_assert_uint_eq(region->segment->size, 100);
        ck_assert_uint_eq(region->access.owner_uid, WORLD_UID);
        ck_assert_str_eq(region->attributes, "{\"dtype\":\"u1\"}");
    }
    ck_assert_uint_eq(manager_n_regions(world.manager), 3);
    world_expect_usage(&world, 3, 15000, 0, 0);
    world_expect_segments(&world, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(what_makes_no_region_is_refused_with_the_reason) {
    static char long_attributes[5000] = "{\"a\":\"";
    const struct region_spec good = world_spec("good");
    struct region_spec bad[] = {good, good, good, good, good, good, good, good, good, good, good};
    const char *const reasons[] = {
        "empty component", "size is 0", "that large", "smaller than", "backing", "lifetime",
        "seconds",         "linger",    "mode",       "access rule",  "JSON"};
    struct world world;

    bad[0].name = "a//b";
    bad[1].size = 0;
    bad[2].size = UINT64_MAX;
    bad[3].max_size = 4095;
    bad[4].backing = 9;
    bad[5].lifetime = 9;
    bad[6].lifetime = LIFETIME_LEASE;
    bad[7].lifetime = LIFETIME_ATTACHED;
    bad[8].mode = 0777;
    bad[9].acl = "nonsense";
    bad[10].attributes = "{\"a\":1";
    world_init(&world);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        expect_refused(&world, &bad[i], -EINVAL, reasons[i]);
    bad[10].attributes = "[1]";
    expect_refused(&world, &bad[10], -EINVAL, "not a JSON object");
    bad[10].attributes = "{\"a\":1,\"a\":2}";
    expect_refused(&world, &bad[10], -EINVAL, "JSON");
    bad[10].attributes = long_attributes;
    memset(long_attributes + 6, 'x', sizeof(long_attributes) - 7);
    expect_refused(&world, &bad[10], -EINVAL, "at most 4096");
    bad[1].max_size = 4096;
    bad[1].backing = BACKING_MEMFD;
    expect_refused(&world, &bad[1], -EINVAL, "size is 0, which no memfd has");
    bad[0] = good;
    bad[0].lifetime = LIFETIME_OWNER;
    expect_refused(&world, &bad[0], -EINVAL, "owner region is created by");
    world_expect_usage(&world, 0, 0, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(a_name_is_taken_until_it_is_destroyed) {
    struct caller owner = world_caller(WORLD_UID), other = world_caller(OTHER_UID);
    struct region_spec spec = world_spec("once");
    struct error error = {0};
    struct world world;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    expect_refused(&world, &spec, -EEXIST, "'once' exists already");
    ck_assert_int_eq(manager_destroy(world.manager, &other, "once", &error), -EACCES);
    ck_assert_ptr_nonnull(strstr(error.text, "lacks the right 'm' to region 'once'"));
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "none", &error), -ENOENT);
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "a b", &error), -EINVAL);
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "once", &error), 0);
    world_expect_usage(&world, 0, 0, 0, 0);
    world_create(&world, OTHER_UID, &spec);
    world_deinit(&world);
}
END_TEST

START_TEST(the_same_request_again_is_answered_and_not_repeated) {
    struct caller owner = world_caller(WORLD_UID), other = world_caller(OTHER_UID);
    struct region_spec spec = world_spec("tagged");
    struct region *first, *again = NULL;
    struct world world;

    world_init(&world);
    spec.tag = (struct request_tag){.client_id = UINT64_MAX - 1, .serial = 5};
    first = world_create(&world, WORLD_UID, &spec);
    ck_assert_int_eq(manager_create(world.manager, &owner, NULL, &spec, &again, NULL), 0);
    ck_assert_ptr_eq(first, again);
    ck_assert_int_eq(manager_create(world.manager, &other, NULL, &spec, &again, NULL), -EEXIST);
    world_restart(&world);
    ck_assert_int_eq(manager_create(world.manager, &owner, NULL, &spec, &again, NULL), 0);
    spec.tag.serial++;
    expect_refused(&world, &spec, -EEXIST, "exists");
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_deinit(&world);
}
END_TEST

static int try_attach(struct client *client, const char *name, uint32_t access) {
    struct attachment *attachment;
    struct attachment_fds fds = {-1, -1};
    int r = manager_attach(client->manager, client, name, access, &attachment, &fds, NULL);

    ck_assert_int_eq(r == 0, fds.segment >= 0);
    if (r == 0) {
        ck_assert_int_eq(fcntl(fds.segment, F_GETFL) & O_ACCMODE,
                         access == RIGHT_READ ? O_RDONLY : O_RDWR);
        ck_assert_int_eq(manager_detach(client->manager, client, attachment->id, NULL), 0);
        attachment_fds_close(&fds);
    }
    return r;
}

START_TEST(who_may_attach_how) {
    static const struct {
        uint32_t mode;
        const char *acl;
        int read, write;
    } rows[] = {
        {0600, "", -EACCES, -EACCES},
        {0604, "", 0, -EACCES},
        {0602, "", -EACCES, -EACCES},
        {0606, "", 0, 0},
        {0600, "user:20002:r", 0, -EACCES},
        {0600, "user:20002:w", -EACCES, -EACCES},
        {0600, "user:20002:rw", 0, 0},
        {0600, "group:20002:r", 0, -EACCES},
        {0604, "user:20002:w", 0, 0},
        {0600, "user:20003:rw", -EACCES, -EACCES},
        {0600, "user:20002:m", -EACCES, -EACCES},
    };
    struct client *owner, *other;
    struct world world;

    world_init(&world);
    owner = world_client(&world, WORLD_UID, getpid(), 1);
    other = world_client(&world, OTHER_UID, getpid(), 2);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct region_spec spec = world_spec("shared");

        spec.mode = rows[i].mode;
        spec.acl = rows[i].acl;
        world_create(&world, WORLD_UID, &spec);
        ck_assert_int_eq(try_attach(owner, "shared", RIGHT_WRITE), 0);
        ck_assert_int_eq(try_attach(other, "shared", RIGHT_READ), rows[i].read);
        ck_assert_int_eq(try_attach(other, "shared", RIGHT_WRITE), rows[i].write);
        ck_assert_int_eq(manager_destroy(world.manager, &owner->caller, "shared", NULL), 0);
    }
    world_expect_usage(&world, 0, 0, 0, 2);
    world_deinit(&world);
}
END_TEST

START_TEST(an_attach_that_cannot_be_leaves_nothing) {
    struct region_spec spec = world_spec("shared");
    struct error error = {0};
    struct attachment *attachment;
    struct client *client;
    struct world world;
    unsigned before;
    struct attachment_fds fds;

    world_init(&world);
    world.config.user.most[LIMIT_ATTACHMENTS] = 1;
    world_create(&world, WORLD_UID, &spec);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    world_attach(client, "shared", RIGHT_READ);
    before = count_descriptors();
    ck_assert_int_eq(
        manager_attach(world.manager, client, "shared", RIGHT_READ, &attachment, &fds, &error),
        -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on attachments of user 20001"));
    ck_assert_int_eq(try_attach(client, "none", RIGHT_READ), -ENOENT);
    ck_assert_int_eq(try_attach(client, "a b", RIGHT_READ), -EINVAL);
    ck_assert_int_eq(try_attach(client, "shared", 0), -EINVAL);
    ck_assert_int_eq(try_attach(client, "shared", RIGHT_MANAGE), -EINVAL);
    ck_assert_int_eq(manager_detach(world.manager, client, 999999, &error), -ENOENT);
    ck_assert_uint_eq(count_descriptors(), before);
    ck_assert_uint_eq(client->n_attachments, 1);
    world_expect_usage(&world, 1, 4096, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(create_and_attach_is_both_or_neither) {
    struct region_spec spec = world_spec("both");
    struct attachment *attachment;
    struct error error = {0};
    struct client *client;
    struct world world;
    struct attachment_fds fds;
    bool created;

    world_init(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    world.config.user.most[LIMIT_ATTACHMENTS] = 0;
    ck_assert_int_eq(manager_create_and_attach(world.manager, client, &spec, false, RIGHT_WRITE,
                                               &attachment, &fds, &created, &error),
                     -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "attachments"));
    ck_assert(!world_has(&world, "both"));
    world_expect_usage(&world, 0, 0, 0, 1);
    world_expect_segments(&world, 0, 0);

    world.config.user.most[LIMIT_ATTACHMENTS] = 9;
    world_create_attached(client, &spec);
    ck_assert_int_eq(manager_create_and_attach(world.manager, client, &spec, false, RIGHT_WRITE,
                                               &attachment, &fds, &created, NULL),
                     -EEXIST);
    ck_assert_int_eq(manager_create_and_attach(world.manager, client, &spec, true, RIGHT_WRITE,
                                               &attachment, &fds, &created, NULL),
                     0);
    ck_assert(!created);
    attachment_fds_close(&fds);
    world_expect_usage(&world, 1, 4096, 2, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(a_repeated_request_that_cannot_attach_leaves_what_it_made) {
    struct region_spec spec = world_spec("made");
    struct attachment *attachment;
    struct attachment_fds fds;
    struct client *client;
    struct world world;
    bool created;

    world_init(&world);
    spec.tag = (struct request_tag){.client_id = 1, .serial = 5};
    client = world_client(&world, WORLD_UID, getpid(), 1);
    world_create_attached(client, &spec);
    world_restart(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    world.config.user.most[LIMIT_ATTACHMENTS] = 1;
    ck_assert_int_eq(manager_create_and_attach(world.manager, client, &spec, false, RIGHT_WRITE,
                                               &attachment, &fds, &created, NULL),
                     -EDQUOT);
    ck_assert(world_has(&world, "made"));
    world_expect_usage(&world, 1, 4096, 1, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(what_makes_no_region_does_not_open_one_either) {
    struct region_spec spec = world_spec("there"), bad[3];
    struct attachment *attachment;
    struct attachment_fds fds;
    struct client *client;
    struct world world;
    bool created;

    world_init(&world);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    world_create(&world, WORLD_UID, &spec);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = spec;
    bad[0].mode = 0700;
    bad[1].acl = "user:20002:x";
    bad[2].durability = DURABILITY_PUBLISH;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_int_eq(manager_create_and_attach(world.manager, client, &bad[i], true, RIGHT_READ,
                                                   &attachment, &fds, &created, NULL),
                         -EINVAL);
    world_expect_usage(&world, 1, 4096, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(every_limit_is_refused_by_name_and_leaves_nothing) {
    struct region_spec spec = world_spec("one");
    struct caller caller = world_caller(WORLD_UID);
    struct error error = {0};
    struct client *client;
    struct world world;

    world_init(&world);
    world.config.user.most[LIMIT_REGIONS] = 1;
    world.config.total.most[LIMIT_BYTES] = 10000;
    world.config.user.most[LIMIT_CONNECTIONS] = 0;
    world_create(&world, WORLD_UID, &spec);
    spec.name = "two";
    expect_refused(&world, &spec, -EDQUOT, "limit on regions of user 20001");
    world.config.user.most[LIMIT_REGIONS] = 9;
    spec.max_size = 5905;
    expect_refused(&world, &spec, -ENOSPC, "limit on bytes of all users");
    ck_assert_int_eq(manager_add_client(world.manager, &caller, -1, &client, &error), -EDQUOT);
    ck_assert_ptr_nonnull(strstr(error.text, "limit on connections"));
    world_expect_usage(&world, 1, 4096, 0, 0);
    world_expect_segments(&world, 1, 0);
    spec.max_size = 5904;
    world_create(&world, WORLD_UID, &spec);
    world_deinit(&world);
}
END_TEST

START_TEST(without_descriptors_everything_is_refused_and_nothing_left) {
    struct region_spec spec = world_spec("shared");
    struct client *client;
    struct rlimit limit;
    struct world world;
    rlim_t kept;

    world_init(&world);
    world_create(&world, WORLD_UID, &spec);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    kept = limit.rlim_cur;
    limit.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(try_attach(client, "shared", RIGHT_READ), -EMFILE);
    for (unsigned backing = BACKING_SHM; backing <= BACKING_FILE; backing++) {
        spec.name = "other";
        spec.backing = backing;
        expect_refused(&world, &spec, -EMFILE, "cannot make a");
    }
    limit.rlim_cur = kept;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    world_expect_usage(&world, 1, 4096, 0, 1);
    world_expect_segments(&world, 1, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(access_and_attributes_change_for_good) {
    struct caller owner = world_caller(WORLD_UID), other = world_caller(OTHER_UID);
    struct region_spec spec = world_spec("changed");
    const uint32_t mode = 0644, bad_mode = 0700;
    struct region *region;
    struct world world;

    world_init(&world);
    spec.acl = "user:20003:r";
    world_create(&world, WORLD_UID, &spec);
    ck_assert_int_eq(manager_find(world.manager, &other, "changed", &region, NULL), -EACCES);
    ck_assert_int_eq(manager_set_access(world.manager, &other, "changed", &mode, NULL, NULL),
                     -EACCES);
    ck_assert_int_eq(manager_set_access(world.manager, &owner, "changed", &bad_mode, NULL, NULL),
                     -EINVAL);
    ck_assert_int_eq(manager_set_access(world.manager, &owner, "changed", &mode, NULL, NULL), 0);
    ck_assert_int_eq(
        manager_set_access(world.manager, &owner, "changed", NULL, "user:20002:m", NULL), 0);
    ck_assert_int_eq(manager_set_access(world.manager, &owner, "changed", NULL, "bogus", NULL),
                     -EINVAL);
    ck_assert_int_eq(manager_set_attributes(world.manager, &other, "changed", "{\"a\":1}", NULL),
                     0);
    ck_assert_int_eq(manager_set_attributes(world.manager, &other, "changed", "x", NULL), -EINVAL);
    world_restart(&world);
    ck_assert_int_eq(manager_find(world.manager, &other, "changed", &region, NULL), 0);
    ck_assert_uint_eq(region->access.mode, 0644);
    ck_assert_str_eq(region->access.acl, "user:20002:m");
    ck_assert_str_eq(region->attributes, "{\"a\":1}");
    world_deinit(&world);
}
END_TEST

SUITE_MAIN("manager", a_region_of_each_backing, what_makes_no_region_is_refused_with_the_reason,
           a_name_is_taken_until_it_is_destroyed,
           the_same_request_again_is_answered_and_not_repeated, who_may_attach_how,
           an_attach_that_cannot_be_leaves_nothing, create_and_attach_is_both_or_neither,
           a_repeated_request_that_cannot_attach_leaves_what_it_made,
           what_makes_no_region_does_not_open_one_either,
           every_limit_is_refused_by_name_and_leaves_nothing,
           without_descriptors_everything_is_refused_and_nothing_left,
           access_and_attributes_change_for_good);
