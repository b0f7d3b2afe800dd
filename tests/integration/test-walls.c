/*
 * Walls: what each role can do to the memory itself with what it was given, of each backing
 *
 * The table of attacks is the threat model of docs/security.md in numbers: 0 where the attack works.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
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
#define WRITER 20003
#define SIZE 100000L
#define RULES "user:20002:r,user:20003:rw"

enum { SHM, MEMFD, FILES, ADOPTED, BACKINGS };

static const uint32_t backings[] = {SHMREG_SHM, SHMREG_MEMFD, SHMREG_FILE, SHMREG_ADOPTED};

static struct test_daemon daemon_;

struct target {
    int fd;
    void *memory;
};

static int code_of(long r) {
    return r < 0 ? -errno : 0;
}

static int map_for_writing(const struct target *target) {
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, target->fd, 0);

    return code_of(memory == MAP_FAILED ? -1 : munmap(memory, SIZE));
}

static int reopen(const struct target *target, int flags) {
    _cleanup_close_ int fd = -1;
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
    fd = open(path, flags | O_CLOEXEC);
    return code_of(fd);
}

static int reopen_for_writing(const struct target *target) {
    return reopen(target, O_RDWR);
}

static int reopen_cut(const struct target *target) {
    return reopen(target, O_WRONLY | O_TRUNC);
}

static int let_the_mapping_write(const struct target *target) {
    int r = code_of(mprotect(target->memory, 4096, PROT_READ | PROT_WRITE));

    mprotect(target->memory, 4096, PROT_READ);
    return r;
}

static int write_bytes(const struct target *target) {
    return code_of(pwrite(target->fd, "x", 1, 0));
}

static int shrink(const struct target *target) {
    int r = code_of(ftruncate(target->fd, 1));

    return r < 0 ? r : code_of(ftruncate(target->fd, SIZE));
}

static int grow(const struct target *target) {
    int r = code_of(ftruncate(target->fd, 2 * SIZE));

    return r < 0 ? r : code_of(ftruncate(target->fd, SIZE));
}

static int reserve_beyond(const struct target *target) {
    int r = code_of(fallocate(target->fd, 0, 0, 2 * SIZE));

    return r < 0 ? r : code_of(ftruncate(target->fd, SIZE));
}

static int punch(const struct target *target) {
    return code_of(
        fallocate(target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE / 4096 * 4096));
}

static int advise_away(const struct target *target) {
    return code_of(madvise(target->memory, 4096, MADV_REMOVE));
}

static int change_mode(const struct target *target) {
    return code_of(fchmod(target->fd, 0666));
}

static int take_over(const struct target *target) {
    return code_of(fchown(target->fd, getuid(), getgid()));
}

static int touch(const struct target *target) {
    return code_of(futimens(target->fd, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}));
}

static int seal_growing(const struct target *target) {
    return code_of(fcntl(target->fd, F_ADD_SEALS, F_SEAL_GROW));
}

static int lease(const struct target *target) {
    return code_of(fcntl(target->fd, F_SETLEASE, F_RDLCK));
}

/* Adopted memory is the owner's memfd, of mode 0644; files are in a tmpfs here. */
static const struct attack {
    const char *name;
    int (*attempt)(const struct target *target);
    int reader[BACKINGS], writer[BACKINGS];
} attacks[] = {
    /*                             shm      memfd    file     adopted */
    {"map for writing",
     map_for_writing, //
     {-EACCES, -EACCES, -EACCES, -EACCES},
     {0, 0, 0}},
    {"make the mapping writable",
     let_the_mapping_write,
     {-EACCES, -EACCES, -EACCES, -EACCES},
     {0, 0, 0}},
    {"reopen for writing",
     reopen_for_writing,
     {-EACCES, -EACCES, -EACCES, -EACCES},
     {-EACCES, -EACCES, -EACCES}},
    {"reopen to cut",
     reopen_cut,
     {-EACCES, -EACCES, -EACCES, -EACCES},
     {-EACCES, -EACCES, -EACCES}},
    {"write",
     write_bytes, //
     {-EBADF, -EBADF, -EBADF, -EBADF},
     {0, 0, 0}},
    {"shrink",
     shrink, //
     {-EINVAL, -EINVAL, -EINVAL, -EINVAL},
     {0, -EPERM, 0}},
    {"grow",
     grow, //
     {-EINVAL, -EINVAL, -EINVAL, -EINVAL},
     {0, -EPERM, 0}},
    {"reserve beyond the end", reserve_beyond, {-EBADF, -EBADF, -EBADF, -EBADF}, {0, -EPERM, 0}},
    {"punch a hole",
     punch, //
     {-EBADF, -EBADF, -EBADF, -EBADF},
     {0, 0, 0}},
    {"give pages back", advise_away, {-EACCES, -EACCES, -EACCES, -EACCES}, {0, 0, 0}},
    {"change the mode",
     change_mode, //
     {-EPERM, -EPERM, -EPERM, -EPERM},
     {-EPERM, -EPERM, -EPERM}},
    {"take it over",
     take_over, //
     {-EPERM, -EPERM, -EPERM, -EPERM},
     {-EPERM, -EPERM, -EPERM}},
    {"touch",
     touch, //
     {-EPERM, -EPERM, -EPERM, -EPERM},
     {-EPERM, -EPERM, -EPERM}},
    {"take a lease",
     lease, //
     {-EACCES, -EACCES, -EACCES, -EACCES},
     {-EACCES, -EACCES, -EACCES}},
    {"seal against growing", seal_growing, {-EPERM, -EPERM, -EPERM, -EPERM}, {-EPERM, 0, -EPERM}},
};

