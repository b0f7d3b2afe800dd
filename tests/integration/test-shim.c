/*
 * The shim, linked into this very program, whose calls of shm_open(3) and its kin it answers: what they
 * promise, what the environment changes, and who holds what after fork(2), in threads, and when processes
 * or the daemon are killed.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/smaps.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER_ID 20001
#define OTHER_ID 20002
#define OWN "user/20001/shm/"
#define SIZE 100000
#define CREATE (O_RDWR | O_CREAT | O_EXCL)
#define THREADS 8
#define ROUNDS 40
#define CYCLES 1000

/* A call of the C library that fails with this errno. */
#define expect_errno(call, code)                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        ck_assert_int_eq((call), -1);                                                              \
        ck_assert_int_eq(errno, (code));                                                           \
    } while (0)

static struct test_daemon daemon_;
static shmreg_conn *conn;

static void start(const char *config) {
    daemon_start_with(&daemon_, config);
    conn = connect_to(&daemon_);
    ck_assert_int_eq(setenv("SHMREG_SOCKET", daemon_.socket, 1), 0);
    ck_assert_int_eq(setenv("SHMREG_SHIM_LINGER", "0", 1), 0);
}

static void setup(void) {
    start("{}");
}

static void teardown(void) {
    shmreg_disconnect(conn);
    daemon_stop(&daemon_);
}

static void set(const char *variable, const char *value) {
    ck_assert_int_eq(setenv(variable, value, 1), 0);
}

static int open_object(const char *name, int flags) {
    int fd = shm_open(name, flags, 0600);

    ck_assert_msg(fd >= 0, "shm_open(%s): %s", name, strerror(errno));
    return fd;
}

static void *map(int fd, int protection) {
    void *memory = mmap(NULL, SIZE, protection, MAP_SHARED, fd, 0);

    ck_assert_msg(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

/* Made, sized and mapped as most programs do it: the descriptor does not stay. */
static void *make_object(const char *name) {
    int fd = open_object(name, CREATE);
    void *memory;

    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    memory = map(fd, PROT_READ | PROT_WRITE);
    close(fd);
    return memory;
}

static off_t size_of(int fd) {
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return status.st_size;
}

static void expect_region(const char *name, uint64_t size, uint32_t mode, uint32_t lifetime) {
    struct shmreg_description *description;

    expect_ok(shmreg_describe(conn, name, &description));
    ck_assert_uint_eq(description->size, size);
    ck_assert_uint_eq(description->mode, mode);
    ck_assert_uint_eq(description->lifetime, lifetime);
    ck_assert_uint_eq(description->owner_uid, USER_ID);
    shmreg_description_free(description);
}

static void check_sizes(int fd) {
    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    ck_assert_int_eq(size_of(fd), SIZE);
    ck_assert_int_eq(ftruncate(fd, SIZE), 0);
    expect_errno(ftruncate(fd, SIZE - 1), EINVAL);
    expect_errno(ftruncate(fd, -1), EINVAL);
    ck_assert_int_eq(posix_fallocate(fd, 0, SIZE / 2), 0);
    ck_assert_int_eq(posix_fallocate(fd, SIZE, SIZE), 0);
    ck_assert_int_eq(posix_fallocate(fd, -1, 1), EINVAL);
    ck_assert_int_eq(size_of(fd), 2 * SIZE);
    expect_errno(ftruncate(fd, (256 << 20) + 1), EFBIG);
    ck_assert_int_eq(posix_fallocate(fd, 0, (256 << 20) + 1), EFBIG);
}

static void check_read_only_creation(void) {
    int fd = open_object("/empty", O_CREAT | O_RDONLY);

    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    close(fd);
    ck_assert_int_eq(shm_unlink("/empty"), 0);
}

static void live(int channel, void *data) {
    int fd = open_object("/object", CREATE), again, reader;
    char *memory, *newer;

    (void)channel;
    (void)data;
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(size_of(fd), 0);
    expect_region(OWN "object", 0, 0600, SHMREG_ATTACHED);
    expect_errno(shm_open("/object", CREATE, 0600), EEXIST);
    expect_errno(shm_open("/nothing", O_RDWR, 0600), ENOENT);
    expect_errno(shm_open("/object", O_RDWR | O_TRUNC, 0600), EOPNOTSUPP);
    expect_errno(shm_open("/bad name", CREATE, 0600), EINVAL);
    check_read_only_creation();
    check_sizes(fd);
    expect_region(OWN "object", UINT64_C(2) * SIZE, 0600, SHMREG_ATTACHED);

    memory = map(fd, PROT_READ | PROT_WRITE);
    memory[SIZE - 1] = 'x';
    again = open_object("object", O_RDWR | O_CREAT);
    reader = open_object("/object", O_RDONLY);
    ck_assert_int_eq(((char *)map(again, PROT_READ))[SIZE - 1], 'x');
    ck_assert_int_eq(((char *)map(reader, PROT_READ))[SIZE - 1], 'x');
    ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, reader, 0), MAP_FAILED);
    expect_errno(ftruncate(reader, 3 * SIZE), EINVAL);

    ck_assert_int_eq(shm_unlink("/object"), 0);
    expect_errno(shm_unlink("/object"), ENOENT);
    expect_errno(shm_open("/object", O_RDWR, 0600), ENOENT);
    ck_assert_int_eq(memory[SIZE - 1], 'x');
    newer = make_object("/object");
    ck_assert_int_eq(newer[SIZE - 1], 0);
    /* A descriptor of what is gone has nothing to do with what has its name now. */
    ck_assert_int_eq(ftruncate(fd, SIZE / 2), 0);
    expect_region(OWN "object", SIZE, 0600, SHMREG_ATTACHED);
}

