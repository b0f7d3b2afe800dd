/*
 * Dispatch: every operation on regions, as bytes in and bytes out on a real manager.
 */
#include "tests/unit/conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

START_TEST(create_attaches_its_creator) {
    struct wire_attachment a;

    begin();
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    ck_assert_uint_eq(((const struct wire_create_reply *)talk.reply.body)->count, 1);
    expect_descriptor(0, O_RDWR);
    a = attachment(0);
    ck_assert_uint_eq(a.size, 4096);
    ck_assert_uint_eq(a.max_size, 4096);
    ck_assert_uint_eq(a.version, 1);
    ck_assert_uint_eq(a.access, WIRE_WRITE);
    ck_assert_uint_eq(a.backing, BACKING_SHM);
    ck_assert_uint_eq(a.flags, WIRE_ATTACHMENT_CREATED);
    world_expect_usage(&talk.world, 1, 4096, 1, 1);
    end();
}
END_TEST

START_TEST(create_sent_again_is_answered_again) {
    struct wire_create_request body = create_defaults(WIRE_WRITE);
    uint64_t region_id;

    begin();
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    region_id = attachment(0).region_id;
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    ck_assert_uint_eq(attachment(0).region_id, region_id);
    ck_assert_uint_eq(attachment(0).flags, WIRE_ATTACHMENT_CREATED);
    /* Another request is another matter. */
    expect_error(exchange(encode(WIRE_CREATE, 0, SERIAL + 1, &body, STRINGS({"a"}, {""}, {""}))),
                 -EEXIST, "'a' exists already");
    end();
}
END_TEST

START_TEST(create_takes_what_exists_if_asked) {
    struct wire_create_request body = create_defaults(WIRE_READ);

    begin();
    world_create(&talk.world, WORLD_UID,
                 &(struct region_spec){
                     .name = "a", .size = 100, .mode = DEFAULT_MODE, .acl = "", .attributes = ""});
    expect_error(create("a", WIRE_READ, 0), -EEXIST, "'a'");
    body.spec.flags = WIRE_EXISTING_OK;
    ck_assert_int_eq(request(WIRE_CREATE, &body, STRINGS({"a"}, {""}, {""})), 0);
    ck_assert_uint_eq(attachment(0).flags, 0);
    ck_assert_uint_eq(attachment(0).size, 100);
    expect_descriptor(0, O_RDONLY);
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, WIRE_EXISTING_OK), 0);
    end();
}
END_TEST

START_TEST(create_without_access_attaches_nothing) {
    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    ck_assert_uint_eq(((const struct wire_create_reply *)talk.reply.body)->count, 0);
    ck_assert_uint_eq(talk.reply.string[0].length, 0);
    ck_assert_uint_eq(talk.dispatcher.reply.fds.count, 0);
    world_expect_usage(&talk.world, 1, 4096, 0, 1);
    end();
}
END_TEST

