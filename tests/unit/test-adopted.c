/*
 * Adopted memory: what is taken for memory and what is not, how much of it is offered, and that the
 * daemon keeps no more than one descriptor of it and that over a restart.
 */
#include "daemon/core/adopted.h"
#include "daemon/ground/mounts.h"
#include "proto/packet.h"
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SIZE 10000

static struct world world;

static int make_memfd(const char *text, unsigned seals) {
    int fd = memfd_create("test-adopted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    ck_assert_int_eq(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    if (seals)
        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* Another description of it, with that access mode; @fd is closed. */
static int reopen(int fd, int flags) {
    int again = segment_open_anew(fd, flags);

    ck_assert_int_ge(again, 0);
    close(fd);
    return again;
}

static void expect_refused(int fd, int code, const char *words) {
    struct adopted adopted;
    struct error error = {0};

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(adopted_open(fd, &adopted, &error), code);
    ck_assert_int_eq(error.code, code);
    ck_assert_msg(strstr(error.text, words), "'%s' does not say '%s'", error.text, words);
    ck_assert_int_eq(adopted.fd, -1);
    close(fd);
}

START_TEST(what_is_no_memory_is_refused) {
    unsigned before = count_descriptors();
    int pair[2];

    expect_refused(open("/tmp", O_RDONLY | O_DIRECTORY), -EINVAL, "no memory");
    expect_refused(reopen(make_memfd("", 0), O_WRONLY), -EACCES, "for writing only");
    expect_refused(open("/etc/passwd", O_PATH), -EACCES, "O_PATH");
    expect_refused(memfd_create("empty", MFD_CLOEXEC), -EINVAL, "its size is 0");
    expect_refused(open("/dev/zero", O_RDWR), -EOPNOTSUPP, "type devtmpfs");
    expect_refused(open("/proc/self/status", O_RDONLY), -EOPNOTSUPP, "type proc");
    expect_refused(open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY), -EOPNOTSUPP,
                   "type sysfs");
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    expect_refused(pair[0], -EOPNOTSUPP, "a pipe, a socket");
    close(pair[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    expect_refused(pair[0], -EOPNOTSUPP, "a pipe, a socket");
    close(pair[1]);
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(nodes_of_a_good_file_system_are_refused) {
    char directory[] = "/dev/shm/test-adopted-XXXXXX", fifo[64];
    struct adopted adopted;
    struct error error;
    int fd;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
    ck_assert_int_eq(mkfifo(fifo, 0666), 0);
    fd = open(fifo, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(adopted_open(fd, &adopted, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "no memory"));
    close(fd);
    unlink(fifo);
    rmdir(directory);
}
END_TEST

START_TEST(the_file_system_is_told_without_asking_it) {
    char type[MOUNT_TYPE_MAX];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC), pair[2];

    ck_assert_int_eq(mount_type(fd, type), 0);
    ck_assert_str_eq(type, "proc");
    close(fd);
    fd = open("/dev/shm", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(mount_type(fd, type), 0);
    ck_assert_str_eq(type, "tmpfs");
    close(fd);
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    ck_assert_int_eq(mount_type(pair[0], type), -ENOENT);
    ck_assert_int_eq(mount_type(1000000, type), -ENOENT);
}
END_TEST

START_TEST(a_root_that_is_no_mount_point_is_known) {
    char type[MOUNT_TYPE_MAX];
    int fd;

    scratch_mount(1 << 20);
    ck_assert_int_eq(mkdir(SCRATCH "/root", 0755) | mkdir(SCRATCH "/root/proc", 0755), 0);
    ck_assert_int_eq(mount("/proc", SCRATCH "/root/proc", NULL, MS_BIND, NULL), 0);
    fd = open(SCRATCH "/root", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    /* As seen from process 1, too, which has no such mount. */
    ck_assert_int_eq(chroot(SCRATCH "/root"), 0);
    ck_assert_int_eq(mount_type(fd, type), 0);
    ck_assert_str_eq(type, "tmpfs");
    close(fd);
}
END_TEST

START_TEST(a_lease_is_not_waited_for) {
    char path[] = "/tmp/test-adopted-XXXXXX";
    int fd = mkstemp(path);
    int reader;

    signal(SIGIO, SIG_IGN); /* says that the lease is to be broken */
    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    reader = reopen(fd, O_RDONLY);
    ck_assert_int_eq(fcntl(reader, F_SETLEASE, F_RDLCK), 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fcntl(reader, F_SETLEASE, F_UNLCK), 0);
    close(reader);
    ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    expect_refused(dup(fd), -EAGAIN, "a lease");
    close(fd);
    unlink(path);
}
END_TEST

/* The access mode of what the daemon keeps. */
static int kept_mode(int fd) {
    struct adopted adopted;
    struct error error;
    int mode;

    ck_assert_msg(adopted_open(fd, &adopted, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(adopted.size, SIZE);
    ck_assert_int_eq(fcntl(adopted.fd, F_GETFD), FD_CLOEXEC);
    mode = fcntl(adopted.fd, F_GETFL) & O_ACCMODE;
    adopted_deinit(&adopted);
    close(fd);
    return mode;
}

START_TEST(no_more_rights_than_were_handed_over) {
    ck_assert_int_eq(kept_mode(make_memfd("", 0)), O_RDWR);
    ck_assert_int_eq(kept_mode(reopen(make_memfd("", 0), O_RDONLY)), O_RDONLY);
}
END_TEST

static struct region_spec adopted_spec(const char *name) {
    struct region_spec spec = world_spec(name);

    spec.size = 0;
    return spec;
}

static int adopt(struct client *client, const struct region_spec *spec, int fd, uint32_t access,
                 struct error *error) {
    struct attachment *attachment;
    struct attachment_fds fds;
    int r = manager_adopt(world.manager, client, spec, fd, access, &attachment, &fds, error);

    if (r == 0 && access)
        attachment_fds_close(&fds);
    close(fd);
    return r;
}

static pid_t pid; /* of the client */

static struct client *start(void) {
    pid = process_spawn();
    unsetenv("NOTIFY_SOCKET");
    world_init(&world);
    return world_client(&world, WORLD_UID, pid, 1);
}

START_TEST(it_is_charged_whole_and_given_back) {
    struct region_spec spec = adopted_spec("region");
    struct caller owner = world_caller(WORLD_UID);
    struct client *client = start();
    unsigned before = count_descriptors();

    spec.size = 100;
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(adopt(client, &spec, make_memfd("text", 0), RIGHT_WRITE, NULL), 0);
        world_expect_usage(&world, 1, SIZE, 1, 1);
        ck_assert_uint_eq(count_descriptors(), before + 1);
        world_expect_content(&world, "region", "text");
        ck_assert_int_eq(manager_destroy(world.manager, &owner, "region", NULL), 0);
        manager_remove_client(world.manager, client);
        client = world_client(&world, WORLD_UID, pid, 1);
        before = i == 0 ? count_descriptors() : before;
        world_expect_usage(&world, 0, 0, 0, 1);
    }
    ck_assert_uint_eq(count_descriptors(), before);
    world_deinit(&world);
}
END_TEST

static void expect_attach(struct client *client, uint32_t access, int code) {
    struct attachment *attachment;
    struct attachment_fds fds;
    struct error error = {0};

    ck_assert_int_eq(
        manager_attach(world.manager, client, "region", access, &attachment, &fds, &error), code);
    if (code == 0)
        attachment_fds_close(&fds);
    else
        ck_assert_ptr_nonnull(strstr(error.text, "can only be read"));
}

START_TEST(a_sealed_memfd_is_offered_for_reading) {
    static const unsigned seals[] = {F_SEAL_WRITE, F_SEAL_FUTURE_WRITE,
                                     F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL};
    struct region_spec spec = adopted_spec("region");
    struct caller owner = world_caller(WORLD_UID);
    struct client *client = start();
    int fd;

    for (size_t i = 0; i < ARRAY_SIZE(seals); i++) {
        ck_assert_int_eq(adopt(client, &spec, make_memfd("x", seals[i]), RIGHT_WRITE, NULL),
                         -EACCES);
        ck_assert(!world_has(&world, "region"));
        world_expect_usage(&world, 0, 0, 0, 1);
        ck_assert_int_eq(adopt(client, &spec, make_memfd("x", seals[i]), 0, NULL), 0);
        expect_attach(client, RIGHT_READ, 0);
        expect_attach(client, RIGHT_WRITE, -EACCES);
        manager_remove_client(world.manager, client);
        client = world_client(&world, WORLD_UID, pid, 1);
        ck_assert_int_eq(manager_destroy(world.manager, &owner, "region", NULL), 0);
    }
    /* Or sealed later, by who has made it. */
    fd = make_memfd("x", 0);
    ck_assert_int_eq(adopt(client, &spec, fcntl(fd, F_DUPFD_CLOEXEC, 0), 0, NULL), 0);
    expect_attach(client, RIGHT_WRITE, 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    expect_attach(client, RIGHT_WRITE, -EACCES);
    world_deinit(&world);
}
END_TEST

START_TEST(a_spec_that_wants_it_otherwise_is_refused) {
    struct region_spec spec = adopted_spec("region");
    struct client *client = start();
    struct error error;

    spec.size = SIZE + 1;
    ck_assert_int_eq(adopt(client, &spec, make_memfd("", 0), 0, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "has 10000 bytes, not 10001"));
    spec = adopted_spec("region");
    spec.max_size = SIZE;
    ck_assert_int_eq(adopt(client, &spec, make_memfd("", 0), 0, &error), -EINVAL);
    spec = adopted_spec("region");
    spec.backing = BACKING_MEMFD;
    ck_assert_int_eq(adopt(client, &spec, make_memfd("", 0), 0, &error), -EINVAL);
    spec = adopted_spec("/region");
    ck_assert_int_eq(adopt(client, &spec, make_memfd("", 0), 0, &error), -EINVAL);
    spec = world_spec("region");
    spec.backing = BACKING_ADOPTED;
    ck_assert_int_eq(manager_create(world.manager, &client->caller, client, &spec,
                                    &(struct region *){0}, &error),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "choose of shm, memfd, file"));
    world_expect_usage(&world, 0, 0, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(it_has_one_version) {
    struct region_spec spec = adopted_spec("region");
    struct caller owner = world_caller(WORLD_UID);
    struct client *client = start();
    struct error error;
    uint32_t version;

    ck_assert_int_eq(adopt(client, &spec, make_memfd("text", 0), 0, &error), 0);
    ck_assert_int_eq(
        manager_put(world.manager, &owner, "region", "other", 5, 0600, &version, &error),
        -EOPNOTSUPP);
    ck_assert_ptr_nonnull(strstr(error.text, "region 'region' is of adopted memory"));
    ck_assert_int_eq(adopt(client, &spec, make_memfd("other", 0), 0, &error), -EEXIST);
    world_expect_content(&world, "region", "text");
    world_expect_usage(&world, 1, SIZE, 0, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(the_same_request_again_makes_nothing_more) {
    struct region_spec spec = adopted_spec("region");
    struct client *client = start();

    spec.tag = (struct request_tag){.client_id = 1, .serial = 2};
    ck_assert_int_eq(adopt(client, &spec, make_memfd("text", 0), RIGHT_READ, NULL), 0);
    ck_assert_int_eq(adopt(client, &spec, make_memfd("text", 0), RIGHT_READ, NULL), 0);
    world_expect_usage(&world, 1, SIZE, 2, 1);
    world_deinit(&world);
}
END_TEST

START_TEST(without_a_service_manager_it_ends_with_the_daemon) {
    struct region_spec spec = adopted_spec("region");
    struct client *client = start();

    log_capture();
    spec.sync_block = true;
    ck_assert_int_eq(adopt(client, &spec, make_memfd("text", 0), 0, NULL), 0);
    world_expect_segments(&world, 1, 0);
    world_restart(&world);
    ck_assert(!world_has(&world, "region"));
    ck_assert(log_has("region 'region' is lost: its adopted memory ended with the last daemon"));
    world_expect_usage(&world, 0, 0, 0, 0);
    world_expect_segments(&world, 0, 0);
    world_deinit(&world);
}
END_TEST

START_TEST(the_service_manager_keeps_it_over_a_restart) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct region_spec spec = adopted_spec("region");
    struct client *client = start();
    struct stored_fd stored;
    struct packet_fds fds;
    char message[512], *name;
    int size;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", world.directory);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    ck_assert_int_eq(adopt(client, &spec, reopen(make_memfd("kept", 0), O_RDONLY), 0, NULL), 0);
    size = packet_receive(manager, message, sizeof(message) - 1, &fds);
    ck_assert_int_gt(size, 0);
    message[size] = '\0';
    ck_assert_uint_eq(fds.count, 1);
    name = strstr(message, "FDNAME=") + strlen("FDNAME=");
    name[strcspn(name, "\n")] = '\0';

    world_stop(&world);
    log_capture();
    stored = (struct stored_fd){.name = name, .fd = fds.fd[0]};
    world.fdstore = (struct fdstore){.stored = &stored, .n_stored = 1};
    world_start(&world);
    world_expect_content(&world, "region", "kept");
    world_expect_usage(&world, 1, SIZE, 0, 0);
    client = world_client(&world, WORLD_UID, getpid(), 1);
    expect_attach(client, RIGHT_READ, 0);
    expect_attach(client, RIGHT_WRITE, -EACCES);
    world_deinit(&world);
    close(manager);
}
END_TEST

SUITE_MAIN("adopted", what_is_no_memory_is_refused, nodes_of_a_good_file_system_are_refused,
           the_file_system_is_told_without_asking_it, a_root_that_is_no_mount_point_is_known,
           a_lease_is_not_waited_for, no_more_rights_than_were_handed_over,
           it_is_charged_whole_and_given_back, a_sealed_memfd_is_offered_for_reading,
           a_spec_that_wants_it_otherwise_is_refused, it_has_one_version,
           the_same_request_again_makes_nothing_more,
           without_a_service_manager_it_ends_with_the_daemon,
           the_service_manager_keeps_it_over_a_restart);
