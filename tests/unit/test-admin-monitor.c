/*
 * Admin: what a subscriber of Monitor hears, also from the next daemon.
 */
#include "tests/unit/admin-face.h"

#include "daemon/ground/log.h"
#include "proto/packet.h"
#include "proto/socket-path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct admin_face face;
static struct admin_client *root;

static void setup(void) {
    log_set_level(LOG_NOTICE);
    admin_face_init(&face);
    root = admin_client_new(&face, 0);
}

static void teardown(void) {
    admin_client_free(root);
    admin_face_deinit(&face);
}

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void expect_event(struct admin_client *client, const char *event, const char *region) {
    json_t *reply = admin_client_receive(client);
    const json_t *parameters = json_object_get(reply, "parameters");

    ck_assert(json_is_true(json_object_get(reply, "continues")));
    ck_assert_str_eq(text_of(parameters, "event"), event);
    ck_assert_str_eq(text_of(parameters, "region"), region);
    json_decref(reply);
}

START_TEST(a_subscriber_hears_what_concerns_him) {
    struct admin_client *user;

    setup();
    user = admin_client_new(&face, WORLD_UID);
    json_decref(admin_client_refused(user, "Monitor", "{}", "org.varlink.service.ExpectedMore"));
    admin_client_send_call(user, "Monitor", "{}", "more");
    expect_event(user, "subscribed", "");
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'hidden', 'size': 1}"));
    json_decref(
        admin_client_call(root, "CreateRegion", "{'name': 'shown', 'size': 1, 'mode': '0606'}"));
    json_decref(admin_client_call(root, "PutValue", "{'name': 'shown', 'data': 'AAAA'}"));
    json_decref(admin_client_call(root, "SetAttributes", "{'name': 'shown', 'attributes': {}}"));
    json_decref(admin_client_call(root, "DestroyRegion", "{'name': 'hidden'}"));
    json_decref(admin_client_call(root, "DestroyRegion", "{'name': 'shown'}"));
    expect_event(user, "created", "shown");
    expect_event(user, "published", "shown");
    expect_event(user, "changed", "shown");
    expect_event(user, "destroyed", "shown");
    admin_client_free(user);
    teardown();
}
END_TEST

static bool is_logged(struct world *world, void *data) {
    (void)world;
    return log_has(data);
}

START_TEST(a_subscriber_who_does_not_read_is_cut_off) {
    char why[] = "a subscriber that does not read";
    struct admin_client *deaf;

    log_capture();
    setup();
    deaf = admin_client_new(&face, 0);
    admin_client_send_call(deaf, "Monitor", "{}", "more");
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'r', 'size': 1}"));
    for (unsigned i = 0; i < 20000 && !log_has(why); i++)
        json_decref(admin_client_call(root, "SetAttributes", "{'name': 'r', 'attributes': {}}"));
    world_wait(&face.world, is_logged, why);
    ck_assert_uint_eq(admin_n_connections(face.admin), 1);
    admin_client_free(deaf);
    teardown();
}
END_TEST

/* What the service manager is told, and the descriptor that it is given. */
struct notice {
    char text[256];
    int fd;
};

static int listen_as_service_manager(void) {
    char path[WORLD_PATH_MAX + 16];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;

    snprintf(path, sizeof(path), "%s/notify", face.world.directory);
    ck_assert_int_eq(socket_address(path, NULL, &address), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
    return fd;
}

static void expect_notice(int manager, const char *text, struct notice *ret) {
    struct packet_fds fds;
    int size = packet_receive(manager, ret->text, sizeof(ret->text) - 1, &fds);

    ck_assert_int_gt(size, 0);
    ret->text[size] = '\0';
    ck_assert_str_eq(ret->text, text);
    ret->fd = fds.count == 1 ? fds.fd[0] : -1;
}

static void create_owned(pid_t pid) {
    struct client *client = world_client(&face.world, WORLD_UID, pid, 1);
    struct region_spec spec = world_spec("owned");
    struct region *region;
    struct error error;

    spec.lifetime = LIFETIME_OWNER;
    ck_assert_int_eq(
        manager_create(face.world.manager, &client->caller, client, &spec, &region, &error), 0);
}

START_TEST(a_subscriber_goes_on_with_the_next_daemon) {
    pid_t owner = process_spawn();
    struct admin_client *user;
    struct notice notice;
    int manager;

    setup();
    manager = listen_as_service_manager();
    user = admin_client_new(&face, 0);
    admin_client_send_call(user, "Monitor", "{}", "more");
    expect_event(user, "subscribed", "");
    expect_notice(manager, "FDSTORE=1\nFDNAME=m1", &notice);
    ck_assert_int_ge(notice.fd, 0);
    create_owned(owner);
    expect_event(user, "created", "owned");
    admin_face_stop(&face);
    process_kill(owner);
    admin_face_start(&face, "m1", notice.fd);
    expect_event(user, "reaped", "owned");
    admin_client_free(root);
    root = admin_client_new(&face, 0);
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'later', 'size': 1}"));
    expect_event(user, "created", "later");
    ck_assert_uint_eq(quota_used(manager_quota(face.world.manager), LIMIT_CONNECTIONS), 2);
    admin_client_free(user);
    close(manager);
    teardown();
}
END_TEST

START_TEST(the_socket_of_one_who_does_not_read_is_not_kept) {
    struct admin_client *slow;
    struct notice notice;
    unsigned events = 0;
    int manager;

    setup();
    manager = listen_as_service_manager();
    slow = admin_client_new(&face, 0);
    admin_client_send_call(slow, "Monitor", "{}", "more");
    expect_event(slow, "subscribed", "");
    expect_notice(manager, "FDSTORE=1\nFDNAME=m1", &notice);
    close(notice.fd);
    json_decref(admin_client_call(root, "CreateRegion", "{'name': 'r', 'size': 1}"));
    while (recv(manager, NULL, 0, MSG_PEEK) < 0) {
        json_decref(admin_client_call(root, "SetAttributes", "{'name': 'r', 'attributes': {}}"));
        ck_assert_uint_lt(++events, 20000);
    }
    expect_notice(manager, "FDSTOREREMOVE=1\nFDNAME=m1", &notice);
    expect_event(slow, "created", "r");
    for (; events > 0; events--)
        expect_event(slow, "changed", "r");
    expect_notice(manager, "FDSTORE=1\nFDNAME=m2", &notice);
    close(notice.fd);
    admin_client_free(slow);
    close(manager);
    teardown();
}
END_TEST

SUITE_MAIN("admin-monitor", a_subscriber_hears_what_concerns_him,
           a_subscriber_who_does_not_read_is_cut_off, a_subscriber_goes_on_with_the_next_daemon,
           the_socket_of_one_who_does_not_read_is_not_kept);
