/*
 * What libshmreg says where there is no daemon.
 */
#include "tests/unit/suite.h"

#include <errno.h>
#include <pthread.h>
#include <shmreg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un make_address(char directory[static 32]) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(directory, "/tmp/shmreg-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/client.sock", directory);
    return address;
}

START_TEST(no_socket_is_named_in_the_sentence) {
    char directory[32];
    struct sockaddr_un address = make_address(directory);
    shmreg_conn *conn;

    ck_assert_str_eq(shmreg_error_message(), "");
    ck_assert_int_eq(shmreg_connect(address.sun_path, &conn), -ENOENT);
    ck_assert_ptr_nonnull(strstr(shmreg_error_message(), address.sun_path));
    rmdir(directory);
}
END_TEST

START_TEST(a_socket_nobody_listens_on_refuses_at_once) {
    char directory[32];
    struct sockaddr_un address = make_address(directory);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    shmreg_conn *conn;

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(shmreg_connect(address.sun_path, &conn), -ECONNREFUSED);
    close(fd);
    unlink(address.sun_path);
    rmdir(directory);
}
END_TEST

START_TEST(a_path_too_long_for_a_socket_is_an_error) {
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
    shmreg_conn *conn;

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    ck_assert_int_eq(shmreg_connect(path, &conn), -ENAMETOOLONG);
    ck_assert_str_ne(shmreg_error_message(), "");
}
END_TEST

static void *read_message(void *data) {
    (void)data;
    ck_assert_str_eq(shmreg_error_message(), "");
    return NULL;
}

START_TEST(each_thread_has_its_own_sentence) {
    shmreg_conn *conn;
    pthread_t thread;

    ck_assert_int_eq(shmreg_connect("/nowhere/client.sock", &conn), -ENOENT);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_message, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_ne(shmreg_error_message(), "");
}
END_TEST

START_TEST(null_is_given_back_like_anything_else) {
    shmreg_disconnect(NULL);
    shmreg_close(NULL);
    shmreg_description_free(NULL);
}
END_TEST

SUITE_MAIN("client-connect", no_socket_is_named_in_the_sentence,
           a_socket_nobody_listens_on_refuses_at_once, a_path_too_long_for_a_socket_is_an_error,
           each_thread_has_its_own_sentence, null_is_given_back_like_anything_else);
