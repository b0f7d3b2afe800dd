/*
 * Where the sockets are: what overrides what. Run as root, who takes on the uid of a user.
 */
#include "proto/cleanup.h"
#include "proto/socket-path.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define USER 20001

static void forget_environment(void) {
    unsetenv("SHMREG_SOCKET");
    unsetenv("SHMREG_ADMIN_SOCKET");
    unsetenv("XDG_RUNTIME_DIR");
}

static void expect(const char *path, const char *socket_name, const char *expected) {
    struct sockaddr_un address;

    ck_assert_int_eq(socket_address(path, socket_name, &address), 0);
    ck_assert_int_eq(address.sun_family, AF_UNIX);
    ck_assert_str_eq(address.sun_path, expected);
}

START_TEST(without_a_hint_it_is_the_system_daemon) {
    forget_environment();
    expect(NULL, CLIENT_SOCKET_NAME, "/run/shmregd/client.sock");
    expect(NULL, ADMIN_SOCKET_NAME, "/run/shmregd/admin.sock");
}
END_TEST

START_TEST(each_socket_has_its_variable) {
    forget_environment();
    setenv("SHMREG_SOCKET", "/tmp/c", 1);
    expect(NULL, CLIENT_SOCKET_NAME, "/tmp/c");
    expect(NULL, ADMIN_SOCKET_NAME, "/run/shmregd/admin.sock");
    setenv("SHMREG_ADMIN_SOCKET", "/tmp/a", 1);
    expect(NULL, ADMIN_SOCKET_NAME, "/tmp/a");
    expect("/tmp/given", CLIENT_SOCKET_NAME, "/tmp/given");
    setenv("SHMREG_SOCKET", "", 1);
    expect(NULL, CLIENT_SOCKET_NAME, "/run/shmregd/client.sock");
}
END_TEST

START_TEST(a_path_that_no_address_can_hold_is_refused) {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct sockaddr_un address;

    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    ck_assert_int_eq(socket_address(path, CLIENT_SOCKET_NAME, &address), -ENAMETOOLONG);
    path[sizeof(path) - 2] = '\0';
    expect(path, CLIENT_SOCKET_NAME, path);
}
END_TEST

/* A runtime directory of USER with a daemon's socket (any file) in it. */
static void make_runtime_directory(char template[static 32], char socket_path[static 64]) {
    char directory[48];

    strcpy(template, "/tmp/shmreg-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(template));
    ck_assert_int_eq(chmod(template, 0755), 0);
    snprintf(directory, sizeof(directory), "%s/shmregd", template);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    snprintf(socket_path, 64, "%s/client.sock", directory);
    close(open(socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
}

START_TEST(a_user_finds_his_daemon_if_its_socket_is_there) {
    char directory[32], socket_path[64], user_directory[48];

    forget_environment();
    make_runtime_directory(directory, socket_path);
    setenv("XDG_RUNTIME_DIR", directory, 1);
    expect(NULL, CLIENT_SOCKET_NAME, "/run/shmregd/client.sock");
    ck_assert_int_eq(setresuid(USER, USER, 0), 0);
    expect(NULL, CLIENT_SOCKET_NAME, socket_path);
    expect(NULL, ADMIN_SOCKET_NAME, "/run/shmregd/admin.sock");
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    expect(NULL, CLIENT_SOCKET_NAME, "/run/shmregd/client.sock");

    ck_assert_int_eq(seteuid(0), 0);
    snprintf(user_directory, sizeof(user_directory), "%s/shmregd", directory);
    ck_assert_int_eq(unlink(socket_path), 0);
    ck_assert_int_eq(rmdir(user_directory), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

SUITE_MAIN("socket-path", without_a_hint_it_is_the_system_daemon, each_socket_has_its_variable,
           a_path_that_no_address_can_hold_is_refused,
           a_user_finds_his_daemon_if_its_socket_is_there);
