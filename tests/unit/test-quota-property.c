/*
 * Quota, as a property: after any sequence of operations, each of which may fail at any allocation,
 * record or descriptor, or for a limit, every account is what a count of all that is there gives;
 * also after a restart; and when all has ended, there is nothing in any account.
 *
 * A run is made by its seed, which is printed: SHMREG_TEST_SEED=N repeats it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "daemon/core/attachment.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/stage.h"
#include "daemon/ground/log.h"
#include "tests/unit/failing.h"
#include "tests/unit/recount.h"
#include "tests/unit/world.h"

#define ACTORS 4
#define STARTS 3
#define NAMES 6

static const uid_t uids[ACTORS] = {20001, 20001, 20002, 0};
static const char *const units[ACTORS] = {"a.service", "20001/b@1.service", "a.service", NULL};
static const char *const names[NAMES] = {"feed/eu/a", "feed/eu/b", "feed/c",
                                         "feed",      "other/d",   "e"};

struct actor {
    pid_t pid;
    struct client *client; /* NULL: not connected */
};

static struct run {
    struct world world;
    unsigned random;
    pid_t pids[STARTS][ACTORS];
    unsigned n_starts;
    struct actor actors[ACTORS];
    struct makers makers;
    unsigned actor; /* who acts */
    struct limits outer, inner;
    struct namespace spaces[3];
} run;

static unsigned below(unsigned most) {
    run.random = run.random * 1103515245u + 12345u;
    return (run.random >> 16) % most;
}

static void check(void) {
    run.makers.uid = uids[run.actor];
    run.makers.unit = units[run.actor];
    recount_check(run.world.manager, &run.makers);
}

static struct caller make_caller(void) {
    struct caller caller = world_caller(uids[run.actor]);

    caller.pid = run.actors[run.actor].pid;
    caller.administrator = true;
    if (units[run.actor] && asprintf(&caller.units.name, "%s", units[run.actor]) < 0)
        caller.units.name = NULL;
    return caller;
}

static void connect_client(struct error *error) {
    static uint64_t client_id = 1;
    struct actor *actor = &run.actors[run.actor];
    struct caller caller = make_caller();

    if (manager_add_client(run.world.manager, &caller, -1, &actor->client, error) == 0)
        actor->client->id = client_id++;
    else
        actor->client = NULL;
    caller_deinit(&caller);
}

static void close_fds(struct attachment_fds *fds) {
    close_fd(&fds->segment);
    close_fd(&fds->sync_block);
}

static struct region_spec make_spec(void) {
    static const enum lifetime lifetimes[] = {LIFETIME_PERSISTENT, LIFETIME_ATTACHED,
                                              LIFETIME_OWNER, LIFETIME_CACHE};
    struct region_spec spec = world_spec(names[below(NAMES)]);

    spec.size = 1 + below(3 * 4096);
    spec.max_size = below(2) ? spec.size + below(4096) : 0;
    spec.backing = below(3) ? BACKING_SHM : below(2) ? BACKING_MEMFD : BACKING_FILE;
    spec.lifetime = lifetimes[below(4)];
    spec.seconds = spec.lifetime == LIFETIME_ATTACHED ? 600 : 0;
    spec.sync_block = below(2);
    return spec;
}

/* Any attachment or stage of the client, by its id. */
static uint64_t pick_hold(const struct client *client) {
    const struct attachment *attachment = client_any_attachment(client);
    const struct stage *stage = LIST_FIRST(&client->stages);

    if (stage && (!attachment || below(2)))
        return stage->id;
    return attachment ? attachment->id : 0;
}