static int backing;

static void setup(void) {
    daemon_start(&daemon_);
}

static void teardown(void) {
    daemon_stop(&daemon_);
}

static int make_memory(mode_t mode) {
    int fd = memfd_create("adopted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    return fd;
}

static shmreg_region *create_as_owner(shmreg_conn *conn) {
    shmreg_region *region = NULL;

    if (backings[backing] == SHMREG_ADOPTED)
        expect_ok(
            shmreg_adopt(conn, "region", make_memory(0644), SHMREG_OPTIONS(.acl = RULES), NULL));
    else
        expect_ok(shmreg_create(conn, "region", SIZE,
                                SHMREG_OPTIONS(.backing = backings[backing], .acl = RULES),
                                &region));
    return region;
}

static void own(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = create_as_owner(conn);

    (void)data;
    if (region)
        fill(shmreg_data(region), SIZE, 1);
    channel_say(channel);
    channel_hear(channel);
    expect_ok(shmreg_destroy(conn, "region"));
    shmreg_disconnect(conn);
}

static void attack(uint32_t access, bool writes) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "region", access);
    struct target target = {shmreg_fd(region), shmreg_data(region)};

    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
        int expected = writes ? attacks[i].writer[backing] : attacks[i].reader[backing];
        int r = attacks[i].attempt(&target);

        ck_assert_msg(r == expected, "%s: %s, not %s", attacks[i].name, strerror(-r),
                      strerror(-expected));
    }
    shmreg_disconnect(conn);
}

static void attack_as_reader(int channel, void *data) {
    (void)channel;
    (void)data;
    attack(SHMREG_READ, false);
}

static void attack_as_writer(int channel, void *data) {
    (void)channel;
    (void)data;
    attack(SHMREG_WRITE, true);
}

/* With a region of the owner's around it. */
static void run_beside_owner(uid_t uid, child_function function) {
    struct child owner = child_start(USER(OWNER), own, NULL);

    channel_hear(owner.channel);
    run_as(USER(uid), function, NULL);
    channel_say(owner.channel);
    child_finish(&owner);
}

START_TEST(test_a_reader) {
    for (backing = 0; backing < BACKINGS; backing++)
        run_beside_owner(READER, attack_as_reader);
}
END_TEST

START_TEST(test_a_writer) {
    for (backing = 0; backing < ADOPTED; backing++)
        run_beside_owner(WRITER, attack_as_writer);
}
END_TEST