START_TEST(test_what_the_calls_promise) {
    run_as(USER(USER_ID), live, NULL);
    wait_gone(conn, OWN "object");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

static void make_and_wait(int channel, void *data) {
    strcpy(make_object(data), "made");
    channel_say(channel);
    channel_hear(channel);
}

static void expect_refused(int channel, void *data) {
    (void)channel;
    expect_errno(shm_open(data, O_RDONLY, 0), EACCES);
    expect_errno(shm_open(data, O_RDWR, 0), EACCES);
    expect_errno(shm_unlink(data), EACCES);
}

static void expect_reading(int channel, void *data) {
    int fd = open_object(data, O_RDONLY);

    (void)channel;
    ck_assert_str_eq(map(fd, PROT_READ), "made");
    expect_errno(shm_open(data, O_RDWR, 0), EACCES);
    expect_errno(shm_unlink(data), EACCES);
}

static void expect_writing(int channel, void *data) {
    int fd = open_object(data, O_RDWR);

    (void)channel;
    strcpy(map(fd, PROT_READ | PROT_WRITE), "changed");
    expect_errno(ftruncate(fd, 2 * SIZE), EACCES);
    expect_errno(shm_unlink(data), EACCES);
}

static void expect_none(int channel, void *data) {
    (void)channel;
    expect_errno(shm_open(data, O_RDONLY, 0), ENOENT);
}

START_TEST(test_other_users) {
    static const struct {
        const char *mode;
        child_function expect;
    } cases[] = {{"0600", expect_refused}, {"0644", expect_reading}, {"0666", expect_writing}};
    struct child child = child_start(USER(USER_ID), make_and_wait, "/object");

    channel_hear(child.channel);
    /* Each user has names of his own, until they are told to share them. */
    run_as(USER(OTHER_ID), expect_none, "/object");
    child_kill(&child);

    set("SHMREG_SHIM_PREFIX", "shared/");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set("SHMREG_SHIM_MODE", cases[i].mode);
        child = child_start(USER(USER_ID), make_and_wait, "/object");
        channel_hear(child.channel);
        run_as(USER(OTHER_ID), cases[i].expect, "/object");
        child_kill(&child);
        wait_gone(conn, "shared/object");
    }
}
END_TEST

/* Puts standard error into a file, and returns that. */
static FILE *catch_errors(void) {
    FILE *file = tmpfile();

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    return file;
}

static void expect_said(FILE *file, const char *text) {
    char line[1024] = "";

    rewind(file);
    while (fgets(line, sizeof(line), file))
        if (strstr(line, text))
            break;
    ck_assert_msg(strstr(line, text), "'%s' is not said", text);
    rewind(file);
    ck_assert_int_eq(ftruncate(fileno(file), 0), 0);
}

