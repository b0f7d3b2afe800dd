/*
 * Roles: what a stranger, an owner, an administrator, the holder of an old descriptor and whoever shares
 * the daemon's user can and cannot do, under their real uids
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER 20001
#define READER 20002
#define STRANGER 20004
#define ADMINISTRATOR 20005
#define SIZE 100000L
#define RULES "user:20002:r,user:20003:rw"
#define ADMIN_GROUP 65534 /* "nogroup" */

enum { SHM, MEMFD, FILES, BACKINGS };

static const uint32_t backings[] = {SHMREG_SHM, SHMREG_MEMFD, SHMREG_FILE};

static struct test_daemon daemon_;
static shmreg_conn *conn; /* root's */
static int backing;

static void setup(void) {
    daemon_start_with(&daemon_, "{\"admin_group\": \"nogroup\"}");
    conn = connect_to(&daemon_);
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static int open_again(int fd, int flags) {
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC);
    if (again < 0)
        return -errno;
    close(again);
    return 0;
}

static void make_region(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)channel;
    (void)data;
    create_region(own, "region", SIZE, SHMREG_OPTIONS(.backing = backings[backing], .acl = RULES));
    shmreg_disconnect(own);
}

/* The one segment there is. */
static void segment_path(char ret[static 256]) {
    _cleanup_closedir_ DIR *stream = opendir("/dev/shm");
    const struct dirent *entry;

    ck_assert_ptr_nonnull(stream);
    while ((entry = readdir(stream)))
        if (strncmp(entry->d_name, "shmreg.", 7) == 0) {
            snprintf(ret, 256, "/dev/shm/%.200s", entry->d_name);
            return;
        }
    ck_abort_msg("no segment in /dev/shm");
}

static void expect_no_way_to(const char *path) {
    ck_assert_int_eq(open(path, O_RDONLY | O_CLOEXEC), -1);
    ck_assert_msg(errno == EACCES, "%s: %s", path, strerror(errno));
}

static void expect_no_way_into_the_daemon(void) {
    char path[DAEMON_PATH_MAX + 32];

    snprintf(path, sizeof(path), "/proc/%d/fd", daemon_.pid);
    expect_no_way_to(path);
    snprintf(path, sizeof(path), "/proc/%d/fd/0", daemon_.pid);
    expect_no_way_to(path);
    snprintf(path, sizeof(path), "/proc/%d/mem", daemon_.pid);
    expect_no_way_to(path);
    expect_no_way_to(daemon_.state);
    snprintf(path, sizeof(path), "%s/registry", daemon_.runtime);
    expect_no_way_to(path);
}

static void expect_refused_everything(shmreg_conn *own) {
    struct shmreg_description *description;
    shmreg_region *region;
    char byte;
    size_t size;

    expect_error(shmreg_open(own, "region", SHMREG_READ, &region), -EACCES, "the right 'r'");
    expect_error(shmreg_open(own, "region", SHMREG_WRITE, &region), -EACCES, "the right ");
    expect_error(shmreg_get(own, "region", &byte, 1, &size), -EACCES, "the right 'r'");
    expect_error(shmreg_put(own, "region", "x", 1, SHMREG_MODE_DEFAULT), -EACCES, "the right 'w'");
    expect_error(shmreg_stage(own, "region", 1, NULL, &region), -EACCES, "the right ");
    expect_error(shmreg_describe(own, "region", &description), -EACCES, "the right 'r'");
    expect_error(shmreg_snapshot(own, "region", "copy", NULL, NULL, NULL), -EACCES,
                 "the right 'r'");
    expect_error(shmreg_destroy(own, "region"), -EACCES, "the right 'm'");
    expect_error(shmreg_set_access(own, "region", 0666, NULL), -EACCES, "the right 'm'");
    expect_error(shmreg_set_attributes(own, "region", "{}"), -EACCES, "the right 'm'");
    expect_error(shmreg_resize(own, "region", 1), -EACCES, "the right 'm'");
    expect_error(shmreg_seal(own, "region"), -EACCES, "the right 'm'");
    expect_error(shmreg_create(own, "region", 1, NULL, &region), -EEXIST, "exists already");
}

static void be_a_stranger(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    char path[256];
    struct stat status;

    (void)channel;
    (void)data;
    expect_refused_everything(own);
    expect_no_way_into_the_daemon();
    if (backing == SHM) {
        segment_path(path);
        expect_no_way_to(path);
        ck_assert_int_eq(unlink(path), -1);
        ck_assert_int_eq(errno, EPERM);
        ck_assert_int_eq(rename(path, "/dev/shm/mine"), -1);
        ck_assert_int_eq(errno, EPERM);
        /* A name says who has it and how large it is to anyone. */
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_uint_eq((uint64_t)status.st_size, SIZE);
    }
    shmreg_disconnect(own);
}

