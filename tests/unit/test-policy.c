/*
 * Policy: who may create which names, by a configuration as an administrator writes it, and what
 * such regions are; that every way to make a region asks.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/core/policy.h"
#include "daemon/core/snapshot.h"

#define FILE_PATH SCRATCH "/shmregd.json"
#define GROUP 20100u

static const char text[] =
    "{\"namespaces\": {"
    " \"feed\": {\"owner\": \"20003\", \"create\": [\"user:20001\", \"group:20100\"],"
    "  \"mode\": \"0640\", \"acl\": [\"user:20005:r\", \"unit:a.service:r\"], \"backing\": "
    "\"memfd\","
    "  \"lifetime\": \"attached\", \"seconds\": 60},"
    " \"feed/open\": {\"create\": [\"anyone\"]},"
    " \"jobs\": {\"create\": [\"unit:worker@*.service\"]},"
    " \"user/20002/shared\": {\"create\": [\"user:20001\"]},"
    " \"user\": {}}}";

static struct config *load(const char *content) {
    struct config *config;
    struct error error = {0};

    scratch_mount(8 << 20);
    scratch_write(FILE_PATH, content, strlen(content));
    ck_assert_msg(config_load(FILE_PATH, false, &config, &error) == 0, "%s", error.text);
    return config;
}

static bool may(const struct config *config, const struct caller *caller, const char *name) {
    struct error error = {0};
    int r = policy_check_create(config, caller, name, &error);

    ck_assert(r == 0 || (r == -EACCES && strstr(error.text, name)));
    return r == 0;
}

START_TEST(names_are_for_those_whom_their_namespace_lets) {
    struct config *config = load(text);
    gid_t groups[] = {GROUP};
    struct caller caller = {.uid = 20001, .gid = 1}, other = {.uid = 20002, .gid = 1};
    struct caller owner = {.uid = 20003, .gid = 1}, root = {.administrator = true};
    struct caller member = {.uid = 20009, .gid = 1, .groups = groups, .n_groups = 1};

    ck_assert(may(config, &caller, "feed/a"));
    ck_assert(may(config, &caller, "feed/a/b"));
    ck_assert(may(config, &caller, "feed"));
    ck_assert(may(config, &member, "feed/a"));
    ck_assert(may(config, &owner, "feed/a"));
    ck_assert(may(config, &root, "feed/a"));
    ck_assert(!may(config, &other, "feed/a"));
    /* A prefix ends with a whole component. */
    ck_assert(!may(config, &caller, "feeder"));
    ck_assert(!may(config, &caller, "fee"));
    /* The longest counts, alone. */
    ck_assert(may(config, &other, "feed/open/x"));
    ck_assert(!may(config, &other, "feed/opener"));
    ck_assert(!may(config, &other, "elsewhere"));
    ck_assert(may(config, &root, "elsewhere"));
    config_free(config);
}
END_TEST

START_TEST(units_create_what_is_theirs) {
    struct config *config = load(text);
    struct caller caller = {.uid = 20001, .units = {.system = (char *)"worker@3.service"}};

    ck_assert(may(config, &caller, "jobs/3"));
    caller.units.system = (char *)"other.service";
    ck_assert(!may(config, &caller, "jobs/3"));
    config_free(config);
}
END_TEST

START_TEST(a_user_has_names_of_his_own) {
    struct config *config = load(text);
    const struct caller caller = {.uid = 20001}, other = {.uid = 20002};
    const struct caller daemon = {.uid = 1}; /* an account of every Debian, called "daemon" */

    ck_assert(may(config, &caller, "user/20001/a"));
    ck_assert(!may(config, &other, "user/20001/a"));
    ck_assert(!may(config, &caller, "user/2000/a"));
    ck_assert(!may(config, &caller, "user/200011/a"));
    ck_assert(!may(config, &caller, "user/20001"));
    ck_assert(!may(config, &caller, "user"));
    ck_assert(may(config, &daemon, "user/daemon/a"));
    ck_assert(may(config, &daemon, "user/1/a"));
    ck_assert(!may(config, &daemon, "user/daemons/a"));
    ck_assert(!may(config, &caller, "user/daemon/a"));
    /* Unless configuration says something about them. */
    ck_assert(may(config, &caller, "user/20002/shared/a"));
    ck_assert(!may(config, &other, "user/20002/shared/a"));
    config_free(config);
}
END_TEST

