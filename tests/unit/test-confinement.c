/*
 * Confinement: a process that is root tries what a daemon that was taken over would, and the kernel
 * refuses it. What an older kernel does not guard is not tried; that the log says so is.
 */
#include "daemon/ground/confinement.h"
#include "daemon/ground/log.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define OWN SCRATCH "/own"
#define OTHER SCRATCH "/other"

static const char *const own_directories[] = {OWN};
static int stderr_pipe;
static struct sockaddr_un abstract_address = {.sun_family = AF_UNIX};

/* 0: none. */
static long landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return version < 0 ? 0 : version;
}

static const char *logged(void) {
    static char text[4096];
    ssize_t n = read(stderr_pipe, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void listen_abstract(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(abstract_address.sun_path + 1, sizeof(abstract_address.sun_path) - 1,
             "test-confinement.%d", getpid());
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&abstract_address, sizeof(abstract_address)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
}

/* Before it is confined: what a process makes afterwards is its own. */
static void prepare(void) {
    int ends[2];

    scratch_mount(1 << 20);
    ck_assert_int_eq(mkdir(OWN, 0755) | mkdir(OTHER, 0755), 0);
    scratch_write(OWN "/file", "own", 3);
    scratch_write(OTHER "/file", "other", 5);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    stderr_pipe = ends[0];
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_open(true);
    listen_abstract();
}

static void confine(bool writes_anywhere) {
    prepare();
    confine_privileges();
    confine_files(own_directories, ARRAY_SIZE(own_directories), writes_anywhere);
}

static int try_open(const char *path, int flags) {
    _cleanup_close_ int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd < 0 ? errno : 0;
}

static int error_of(int result) {
    return result < 0 ? errno : 0;
}

static int write_other(void) {
    return try_open(OTHER "/file", O_WRONLY);
}

static int make_other(void) {
    return try_open(OTHER "/new", O_RDWR | O_CREAT);
}

static int truncate_other(void) {
    return error_of(truncate(OTHER "/file", 1));
}

static int remove_other(void) {
    return error_of(unlink(OTHER "/file"));
}

static int make_directory(void) {
    return error_of(mkdir(OTHER "/directory", 0755));
}

static int rename_to_other(void) {
    return error_of(rename(OWN "/file", OTHER "/stolen"));
}

static int make_symlink(void) {
    return error_of(symlink("/etc/passwd", OWN "/link"));
}

static int make_fifo(void) {
    return error_of(mkfifo(OWN "/fifo", 0600));
}

static int execute(void) {
    char *arguments[] = {(char *)"true", NULL};
    pid_t child = fork();
    int status;

    if (child == 0) {
        execv("/bin/true", arguments);
        _exit(errno);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static int connect_tcp(void) {
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};

    return error_of(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int signal_parent(void) {
    return error_of(kill(getppid(), 0));
}

static int connect_abstract(void) {
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return error_of(connect(fd, (struct sockaddr *)&abstract_address, sizeof(abstract_address)));
}

static const struct {
    int (*try)(void);
    long version; /* of Landlock that guards it */
    int error;
    bool user_may; /* in a user's own daemon */
} attacks[] = {
    {write_other, 1, EACCES, true},     {make_other, 1, EACCES, false},
    {remove_other, 1, EACCES, false},   {make_directory, 1, EACCES, false},
    {make_symlink, 1, EACCES, false},   {make_fifo, 1, EACCES, false},
    {execute, 1, EACCES, false},        {rename_to_other, 2, EACCES, false},
    {truncate_other, 3, EACCES, false}, {connect_tcp, 4, EACCES, false},
    {signal_parent, 6, EPERM, false},   {connect_abstract, 6, EPERM, false},
};

static void expect_refusals(bool writes_anywhere) {
    long version = landlock_version();

    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
        int expected = writes_anywhere && attacks[i].user_may ? 0 : attacks[i].error, error;

        if (attacks[i].version > version)
            continue;
        error = attacks[i].try();
        ck_assert_msg(error == expected, "attack %zu: %s", i, strerror(error));
    }
}

static uint64_t status_field(const char *name, int base) {
    _cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
    size_t length = strlen(name);
    char line[256];

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            return strtoull(line + length + 1, NULL, base);
    ck_abort_msg("no %s", name);
}

START_TEST(root_has_no_capability_and_gains_none) {
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

    prepare();
    ck_assert_int_eq(chown(OTHER "/file", 20001, 20001), 0);
    confine_privileges();
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
        ck_assert_uint_eq(status_field(sets[i], 16), 0);
    ck_assert_uint_eq(status_field("NoNewPrivs", 10), 1);
    ck_assert_int_eq(try_open(OTHER "/file", O_RDONLY), EACCES);
    ck_assert_int_eq(error_of(setuid(20001)), EPERM);
    ck_assert_int_eq(error_of(chroot(OWN)), EPERM);
    ck_assert_str_eq(logged(), "");
}
END_TEST

/* As it is under systemd: there, capset(2) itself is refused. */
START_TEST(who_has_no_capability_has_nothing_to_give_up) {
    prepare();
    ck_assert_int_eq(setresuid(20001, 20001, 20001), 0);
    confine_privileges();
    ck_assert_uint_eq(status_field("CapEff", 16), 0);
    ck_assert_uint_eq(status_field("NoNewPrivs", 10), 1);
    ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(files_change_only_in_its_own_directories) {
    _cleanup_close_ int opened = -1;

    prepare();
    opened = open(OTHER "/file", O_RDWR | O_CLOEXEC);
    confine_privileges();
    confine_files(own_directories, ARRAY_SIZE(own_directories), false);
    expect_refusals(false);
    ck_assert_int_eq(try_open(OWN "/new", O_RDWR | O_CREAT | O_TRUNC), 0);
    ck_assert_int_eq(truncate(OWN "/new", 10), 0);
    ck_assert_int_eq(mkdir(OWN "/directory", 0755), 0);
    ck_assert_int_eq(rename(OWN "/new", OWN "/newer"), 0);
    if (landlock_version() >= 2)
        ck_assert_int_eq(rename(OWN "/newer", OWN "/directory/newer"), 0);
    ck_assert_int_eq(unlink(OWN "/file"), 0);
    ck_assert_int_eq(try_open(OTHER "/file", O_RDONLY), 0);
    ck_assert_int_eq(pwrite(opened, "x", 1, 0), 1);
}
END_TEST

static void *try_in_a_thread(void *unused) {
    (void)unused;
    expect_refusals(false);
    return NULL;
}

START_TEST(a_thread_that_starts_later_is_confined_too) {
    pthread_t thread;

    confine(false);
    ck_assert_int_eq(pthread_create(&thread, NULL, try_in_a_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(a_users_own_daemon_writes_where_the_user_may) {
    confine(true);
    expect_refusals(true);
}
END_TEST

START_TEST(memory_is_not_concerned) {
    _cleanup_close_ int fd = -1, again = -1;
    char path[32];

    confine(false);
    fd = memfd_create("test", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(again, 0);
    ck_assert_int_eq(ftruncate(again, 4096), 0);
}
END_TEST

START_TEST(an_abstract_socket_of_the_service_manager_is_reached) {
    setenv("NOTIFY_SOCKET", "@somewhere", 1);
    confine(false);
    ck_assert_int_eq(connect_abstract(), 0);
}
END_TEST

static const char *const words[] = {"files",   "renaming to another directory", "truncating", "TCP",
                                    "devices", "signals and abstract sockets"};

START_TEST(the_log_says_what_the_kernel_lacks) {
    size_t version = (size_t)landlock_version();
    const char *log;

    confine(false);
    log = logged();
    if (version == 0) {
        ck_assert_ptr_nonnull(strstr(log, "not confined by Landlock"));
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        ck_assert_msg((strstr(log, words[i]) != NULL) == (i >= version), "%s: %s", words[i], log);
    ck_assert(version < ARRAY_SIZE(words) || !*log);
}
END_TEST

/* A kernel without Landlock, as far as this process can tell. */
static void refuse_landlock(void) {
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_SIZE(instructions), instructions};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(without_landlock_it_says_so_and_goes_on) {
    prepare();
    refuse_landlock();
    confine_privileges();
    confine_files(own_directories, ARRAY_SIZE(own_directories), false);
    ck_assert_str_eq(logged(), "shmregd: not confined by Landlock (Function not implemented): "
                               "only permissions keep this daemon from other files\n");
    ck_assert_int_eq(write_other(), 0);
    ck_assert_uint_eq(status_field("CapEff", 16), 0);
}
END_TEST

SUITE_MAIN("confinement", root_has_no_capability_and_gains_none,
           who_has_no_capability_has_nothing_to_give_up, files_change_only_in_its_own_directories,
           a_thread_that_starts_later_is_confined_too, a_users_own_daemon_writes_where_the_user_may,
           memory_is_not_concerned, an_abstract_socket_of_the_service_manager_is_reached,
           the_log_says_what_the_kernel_lacks, without_landlock_it_says_so_and_goes_on);