START_TEST(test_a_stranger) {
    for (backing = 0; backing < BACKINGS; backing++) {
        run_as(USER(OWNER), make_region, NULL);
        run_as(USER(STRANGER), be_a_stranger, NULL);
        expect_ok(shmreg_destroy(conn, "region"));
    }
}
END_TEST

static void take_names(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region;

    (void)channel;
    (void)data;
    create_region(own, "user/20004/mine", 1, NULL);
    expect_error(shmreg_create(own, "feed/prices", 1, NULL, &region), -EACCES, "feed/prices");
    expect_error(shmreg_create(own, "user/20001/his", 1, NULL, &region), -EACCES, "user/20001");
    expect_error(shmreg_put(own, "feed/prices", "x", 1, 0600), -EACCES, "feed/prices");
    expect_error(shmreg_stage(own, "feed/prices", 1, NULL, &region), -EACCES, "feed/prices");
    shmreg_disconnect(own);
}

/* Without the drop-in of the other tests, which lets anyone create anything. */
START_TEST(test_names_that_are_others) {
    char drop_in[DAEMON_PATH_MAX + 32];

    daemon_stop(&daemon_);
    snprintf(drop_in, sizeof(drop_in), "%s/conf.d/open.json", daemon_.root);
    ck_assert_int_eq(unlink(drop_in), 0);
    daemon_launch(&daemon_);
    run_as(USER(STRANGER), take_names, NULL);
}
END_TEST

/* As many names as may come next; none of them is what comes. */
static void squat(int channel, void *data) {
    char path[256], *version;

    (void)channel;
    (void)data;
    segment_path(path);
    version = strrchr(path, '.');
    *version = '\0';
    version = strrchr(path, '.');
    for (unsigned next = 2; next < 50; next++) {
        int fd;

        snprintf(version, (size_t)(path + sizeof(path) - version), ".%u", next);
        fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        ck_assert_msg(fd >= 0, "%s", path);
        close(fd);
    }
}

START_TEST(test_nobody_takes_the_name_of_the_next_version) {
    shmreg_region *stage;

    expect_ok(shmreg_put(conn, "region", "one", 3, 0600));
    run_as(USER(STRANGER), squat, NULL);
    expect_ok(shmreg_put(conn, "region", "two", 3, 0600));
    expect_ok(shmreg_stage(conn, "region", 3, NULL, &stage));
    expect_ok(shmreg_publish(stage, 2, NULL));
    create_region(conn, "block", 1, SHMREG_OPTIONS(.flags = SHMREG_SYNC_BLOCK));
    /* Nor does he fill the log with them. */
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    ck_assert(daemon_has_logged(&daemon_, "and 38 more objects that have names of segments"));
}
END_TEST

/* A writer stops the others: the daemon says so, and a new version is not concerned. */
START_TEST(test_a_writer_who_seals) {
    shmreg_region *region, *other;
    int fd;

    create_region(conn, "region", SIZE, SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
    region = open_region(conn, "region", SHMREG_WRITE);
    fd = dup(shmreg_fd(region));
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    ck_assert_int_eq(errno, EBUSY); /* while it is mapped for writing */
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
    fill(shmreg_data(region), SIZE, 1);
    shmreg_close(region);
    expect_error(shmreg_open(conn, "region", SHMREG_WRITE, &other), -EACCES,
                 "a writer has sealed this memory");
    expect_error(shmreg_seal(conn, "region"), -EPERM, "against further seals");
    shmreg_close(open_region(conn, "region", SHMREG_READ));
    expect_ok(shmreg_put(conn, "region", "new", 3, SHMREG_MODE_DEFAULT));
    shmreg_close(open_region(conn, "region", SHMREG_WRITE));
    expect_ok(shmreg_seal(conn, "region"));
    close(fd);
}
END_TEST

/* Whoever has a descriptor may give it away: for reading, and for nothing else. */
static void use_what_was_given(int channel, void *data) {
    int fd = *(int *)data;
    const unsigned char *memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

    (void)channel;
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert(is_filled(memory, SIZE, 1));
    ck_assert_int_eq(open_again(fd, O_RDWR), -EACCES);
    ck_assert_int_eq(open_again(fd, O_RDONLY), -EACCES);
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
}

/* He has lost the right and the region has a new version, then none. */
static void keep_an_old_descriptor(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_READ), *again;
    int fd = dup(shmreg_fd(region));
    const unsigned char *memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

    (void)data;
    channel_say(channel);
    channel_hear(channel);
    ck_assert(is_filled(memory, SIZE, 1));
    expect_error(shmreg_open(own, "region", SHMREG_WRITE, &again), -EACCES, "the right ");
    ck_assert_int_eq(shmreg_refresh(region), -EACCES);
    channel_say(channel);
    channel_hear(channel);
    ck_assert(is_filled(memory, SIZE, 1));
    ck_assert_int_eq(open_again(fd, O_RDWR), -EACCES);
    shmreg_disconnect(own);
}