START_TEST(what_a_region_leaves_open_its_namespace_says) {
    struct config *config = load(text);
    struct region_spec spec = world_spec("feed/a"), open = world_spec("feed/open/a");

    spec.mode = open.mode = MODE_UNSET;
    policy_complete(config, &spec);
    ck_assert_uint_eq(spec.mode, 0640);
    ck_assert_str_eq(spec.acl, "user:20005:r,unit:a.service:r");
    ck_assert_int_eq((int)spec.backing, BACKING_MEMFD);
    ck_assert_int_eq((int)spec.lifetime, LIFETIME_ATTACHED);
    ck_assert_uint_eq(spec.seconds, 60);
    policy_complete(config, &open);
    ck_assert_uint_eq(open.mode, DEFAULT_MODE);
    ck_assert_str_eq(open.acl, "");
    ck_assert_int_eq((int)open.backing, 0);

    spec = world_spec("feed/a");
    spec.mode = 0;
    spec.acl = "user:1:r";
    spec.backing = BACKING_SHM;
    spec.lifetime = LIFETIME_PERSISTENT;
    policy_complete(config, &spec);
    ck_assert_uint_eq(spec.mode, 0);
    ck_assert_str_eq(spec.acl, "user:1:r");
    ck_assert_int_eq((int)spec.backing, BACKING_SHM);
    ck_assert_int_eq((int)spec.lifetime, LIFETIME_PERSISTENT);
    ck_assert_uint_eq(spec.seconds, 0);
    config_free(config);
}
END_TEST

/* Each in a world whose configuration lets WORLD_UID create below "feed" only. */
START_TEST(every_way_to_make_a_region_asks) {
    struct config *config = load(text);
    const struct snapshot_listener listener = {0};
    struct region_spec spec = world_spec("mine");
    struct caller caller = world_caller(WORLD_UID);
    struct attachment *attachment;
    struct attachment_fds fds;
    struct snapshot *snapshot;
    struct region *region;
    struct client *client;
    struct stage *stage;
    struct world world;
    uint32_t version;
    bool created;
    int fd;

    world_init(&world);
    world_put(&world, WORLD_UID, "source", "text");
    ck_assert_int_eq(manager_configure(world.manager, config), 0);
    client = world_client(&world, WORLD_UID, 0, 1);
    ck_assert_int_eq(manager_create(world.manager, &caller, NULL, &spec, &region, NULL), -EACCES);
    ck_assert_int_eq(manager_create_and_attach(world.manager, client, &spec, true, RIGHT_WRITE,
                                               &attachment, &fds, &created, NULL),
                     -EACCES);
    ck_assert_int_eq(manager_put(world.manager, &caller, "mine", "x", 1, 0600, &version, NULL),
                     -EACCES);
    ck_assert_int_eq(manager_stage(world.manager, &caller, &spec, &stage, NULL), -EACCES);
    ck_assert_int_eq(manager_stage_as_client(world.manager, client, &spec, &stage, &fd, NULL),
                     -EACCES);
    ck_assert_int_eq(manager_snapshot(world.manager, &caller, client, "source", &spec, &listener,
                                      &snapshot, &region, NULL),
                     -EACCES);
    fd = memfd_create("adopted", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    spec.size = 0;
    ck_assert_int_eq(manager_adopt(world.manager, client, &spec, fd, 0, &attachment, &fds, NULL),
                     -EACCES);
    close(fd);
    /* What is there already is no matter of names. */
    world_put(&world, WORLD_UID, "source", "more");
    world_deinit(&world);
    config_free(config);
}
END_TEST

START_TEST(the_owner_of_a_namespace_has_all_rights_in_it) {
    struct config *config = load(text);
    const struct caller owner = world_caller(20003);
    struct region_spec spec = world_spec("feed/a");
    struct region *region;
    struct world world;

    world_init(&world);
    region = world_create(&world, WORLD_UID, &spec);
    ck_assert_uint_eq(access_rights(&region->access, &owner), 0);
    ck_assert_int_eq(manager_configure(world.manager, config), 0);
    ck_assert_uint_eq(access_rights(&region->access, &owner), RIGHT_ALL);
    ck_assert_int_eq(
        manager_set_access(world.manager, &owner, "feed/a", &(uint32_t){0604}, NULL, NULL), 0);
    ck_assert_uint_eq(access_rights(&region->access, &owner), RIGHT_ALL);
    ck_assert_int_eq(manager_configure(world.manager, &world.config), 0);
    ck_assert_uint_eq(access_rights(&region->access, &owner), RIGHT_READ);

    /* Also after a restart. */
    world.config.namespaces = config->namespaces;
    world.config.n_namespaces = config->n_namespaces;
    world_restart(&world);
    ck_assert_int_eq(manager_destroy(world.manager, &owner, "feed/a", NULL), 0);
    world_deinit(&world);
    config_free(config);
}
END_TEST

SUITE_MAIN("policy", names_are_for_those_whom_their_namespace_lets, units_create_what_is_theirs,
           a_user_has_names_of_his_own, what_a_region_leaves_open_its_namespace_says,
           every_way_to_make_a_region_asks, the_owner_of_a_namespace_has_all_rights_in_it);