static void adopt(struct client *client, struct error *error) {
    struct region_spec spec = make_spec();
    struct attachment_fds fds = {-1, -1};
    struct attachment *attachment;
    int fd = memfd_create("adopted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return;
    spec.size = spec.max_size = 0;
    spec.backing = 0;
    if (ftruncate(fd, 5000) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
        manager_adopt(run.world.manager, client, &spec, fd, RIGHT_READ, &attachment, &fds, error) ==
            0)
        close_fds(&fds);
    close(fd);
}

static void stage(struct client *client, struct error *error) {
    struct region_spec spec = make_spec();
    struct stage *stage;
    int fd;

    if (manager_stage_as_client(run.world.manager, client, &spec, &stage, &fd, error) == 0)
        close(fd);
}

static void publish(struct client *client, struct error *error) {
    struct stage *stage = LIST_FIRST(&client->stages);
    struct attachment *attachment;
    int fd;

    if (stage && manager_publish_as_client(run.world.manager, client, stage->id, 0, &attachment,
                                           &fd, error) == 0)
        close_fd(&fd);
}

/* Rather what the client stages for. */
static void give(const struct client *client, const char *name, struct error *error) {
    const struct stage *stage = LIST_FIRST(&client->stages);
    const struct caller caller = world_caller(0);
    const struct region *region;
    uid_t uid = uids[below(ACTORS)];

    if (stage && below(4))
        name = stage->spec.name;
    region = manager_lookup(run.world.manager, name);
    if (manager_set_owner(run.world.manager, &caller, name, uid, uid, error) == 0)
        recount_give(&run.makers, region->id, uid);
}

static void attach(struct client *client, bool create, struct error *error) {
    struct region_spec spec = make_spec();
    uint32_t access = below(2) ? RIGHT_READ : RIGHT_WRITE;
    struct attachment *attachment;
    struct attachment_fds fds;
    bool created;
    int r = create ? manager_create_and_attach(run.world.manager, client, &spec, below(2), access,
                                               &attachment, &fds, &created, error)
                   : manager_attach(run.world.manager, client, spec.name, access, &attachment, &fds,
                                    error);

    if (r == 0)
        close_fds(&fds);
}

/* Limits of everything, small or none; sometimes there are other namespaces. */
static void configure(void) {
    static const uint64_t most[LIMIT_KIND_COUNT] = {5, 60000, 10, 4};
    struct limits *limits[] = {&run.world.config.total, &run.world.config.user,
                               &run.world.config.unit, &run.outer, &run.inner};

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
            limits[i]->most[kind] =
                below(3) ? LIMIT_NONE : 1 + below((unsigned)most[kind] * (i == 0 ? 3 : 2));
    run.world.config.n_namespaces = 1 + below(3);
    ck_assert_int_eq(manager_configure(run.world.manager, &run.world.config), 0);
}

static void act(struct actor *actor, struct error *error) {
    struct manager *manager = run.world.manager;
    struct client *client = actor->client;
    struct caller caller = world_caller(0);
    const char *name = names[below(NAMES)];
    uint32_t version;

    if (!client) {
        connect_client(error);
        return;
    }
    switch (below(16)) {
    case 0:
        manager_remove_client(manager, client);
        actor->client = NULL;
        break;
    case 1:
        manager_destroy(manager, &caller, name, error);
        break;
    case 2:
        manager_put(manager, &client->caller, name, "value", 5, DEFAULT_MODE, &version, error);
        break;
    case 3:
        manager_resize(manager, &caller, name, 1 + below(4 * 4096), error);
        break;
    case 4:
    case 5:
        manager_detach(manager, client, pick_hold(client), error);
        break;
    case 6:
        adopt(client, error);
        break;
    case 7:
    case 8:
        stage(client, error);
        break;
    case 9:
        publish(client, error);
        break;
    case 10:
    case 11:
        give(client, name, error);
        break;
    default:
        attach(client, below(2), error);
    }
}

static void act_badly(void) {
    struct rlimit limit, tight;
    struct error error = {0};
    unsigned trouble = below(4);

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    tight = limit;
    if (trouble == 0)
        tight.rlim_cur = count_descriptors() - 2 + below(6);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    fail_after(trouble == 1 ? (long)below(12) : -1);
    act(&run.actors[run.actor], &error);
    fail_after(-1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static bool has_no_client(struct world *world, void *data) {
    (void)data;
    return TAILQ_EMPTY(&world->manager->clients);
}

/* Processes for every start, made before there is anything that they could inherit. */
static void spawn_processes(void) {
    for (unsigned i = 0; i < STARTS * ACTORS; i++)
        run.pids[i / ACTORS][i % ACTORS] = process_spawn();
}

static void next_actors(void) {
    for (unsigned i = 0; i < ACTORS; i++)
        run.actors[i] = (struct actor){.pid = run.pids[run.n_starts][i]};
    run.n_starts++;
}

/* The daemon is killed, and the next one counts what there is on record; then all processes end. */
static void restart(void) {
    world_restart(&run.world);
    recount_restart(&run.makers);
    check();
    for (unsigned i = 0; i < ACTORS; i++)
        process_kill(run.actors[i].pid);
    world_wait(&run.world, has_no_client, NULL);
    world_settle(&run.world);
    check();
    next_actors();
}

static void expect_nothing(void *data, const struct account *account) {
    (void)data;
    ck_assert(account->kind == ACCOUNT_TOTAL || account->kind == ACCOUNT_NAMESPACE);
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        ck_assert_uint_eq(account->used[kind], 0);
}

static void end_everything(void) {
    const struct caller caller = world_caller(0);

    for (unsigned i = 0; i < ACTORS; i++)
        if (run.actors[i].client)
            manager_remove_client(run.world.manager, run.actors[i].client);
    for (unsigned i = 0; i < NAMES; i++)
        manager_destroy(run.world.manager, &caller, names[i], NULL);
    world_settle(&run.world);
    accounts_each(quota_accounts(manager_quota(run.world.manager)), expect_nothing, NULL);
}

static void start(unsigned seed) {
    log_capture();
    spawn_processes();
    world_init(&run.world);
    run.random = seed;
    run.spaces[0] = run.world.config.namespaces[0];
    run.spaces[1] =
        (struct namespace){.prefix = (char *)"feed", .anyone = true, .limits = &run.outer};
    run.spaces[2] =
        (struct namespace){.prefix = (char *)"feed/eu", .anyone = true, .limits = &run.inner};
    run.world.config.namespaces = run.spaces;
    configure();
    next_actors();
}

static void go(unsigned seed, unsigned steps) {
    start(seed);
    for (unsigned step = 0; step < steps; step++) {
        run.actor = below(ACTORS);
        if (below(20) == 0)
            configure();
        else if (step == steps / 2 || step == steps * 3 / 4)
            restart();
        else
            act_badly();
        check();
    }
    end_everything();
    world_deinit(&run.world);
}

START_TEST(every_account_is_what_there_is) {
    const char *chosen = getenv("SHMREG_TEST_SEED");
    bool is_long = getenv("SHMREG_TEST_LONG");
    unsigned seed = chosen    ? (unsigned)strtoul(chosen, NULL, 10)
                    : is_long ? (unsigned)time(NULL)
                              : 1;

    fprintf(stderr, "SHMREG_TEST_SEED=%u\n", seed);
    go(seed, is_long ? 20000 : 1200);
}
END_TEST

/* At each allocation and record in turn, the record of the region itself among them. */
START_TEST(a_change_of_owner_that_fails_moves_no_charge) {
    const struct caller root = world_caller(0);
    struct region_spec spec = world_spec("e");
    const struct region *region;
    struct error error;
    long calls = 0;
    int r;

    spec.sync_block = true;
    start(1);
    run.actor = 3;
    world_create(&run.world, uids[run.actor], &spec);
    region = manager_lookup(run.world.manager, "e");
    check();
    do {
        fail_after(calls);
        r = manager_set_owner(run.world.manager, &root, "e", 20001, 20001, &error);
        fail_after(-1);
        if (r == 0)
            recount_give(&run.makers, region->id, 20001);
        check();
        ck_assert_int_lt(calls++, 100);
    } while (r < 0);
    ck_assert_int_gt(calls, 3);
    end_everything();
    world_deinit(&run.world);
}
END_TEST

SUITE_MAIN("quota-property", every_account_is_what_there_is,
           a_change_of_owner_that_fails_moves_no_charge);
