/*
 * Malformed messages: whatever a client sends, it is answered with an error or cut off; others
 * notice nothing, and the daemon neither ends nor keeps a descriptor.
 */
#include "proto/cleanup.h"
#include "tests/support/child.h"
#include "tests/support/raw.h"
#include "tests/support/regions.h"
#include "tests/support/sandbox.h"
#include "tests/support/wait.h"
#include "tests/unit/wire-shapes.h"

#include <stdlib.h>
#include <sys/socket.h>

static struct test_daemon daemon_;
static shmreg_conn *witness;
static unsigned descriptors;
static _Alignas(8) char buffer[2 * WIRE_MESSAGE_MAX];

static void setup(void) {
    daemon_start(&daemon_);
    witness = connect_to(&daemon_);
    create_region(witness, "feed/prices", 100, NULL);
    descriptors = settled_descriptors(&daemon_, witness);
}

static bool are_descriptors_closed(void *data) {
    (void)data;
    return settled_descriptors(&daemon_, witness) == descriptors;
}

/* Others are served as before, and nothing stays open. */
static void teardown(void) {
    shmreg_region *region = open_region(witness, "feed/prices", SHMREG_READ);

    shmreg_close(region);
    wait_until(are_descriptors_closed, NULL);
    ck_assert(daemon_is_alive(&daemon_));
    shmreg_disconnect(witness);
    daemon_stop(&daemon_);
}

static void send_bytes(int fd, const void *data, size_t size) {
    ck_assert_int_eq(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void expect_cut_off(const void *data, size_t size) {
    _cleanup_close_ int fd = raw_greet(daemon_.socket);

    send_bytes(fd, data, size);
    raw_wait_closed(fd);
}

/* Calls @spoil with a valid request of every operation, and expects what it makes of it to be
 * answered with EBADMSG and the connection to be closed. It returns the new size, or 0 if the
 * operation cannot be spoilt that way. */
static void spoil_each(size_t (*spoil)(const struct wire_shape *shape, size_t size)) {
    for (size_t i = 0; i < ARRAY_SIZE(wire_shapes); i++) {
        _cleanup_close_ int fd = -1;
        size_t size;

        if (wire_shapes[i].side != WIRE_REQUEST_SIDE)
            continue;
        size = spoil(&wire_shapes[i], (size_t)wire_shape_message(&wire_shapes[i], buffer));
        if (size == 0)
            continue;
        fd = raw_greet(daemon_.socket);
        send_bytes(fd, buffer, size);
        ck_assert_int_eq(raw_receive_status(fd), -EBADMSG);
        raw_wait_closed(fd);
    }
}

static struct wire_header *header(void) {
    return (struct wire_header *)buffer;
}

static uint32_t *string_lengths(void) {
    return (uint32_t *)(buffer + sizeof(struct wire_header));
}

static size_t cut(const struct wire_shape *shape, size_t size) {
    (void)shape;
    header()->length -= 1;
    return size - 1;
}

static size_t cut_the_struct(const struct wire_shape *shape, size_t size) {
    (void)size;
    header()->length = (uint32_t)shape->body_size - 1;
    return sizeof(struct wire_header) + shape->body_size - 1;
}

static size_t announce_more(const struct wire_shape *shape, size_t size) {
    (void)shape;
    header()->length += 1;
    return size;
}

static size_t append(const struct wire_shape *shape, size_t size) {
    (void)shape;
    header()->length += 1;
    buffer[size] = 0;
    return size + 1;
}

static size_t stretch_a_string(const struct wire_shape *shape, size_t size) {
    string_lengths()[0] = UINT32_MAX;
    return *shape->strings ? size : 0;
}

static size_t drop_a_nul(const struct wire_shape *shape, size_t size) {
    if (shape->strings[0] != 't')
        return 0;
    buffer[sizeof(struct wire_header) + shape->body_size + string_lengths()[0] - 1] = 'x';
    return size;
}

static size_t set_a_flag(const struct wire_shape *shape, size_t size) {
    (void)shape;
    header()->flags = 0x8000;
    return size;
}

static size_t set_status(const struct wire_shape *shape, size_t size) {
    (void)shape;
    header()->status = -1;
    return size;
}

static size_t call_it_a_reply(const struct wire_shape *shape, size_t size) {
    (void)shape;
    header()->flags = WIRE_REPLY;
    return size;
}

static size_t (*const spoilers[])(const struct wire_shape *shape, size_t size) = {
    cut,        cut_the_struct, announce_more, append,          stretch_a_string,
    drop_a_nul, set_a_flag,     set_status,    call_it_a_reply,
};

START_TEST(test_every_operation_spoilt) {
    spoil_each(spoilers[_i]);
}
END_TEST

START_TEST(test_less_than_a_header) {
    static const char zeroes[sizeof(struct wire_header)];

    for (size_t size = 1; size < sizeof(zeroes); size++)
        expect_cut_off(zeroes, size);
}
END_TEST

START_TEST(test_more_than_a_message) {
    memset(buffer, 0, sizeof(buffer));
    expect_cut_off(buffer, WIRE_MESSAGE_MAX + 1);
    expect_cut_off(buffer, sizeof(buffer));
    ck_assert(daemon_has_logged(&daemon_, "too large"));
}
END_TEST

/* No packet at all, but the end of the stream: to recv(2) both are 0 bytes. */
START_TEST(test_an_empty_packet) {
    expect_cut_off("", 0);
}
END_TEST

START_TEST(test_unexpected_descriptors) {
    static const size_t counts[] = {1, 64, 65, 66, 253};
    size_t size = (size_t)wire_shape_message(&wire_shapes[0], buffer);
    char control[CMSG_SPACE(253 * sizeof(int))];

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        _cleanup_close_ int fd = raw_greet(daemon_.socket);
        struct msghdr message = {
            .msg_iov = &(struct iovec){buffer, size},
            .msg_iovlen = 1,
            .msg_control = control,
            .msg_controllen = CMSG_SPACE(counts[i] * sizeof(int)),
        };
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);

        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(counts[i] * sizeof(int));
        for (size_t n = 0; n < counts[i]; n++)
            memcpy(CMSG_DATA(part) + n * sizeof(int), &fd, sizeof(int));
        ck_assert_int_eq(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)size);
        raw_wait_closed(fd);
    }
}
END_TEST