START_TEST(open_answers_in_the_order_of_the_names) {
    static const char names[] = "one\0two\0three";
    struct region_spec spec = world_spec("one");
    struct stat st;

    begin();
    spec.size = 1;
    world_create(&talk.world, WORLD_UID, &spec);
    spec.name = "two";
    spec.size = 2;
    world_create(&talk.world, WORLD_UID, &spec);
    spec.name = "three";
    spec.size = 3;
    world_create(&talk.world, WORLD_UID, &spec);

    ck_assert_int_eq(OPEN(names, 3, WIRE_READ), 0);
    ck_assert_uint_eq(((const struct wire_open_reply *)talk.reply.body)->count, 3);
    ck_assert_uint_eq(talk.dispatcher.reply.fds.count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(attachment(i).size, i + 1);
        ck_assert_uint_eq(attachment(i).access, WIRE_READ);
        expect_descriptor(i, O_RDONLY);
        ck_assert_int_eq(fstat(talk.dispatcher.reply.fds.fd[i], &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_size, i + 1);
    }
    world_expect_usage(&talk.world, 3, 6, 3, 1);
    end();
}
END_TEST

START_TEST(a_sync_blocks_descriptor_follows_that_of_its_region) {
    static const char names[] = "a\0b\0c";
    struct stat st;

    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    ck_assert_int_eq(create("b", WIRE_NO_ACCESS, WIRE_SYNC_BLOCK), 0);
    ck_assert_int_eq(create("c", WIRE_WRITE, WIRE_SYNC_BLOCK), 0);
    ck_assert_uint_eq(attachment(0).flags, WIRE_ATTACHMENT_CREATED | WIRE_ATTACHMENT_SYNC_BLOCK);
    ck_assert_uint_eq(talk.dispatcher.reply.fds.count, 2);
    expect_descriptor(1, O_RDWR);
    ck_assert_int_eq(OPEN(names, 3, WIRE_READ), 0);
    ck_assert_uint_eq(talk.dispatcher.reply.fds.count, 5);
    for (size_t i = 0; i < 5; i++) {
        expect_descriptor(i, O_RDONLY);
        ck_assert_int_eq(fstat(talk.dispatcher.reply.fds.fd[i], &st), 0);
        ck_assert_int_eq(st.st_size, 4096);
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(attachment(i).flags, i == 0 ? 0 : WIRE_ATTACHMENT_SYNC_BLOCK);
    end();
}
END_TEST

START_TEST(open_takes_all_or_none) {
    static const char names[] = "a\0nowhere";
    unsigned descriptors;

    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    descriptors = count_descriptors();
    expect_error(OPEN(names, 2, WIRE_READ), -ENOENT, "'nowhere'");
    ck_assert_uint_eq(count_descriptors(), descriptors);
    world_expect_usage(&talk.world, 1, 4096, 0, 1);
    end();
}
END_TEST

START_TEST(open_wants_as_many_names_as_it_says) {
    static const char many[2 * (WIRE_OPEN_MAX + 1)] = "";
    static const char words[] = "1 to 64 names";

    begin();
    ck_assert_int_eq(create("a", WIRE_NO_ACCESS, 0), 0);
    expect_error(OPEN("a", 0, WIRE_READ), -EINVAL, words);
    expect_error(OPEN("a", 2, WIRE_READ), -EINVAL, words);
    expect_error(OPEN("a\0a", 1, WIRE_READ), -EINVAL, words);
    expect_error(open_names("a", 1, 1, WIRE_READ), -EINVAL, words);
    expect_error(open_names("a", 1, 0, WIRE_READ), -EINVAL, words);
    expect_error(open_names("", 0, 0, WIRE_READ), -EINVAL, words);
    expect_error(open_names(many, WIRE_OPEN_MAX + 1, WIRE_OPEN_MAX + 1, WIRE_READ), -EINVAL, words);
    expect_error(open_names("", 1, 1, WIRE_READ), -EINVAL, "");
    expect_error(OPEN("a", 1, WIRE_NO_ACCESS), -EINVAL, "access");
    expect_error(OPEN("a", 1, 3), -EINVAL, "access");
    world_expect_usage(&talk.world, 1, 4096, 0, 1);
    end();
}
END_TEST

START_TEST(others_are_refused_with_the_reason) {
    begin();
    world_create(&talk.world, OTHER_UID,
                 &(struct region_spec){
                     .name = "theirs", .size = 1, .mode = 0644, .acl = "", .attributes = ""});
    ck_assert_int_eq(OPEN("theirs", 1, WIRE_READ), 0);
    expect_error(OPEN("theirs", 1, WIRE_WRITE), -EACCES, "'theirs'");
    expect_error(request(WIRE_DESTROY, &(struct wire_destroy_request){0}, STRINGS({"theirs"})),
                 -EACCES, "'theirs'");
    ck_assert(world_has(&talk.world, "theirs"));
    end();
}
END_TEST

START_TEST(detach_gives_back) {
    uint64_t id;

    begin();
    ck_assert_int_eq(create("a", WIRE_WRITE, 0), 0);
    id = attachment(0).attachment_id;
    ck_assert_int_eq(detach(id), 0);
    world_expect_usage(&talk.world, 1, 4096, 0, 1);
    expect_error(detach(id), -ENOENT, "attachment");
    end();
}
END_TEST

START_TEST(values_go_in_and_out) {
    static char large[WIRE_VALUE_MAX + 1];
    struct wire_put_request put = {.mode = 0640};
    struct wire_get_request get = {.capacity = UINT32_MAX};

    begin();
    memset(large, 'x', sizeof(large));
    expect_error(request(WIRE_PUT, &put, STRINGS({"v"}, {large, 1})), -ENOENT, "'v'");
    put.flags = WIRE_PUT_CREATE;
    ck_assert_int_eq(request(WIRE_PUT, &put, STRINGS({"v"}, {large, WIRE_VALUE_MAX})), 0);
    ck_assert_uint_eq(((const struct wire_put_reply *)talk.reply.body)->version, 1);
    ck_assert_int_eq(request(WIRE_GET, &get, STRINGS({"v"})), 0);
    ck_assert_uint_eq(talk.reply.string[0].length, WIRE_VALUE_MAX);
    ck_assert_mem_eq(talk.reply.string[0].data, large, WIRE_VALUE_MAX);

    put.flags = 0;
    ck_assert_int_eq(request(WIRE_PUT, &put, STRINGS({"v"}, {"three", 5})), 0);
    ck_assert_uint_eq(((const struct wire_put_reply *)talk.reply.body)->version, 2);
    get.capacity = 5;
    ck_assert_int_eq(request(WIRE_GET, &get, STRINGS({"v"})), 0);
    ck_assert_uint_eq(((const struct wire_get_reply *)talk.reply.body)->version, 2);
    ck_assert_mem_eq(talk.reply.string[0].data, "three", 5);
    get.capacity = 4;
    expect_error(request(WIRE_GET, &get, STRINGS({"v"})), -EMSGSIZE, "5 bytes");

    expect_error(request(WIRE_PUT, &put, STRINGS({"v"}, {large, sizeof(large)})), -EMSGSIZE,
                 "61440");
    expect_error(request(WIRE_PUT, &put, STRINGS({"v"}, {"", 0})), -EINVAL, "'v'");
    world_expect_content(&talk.world, "v", "three");
    end();
}
END_TEST

START_TEST(regions_are_described_and_changed) {
    struct wire_create_request body = create_defaults(WIRE_READ);
    const struct wire_describe_reply *described;

    begin();
    body.spec.lifetime = LIFETIME_LEASE;
    body.spec.seconds = 1000;
    body.spec.mode = 0640;
    body.spec.max_size = 8192;
    ck_assert_int_eq(request(WIRE_CREATE, &body, STRINGS({"a"}, {"user:1:r"}, {"{\"x\":1}"})), 0);
    ck_assert_int_eq(
        request(WIRE_RENEW, &(struct wire_renew_request){.seconds = 500}, STRINGS({"a"})), 0);
    ck_assert_int_eq(request(WIRE_SET_ATTRIBUTES, &(struct wire_set_attributes_request){0},
                             STRINGS({"a"}, {"{\"y\":2}"})),
                     0);
    ck_assert_int_eq(
        request(WIRE_SET_ACCESS,
                &(struct wire_set_access_request){.mode = WIRE_MODE_DEFAULT, .flags = WIRE_SET_ACL},
                STRINGS({"a"}, {"user:2:rw"})),
        0);
    ck_assert_int_eq(request(WIRE_SET_ACCESS, &(struct wire_set_access_request){.mode = 0600},
                             STRINGS({"a"}, {"user:3:rw"})),
                     0);
    ck_assert_int_eq(request(WIRE_DESCRIBE, &(struct wire_describe_request){0}, STRINGS({"a"})), 0);
    described = talk.reply.body;
    ck_assert_str_eq(talk.reply.string[0].data, "a");
    ck_assert_str_eq(talk.reply.string[1].data, "user:2:rw");
    ck_assert_str_eq(talk.reply.string[2].data, "{\"y\":2}");
    ck_assert_uint_eq(described->size, 4096);
    ck_assert_uint_eq(described->max_size, 8192);
    ck_assert_uint_eq(described->mode, 0600);
    ck_assert_uint_eq(described->lifetime, LIFETIME_LEASE);
    ck_assert_uint_eq(described->seconds, 500);
    ck_assert_uint_le(described->remaining_seconds, 500);
    ck_assert_uint_ge(described->remaining_seconds, 400);
    ck_assert_uint_eq(described->owner_uid, WORLD_UID);
    ck_assert_uint_eq(described->rights, RIGHT_ALL);
    ck_assert_uint_eq(described->readers, 1);
    ck_assert_uint_eq(described->writers, 0);
    ck_assert_int_eq(request(WIRE_DESTROY, &(struct wire_destroy_request){0}, STRINGS({"a"})), 0);
    ck_assert(!world_has(&talk.world, "a"));
    end();
}
END_TEST

START_TEST(a_region_grows_and_is_sealed) {
    struct wire_create_request body = create_defaults(WIRE_NO_ACCESS);
    struct wire_resize_request resize = {.size = 6000};
    struct wire_seal_request seal = {.reserved = 0};
    const struct wire_describe_reply *described;

    begin();
    body.spec.max_size = 8192;
    ck_assert_int_eq(request(WIRE_CREATE, &body, STRINGS({"a"}, {""}, {""})), 0);
    ck_assert_int_eq(request(WIRE_RESIZE, &resize, STRINGS({"a"})), 0);
    resize.size = 8193;
    expect_error(request(WIRE_RESIZE, &resize, STRINGS({"a"})), -EINVAL, "8192");
    ck_assert_int_eq(OPEN("a", 1, WIRE_READ), 0);
    ck_assert_uint_eq(attachment(0).size, 6000);
    ck_assert_uint_eq(attachment(0).max_size, 8192);
    ck_assert_uint_eq(attachment(0).flags, 0);
    ck_assert_int_eq(request(WIRE_SEAL, &seal, STRINGS({"a"})), 0);
    ck_assert_int_eq(OPEN("a", 1, WIRE_READ), 0);
    ck_assert_uint_eq(attachment(0).flags, WIRE_ATTACHMENT_SEALED);
    expect_error(OPEN("a", 1, WIRE_WRITE), -EPERM, "sealed");
    ck_assert_int_eq(request(WIRE_DESCRIBE, &(struct wire_describe_request){0}, STRINGS({"a"})), 0);
    described = talk.reply.body;
    ck_assert_uint_eq(described->size, 6000);
    ck_assert_uint_eq(described->flags, WIRE_ATTACHMENT_SEALED);

    seal.reserved = resize.reserved = 1;
    expect_error(request(WIRE_SEAL, &seal, STRINGS({"a"})), -EINVAL, "reserved");
    expect_error(request(WIRE_RESIZE, &resize, STRINGS({"a"})), -EINVAL, "reserved");
    end();
}
END_TEST

SUITE_MAIN("dispatch-regions", create_attaches_its_creator, create_sent_again_is_answered_again,
           create_takes_what_exists_if_asked, create_without_access_attaches_nothing,
           open_answers_in_the_order_of_the_names,
           a_sync_blocks_descriptor_follows_that_of_its_region, open_takes_all_or_none,
           open_wants_as_many_names_as_it_says, others_are_refused_with_the_reason,
           detach_gives_back, values_go_in_and_out, regions_are_described_and_changed,
           a_region_grows_and_is_sealed);