static void meet_limits(int channel, void *data) {
    FILE *said = catch_errors();
    char long_name[301] = "/";

    (void)channel;
    (void)data;
    make_object("/first");
    expect_errno(shm_open("/second", CREATE, 0600), ENOSPC);
    ck_assert_int_eq(size_of(fileno(said)), 0);
    set("SHMREG_SHIM_REPORT", "yes");
    expect_errno(shm_open("/second", CREATE, 0600), ENOSPC);
    expect_said(said, "libshmreg-posix: /second: limit on bytes of user 20001");
    expect_errno(shm_open("/first", CREATE, 0600), EEXIST);
    ck_assert_int_eq(size_of(fileno(said)), 0);
    memset(long_name + 1, 'x', sizeof(long_name) - 2);
    expect_errno(shm_open(long_name, CREATE, 0600), ENAMETOOLONG);
    expect_said(said, "File name too long");
    /* What may be smaller fits. */
    set("SHMREG_SHIM_MAX_SIZE", "100000");
    make_object("/second");
    fclose(said);
}

START_TEST(test_limits) {
    start("{\"limits\":{\"user\":{\"bytes\":300000000}}}");
    run_as(USER(USER_ID), meet_limits, NULL);
}
END_TEST

/* What Boost.Interprocess does: until there is a size, the creator is not done. */
static void wait_for_sizes(int channel, void *data) {
    (void)data;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd;
        off_t size;

        channel_hear(channel);
        fd = open_object("/object", O_RDWR);
        ck_assert_int_eq(size_of(fd), 0);
        channel_say(channel);
        while ((size = size_of(fd)) == 0)
            sched_yield();
        ck_assert_int_eq(size, SIZE);
        close(fd);
        channel_say(channel);
    }
}

START_TEST(test_a_size_is_none_or_the_whole) {
    struct child opener;

    set("SHMREG_SHIM_PREFIX", "shared/");
    opener = child_start(USER(0), wait_for_sizes, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd = open_object("/object", CREATE);

        ck_assert_int_eq(size_of(fd), 0);
        channel_say(opener.channel);
        channel_hear(opener.channel);
        ck_assert_int_eq(i % 2 ? ftruncate(fd, SIZE) : posix_fallocate(fd, 0, SIZE), 0);
        channel_hear(opener.channel);
        close(fd);
        ck_assert_int_eq(shm_unlink("/object"), 0);
    }
    child_finish(&opener);
}
END_TEST

static void set_wrongly(int channel, void *data) {
    static const char *const wrong[][2] = {
        {"SHMREG_SHIM_LIFETIME", "for ever"}, {"SHMREG_SHIM_LINGER", "-1"},
        {"SHMREG_SHIM_MODE", "0777"},         {"SHMREG_SHIM_MAX_SIZE", "1G"},
        {"SHMREG_SHIM_FALLBACK", "perhaps"},  {"SHMREG_SHIM_REPORT", ""},
    };
    FILE *said = catch_errors();
    char sentence[128];

    (void)channel;
    (void)data;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        set(wrong[i][0], wrong[i][1]);
        expect_errno(shm_open("/object", CREATE, 0600), EINVAL);
        snprintf(sentence, sizeof(sentence), "%s makes no sense: '%s'", wrong[i][0], wrong[i][1]);
        expect_said(said, sentence);
        unsetenv(wrong[i][0]);
    }
    fclose(said);
}

START_TEST(test_wrong_variables) {
    run_as(USER(USER_ID), set_wrongly, NULL);
}
END_TEST

START_TEST(test_lifetimes) {
    static const struct {
        const char *word;
        uint32_t lifetime;
    } cases[] = {{"owner", SHMREG_OWNER}, {"persistent", SHMREG_PERSISTENT}};
    struct child child;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set("SHMREG_SHIM_LIFETIME", cases[i].word);
        child = child_start(USER(USER_ID), make_and_wait, "/object");
        channel_hear(child.channel);
        expect_region(OWN "object", SIZE, 0600, cases[i].lifetime);
        child_kill(&child);
        if (cases[i].lifetime == SHMREG_OWNER)
            wait_gone(conn, OWN "object");
    }
    wait_holders(conn, OWN "object", 0, 0);
    expect_ok(shmreg_destroy(conn, OWN "object"));
}
END_TEST

/* The child of a child: it inherits the memory, and opens it when it is told to. */
static void fork_and_wait(int channel, void *data) {
    char *memory = make_object(data);
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0) {
        channel_say(channel);
        pause();
    }
    channel_hear(channel);
    close(open_object(data, O_RDWR));
    strcpy(memory, "from the child");
    channel_say(channel);
    /* Until the test lets go of its end. */
    wait_readable(channel);
    ck_assert_str_eq(memory, "from the child");
    _exit(0);
}