static void give_and_take_back(void) {
    shmreg_region *region;
    struct child holder;
    int fd;

    expect_ok(shmreg_create(conn, "region", SIZE,
                            SHMREG_OPTIONS(.backing = backings[backing], .acl = RULES), &region));
    fill(shmreg_data(region), SIZE, 1);
    shmreg_close(region);
    holder = child_start(USER(READER), keep_an_old_descriptor, NULL);
    channel_hear(holder.channel);
    fd = dup(shmreg_fd(open_region(conn, "region", SHMREG_READ)));
    expect_ok(shmreg_set_access(conn, "region", 0600, ""));
    expect_ok(shmreg_put(conn, "region", "new", 3, SHMREG_MODE_DEFAULT));
    channel_say(holder.channel);
    channel_hear(holder.channel);
    expect_ok(shmreg_destroy(conn, "region"));
    run_as(USER(STRANGER), use_what_was_given, &fd);
    channel_say(holder.channel);
    child_finish(&holder);
    close(fd);
}

START_TEST(test_a_holder_of_an_old_descriptor) {
    for (backing = 0; backing < BACKINGS; backing++)
        give_and_take_back();
}
END_TEST

/* All rights by name, and none to the object itself. */
static void own_and_no_more(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_WRITE);
    char path[256];

    (void)channel;
    (void)data;
    ck_assert_int_eq(open_again(shmreg_fd(region), O_RDONLY), -EACCES);
    ck_assert_int_eq(fchmod(shmreg_fd(region), 0666), -1);
    if (backing == SHM) {
        segment_path(path);
        expect_no_way_to(path);
    }
    expect_error(shmreg_destroy(own, "others"), -EACCES, "the right 'm'");
    expect_no_way_into_the_daemon();
    shmreg_close(region);
    expect_ok(shmreg_set_access(own, "region", 0640, ""));
    expect_ok(shmreg_destroy(own, "region"));
    shmreg_disconnect(own);
}

START_TEST(test_an_owner) {
    create_region(conn, "others", 1, SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
    for (backing = 0; backing < BACKINGS; backing++) {
        run_as(USER(OWNER), make_region, NULL);
        run_as(USER(OWNER), own_and_no_more, NULL);
        ck_assert(!exists(conn, "region"));
    }
}
END_TEST

static void administer_everything(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);

    (void)channel;
    (void)data;
    expect_no_way_into_the_daemon();
    shmreg_close(open_region(own, "region", SHMREG_WRITE));
    expect_ok(shmreg_destroy(own, "region"));
    expect_ok(shmreg_destroy(own, "others"));
    shmreg_disconnect(own);
}

/* All rights to all regions, and none to the daemon's files. */
START_TEST(test_a_member_of_the_admin_group) {
    for (backing = 0; backing < BACKINGS; backing++) {
        run_as(USER(OWNER), make_region, NULL);
        create_region(conn, "others", 1, SHMREG_OPTIONS(.backing = SHMREG_MEMFD));
        run_as(USER(ADMINISTRATOR, .n_groups = 1, .groups = {ADMIN_GROUP}), administer_everything,
               NULL);
        ck_assert(!exists(conn, "region") && !exists(conn, "others"));
    }
}
END_TEST

/* The wall between readers and writers is the daemon's user. */
static void be_the_daemons_user(int channel, void *data) {
    shmreg_conn *own = connect_to(&daemon_);
    shmreg_region *region = open_region(own, "region", SHMREG_READ);

    (void)channel;
    (void)data;
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, shmreg_fd(region), 0),
                     MAP_FAILED);
    ck_assert_int_eq(open_again(shmreg_fd(region), O_RDWR), 0);
    shmreg_disconnect(own);
}

START_TEST(test_the_daemons_own_user) {
    for (backing = 0; backing < BACKINGS; backing++) {
        run_as(USER(OWNER), make_region, NULL);
        run_as(USER(DAEMON_UID), be_the_daemons_user, NULL);
        expect_ok(shmreg_destroy(conn, "region"));
    }
}
END_TEST

int main(void) {
    TCase *roles = tcase_create("roles");

    tcase_add_checked_fixture(roles, setup, teardown);
    tcase_set_timeout(roles, 30);
    tcase_add_test(roles, test_a_stranger);
    tcase_add_test(roles, test_names_that_are_others);
    tcase_add_test(roles, test_nobody_takes_the_name_of_the_next_version);
    tcase_add_test(roles, test_a_writer_who_seals);
    tcase_add_test(roles, test_a_holder_of_an_old_descriptor);
    tcase_add_test(roles, test_an_owner);
    tcase_add_test(roles, test_a_member_of_the_admin_group);
    tcase_add_test(roles, test_the_daemons_own_user);
    return sandbox_run("roles", &roles, 1);
}