START_TEST(test_unknown_operations) {
    _cleanup_close_ int fd = raw_greet(daemon_.socket);
    static const uint16_t ops[] = {0, 255, 4096, UINT16_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct wire_header request = {.op = ops[i], .serial = 7};

        send_bytes(fd, &request, sizeof(request));
        ck_assert_int_eq(raw_receive_status(fd), -EOPNOTSUPP);
    }
    /* And the connection goes on. */
    raw_request(fd, WIRE_DESCRIBE, 8, &(struct wire_describe_request){0},
                &(struct wire_string){.data = "feed/prices"});
    ck_assert_int_eq(raw_receive_status(fd), 0);
}
END_TEST

START_TEST(test_hello_comes_first_and_once) {
    _cleanup_close_ int fd = raw_connect(daemon_.socket);

    raw_request(fd, WIRE_DESCRIBE, 1, &(struct wire_describe_request){0},
                &(struct wire_string){.data = "feed/prices"});
    ck_assert_int_eq(raw_receive_status(fd), -EPROTO);
    raw_hello(fd, 99);
    raw_request(fd, WIRE_HELLO, 2,
                &(struct wire_hello_request){.version = WIRE_VERSION, .client_id = 98}, NULL);
    ck_assert_int_eq(raw_receive_status(fd), -EINVAL);
    raw_request(fd, WIRE_DESCRIBE, 3, &(struct wire_describe_request){0},
                &(struct wire_string){.data = "feed/prices"});
    ck_assert_int_eq(raw_receive_status(fd), 0);
}
END_TEST

START_TEST(test_an_open_that_lies_about_its_count) {
    static const char names[] = "feed/prices\0feed/prices";
    _cleanup_close_ int fd = raw_greet(daemon_.socket);

    for (uint32_t count = 0; count < 100; count++) {
        if (count == 2)
            continue;
        raw_request(fd, WIRE_OPEN, count, &(struct wire_open_request){.count = count, .access = 1},
                    &(struct wire_string){names, sizeof(names)});
        ck_assert_int_eq(raw_receive_status(fd), -EINVAL);
    }
    /* Nothing ends with its NUL. */
    raw_request(fd, WIRE_OPEN, 1, &(struct wire_open_request){.count = 1, .access = 1},
                &(struct wire_string){"feed", 4});
    ck_assert_int_eq(raw_receive_status(fd), -EINVAL);
    ck_assert_uint_eq(count_readers(witness, "feed/prices"), 0);
}
END_TEST

START_TEST(test_detach_of_what_another_holds) {
    shmreg_region *held = open_region(witness, "feed/prices", SHMREG_READ);
    _cleanup_close_ int fd = raw_greet(daemon_.socket);

    for (uint64_t id = 0; id < 100; id++) {
        raw_request(fd, WIRE_DETACH, 1, &(struct wire_detach_request){id}, NULL);
        ck_assert_int_eq(raw_receive_status(fd), -ENOENT);
    }
    ck_assert_uint_eq(count_readers(witness, "feed/prices"), 1);
    shmreg_close(held);
}
END_TEST

/* The same bytes in every run. */
START_TEST(test_garbage) {
    struct random_data state = {0};
    char seed[64];

    initstate_r(20240 + (unsigned)_i, seed, sizeof(seed), &state);
    for (unsigned round = 0; round < 300; round++) {
        _cleanup_close_ int fd = raw_greet(daemon_.socket);
        int32_t number, size;

        random_r(&state, &size);
        size = 1 + size % 400;
        for (int32_t i = 0; i < size; i++) {
            random_r(&state, &number);
            buffer[i] = (char)(number >> 8);
        }
        /* Every other round with a header that is nearly right, so that it gets further. */
        if (round % 2 && size > 16)
            *header() = (struct wire_header){.op = (uint16_t)(1 + round % 11),
                                             .length = (uint32_t)size - 16};
        send_bytes(fd, buffer, (size_t)size);
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        raw_wait_closed(fd);
    }
}
END_TEST

int main(void) {
    TCase *malformed = tcase_create("malformed");

    tcase_add_checked_fixture(malformed, setup, teardown);
    tcase_set_timeout(malformed, 30);
    tcase_add_loop_test(malformed, test_every_operation_spoilt, 0, (int)ARRAY_SIZE(spoilers));
    tcase_add_test(malformed, test_less_than_a_header);
    tcase_add_test(malformed, test_more_than_a_message);
    tcase_add_test(malformed, test_an_empty_packet);
    tcase_add_test(malformed, test_unexpected_descriptors);
    tcase_add_test(malformed, test_unknown_operations);
    tcase_add_test(malformed, test_hello_comes_first_and_once);
    tcase_add_test(malformed, test_an_open_that_lies_about_its_count);
    tcase_add_test(malformed, test_detach_of_what_another_holds);
    tcase_add_loop_test(malformed, test_garbage, 0, 3);
    return sandbox_run("malformed", &malformed, 1);
}