START_TEST(test_fork) {
    struct child child = child_start(USER(USER_ID), fork_and_wait, "/object");

    channel_hear(child.channel);
    wait_holders(conn, OWN "object", 0, 1);
    channel_say(child.channel);
    channel_hear(child.channel);
    wait_holders(conn, OWN "object", 0, 2);
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child.pid, NULL, 0), child.pid);
    wait_holders(conn, OWN "object", 0, 1);
    close_fd(&child.channel);
    wait_gone(conn, OWN "object");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

static void go_on(int channel, void *data) {
    char *memory = make_object("/object");
    int fd;

    (void)data;
    strcpy(memory, "before");
    channel_say(channel);
    channel_hear(channel);
    fd = open_object("/object", O_RDWR);
    ck_assert_str_eq(map(fd, PROT_READ), "before");
    ck_assert_int_eq(ftruncate(fd, 2 * SIZE), 0);
    make_object("/other");
    ck_assert_int_eq(shm_unlink("/object"), 0);
    channel_say(channel);
    channel_hear(channel);
}

START_TEST(test_another_daemon) {
    struct child child = child_start(USER(USER_ID), go_on, NULL);

    channel_hear(child.channel);
    daemon_kill(&daemon_);
    daemon_launch(&daemon_);
    channel_say(child.channel);
    channel_hear(child.channel);
    wait_gone(conn, OWN "object");
    wait_holders(conn, OWN "other", 0, 1);
    child_kill(&child);
    wait_gone(conn, OWN "other");
}
END_TEST

START_TEST(test_nothing_piles_up) {
    unsigned mappings;
    int descriptors;

    make_object("/stays");
    descriptors = count_files("/proc/self/fd", "");
    mappings = smaps_count("/dev/shm/");
    for (unsigned i = 0; i < CYCLES; i++) {
        char *memory = make_object("/object");

        close(open_object("/stays", O_RDWR));
        ck_assert_int_eq(memory[0], 0);
        memory[0] = 'x';
        ck_assert_int_eq(munmap(memory, SIZE), 0);
        ck_assert_int_eq(shm_unlink("/object"), 0);
    }
    ck_assert_int_eq(count_files("/proc/self/fd", ""), descriptors);
    ck_assert_uint_eq(smaps_count("/dev/shm/"), mappings);
    ck_assert_int_eq(shm_unlink("/stays"), 0);
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

/* An assertion in a thread would end only half of the test: a count of failures is returned. */
static void *use_objects(void *data) {
    uintptr_t failures = 0;
    char name[32];

    snprintf(name, sizeof(name), "/thread-%u", (unsigned)(uintptr_t)data);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int common = shm_open("/common", O_RDWR | O_CREAT, 0600),
            own = shm_open(name, CREATE, 0600);
        char *memory;

        failures += common < 0 || own < 0 || posix_fallocate(common, 0, SIZE) != 0 ||
                    ftruncate(own, SIZE) != 0;
        memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
        close(own);
        close(common);
        if (memory == MAP_FAILED)
            return (void *)(failures + 1);
        failures += memory[0] != 0;
        memory[0] = 'x';
        munmap(memory, SIZE);
        failures += shm_unlink(name) != 0;
    }
    return (void *)failures;
}

static void run_threads(int channel, void *data) {
    pthread_t threads[THREADS];

    (void)channel;
    (void)data;
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_objects, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failures;

        pthread_join(threads[i], &failures);
        ck_assert_uint_eq((uintptr_t)failures, 0);
    }
}

START_TEST(test_threads) {
    run_as(USER(USER_ID), run_threads, NULL);
    wait_gone(conn, OWN "common");
    ck_assert_int_eq(daemon_segments(&daemon_), 0);
}
END_TEST

int main(void) {
    TCase *cases[] = {tcase_create("shim"), tcase_create("limits")};

    tcase_add_checked_fixture(cases[0], setup, teardown);
    tcase_add_test(cases[0], test_what_the_calls_promise);
    tcase_add_test(cases[0], test_other_users);
    tcase_add_test(cases[0], test_a_size_is_none_or_the_whole);
    tcase_add_test(cases[0], test_wrong_variables);
    tcase_add_test(cases[0], test_lifetimes);
    tcase_add_test(cases[0], test_fork);
    tcase_add_test(cases[0], test_another_daemon);
    tcase_add_test(cases[0], test_nothing_piles_up);
    tcase_add_test(cases[0], test_threads);
    tcase_add_checked_fixture(cases[1], NULL, teardown);
    tcase_add_test(cases[1], test_limits);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        tcase_set_timeout(cases[i], 30);
    return sandbox_run("shim", cases, ARRAY_SIZE(cases));
}