/* Whose mode lets anyone write is anyone's: documented at shmreg_adopt(), with what to do instead. */
static void attack_what_is_open(int channel, void *data) {
    shmreg_conn *conn = connect_to(&daemon_);
    shmreg_region *region = open_region(conn, "region", SHMREG_READ);
    struct target target = {shmreg_fd(region), shmreg_data(region)};

    (void)channel;
    ck_assert_int_eq(map_for_writing(&target), -EACCES);
    ck_assert_int_eq(reopen_for_writing(&target), *(const int *)data);
    shmreg_disconnect(conn);
}

START_TEST(test_a_reader_of_adopted_memory_that_is_open_to_all) {
    static const int works = 0, denied = -EACCES;
    shmreg_conn *conn = connect_to(&daemon_);
    int fd = make_memory(0777);

    expect_ok(shmreg_adopt(conn, "region", fd, SHMREG_OPTIONS(.acl = RULES), NULL));
    run_as(USER(READER), attack_what_is_open, (void *)&works);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    run_as(USER(READER), attack_what_is_open, (void *)&denied);
    close(fd);
    shmreg_disconnect(conn);
}
END_TEST

/* Everyone has it, and nobody but the daemon writes it. */
static void attack_the_status_page(int channel, void *data) {
    _cleanup_close_ int fd = raw_connect(daemon_.socket);
    struct wire_hello_request hello = {.version = WIRE_VERSION, .client_id = 1};
    struct raw_reply reply;
    struct target target;

    (void)channel;
    (void)data;
    raw_request(fd, WIRE_HELLO, 1, &hello, NULL);
    raw_receive(fd, &reply);
    ck_assert_uint_eq(reply.fds.count, 1);
    target.fd = reply.fds.fd[0];
    target.memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, target.fd, 0);
    ck_assert_ptr_ne(target.memory, MAP_FAILED);
    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++)
        ck_assert_msg(attacks[i].attempt(&target) == attacks[i].reader[SHM], "%s", attacks[i].name);
    raw_reply_deinit(&reply);
}

START_TEST(test_the_status_page) {
    run_as(USER(READER), attack_the_status_page, NULL);
}
END_TEST

/* That of the reader: nobody is kept out of a lock by whoever may only read. */
static void attack_the_sync_block(int channel, void *data) {
    static const char name[] = "region";
    _cleanup_close_ int fd = raw_greet(daemon_.socket);
    struct raw_reply reply;
    struct target target;

    (void)channel;
    (void)data;
    raw_request(fd, WIRE_OPEN, 1, &(struct wire_open_request){.count = 1, .access = WIRE_READ},
                &(struct wire_string){name, sizeof(name)});
    raw_receive(fd, &reply);
    ck_assert_uint_eq(reply.fds.count, 2);
    target.fd = reply.fds.fd[1];
    target.memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, target.fd, 0);
    ck_assert_ptr_ne(target.memory, MAP_FAILED);
    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++)
        ck_assert_msg(attacks[i].attempt(&target) == attacks[i].reader[SHM], "%s", attacks[i].name);
    raw_reply_deinit(&reply);
}

START_TEST(test_the_sync_block) {
    shmreg_conn *conn = connect_to(&daemon_);

    for (backing = 0; backing < ADOPTED; backing++) {
        create_region(
            conn, "region", SIZE,
            SHMREG_OPTIONS(.backing = backings[backing], .acl = RULES, .flags = SHMREG_SYNC_BLOCK));
        run_as(USER(READER), attack_the_sync_block, NULL);
        expect_ok(shmreg_destroy(conn, "region"));
    }
    shmreg_disconnect(conn);
}
END_TEST

int main(void) {
    TCase *walls = tcase_create("walls");

    tcase_add_checked_fixture(walls, setup, teardown);
    tcase_set_timeout(walls, 30);
    tcase_add_test(walls, test_a_reader);
    tcase_add_test(walls, test_a_writer);
    tcase_add_test(walls, test_a_reader_of_adopted_memory_that_is_open_to_all);
    tcase_add_test(walls, test_the_status_page);
    tcase_add_test(walls, test_the_sync_block);
    return sandbox_run("walls", &walls, 1);
}
