/*
 * What libshmreg makes of answers that no daemon should give: -EPROTO, nothing mapped, and every
 * descriptor that came closed again. At the other end of the socket is a process that answers one
 * OPEN rightly but for one fault.
 */
#include "proto/cleanup.h"
#include "proto/packet.h"
#include "proto/wire.h"
#include "tests/unit/suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <shmreg.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 512u
#define SIZE UINT64_C(4096)

/* One answer, all of it, before it is sent. */
struct answer {
    struct wire_header header;
    union {
        struct wire_hello_reply hello;
        struct wire_open_reply open;
        struct wire_put_reply put;
    };
    struct wire_attachment attachments[2];
    size_t n_attachments;
    size_t cut;   /* bytes that are not sent */
    bool hang_up; /* instead of sending it */
    int fds[2];
    size_t n_fds;
    uint64_t memory; /* bytes behind the descriptor */
    int open_flags;
};

struct fault {
    const char *name;
    void (*spoil)(struct answer *answer);
    int result;
};

static int make_memory(uint64_t size, int flags) {
    _cleanup_close_ int fd = memfd_create("test-client-answers", MFD_CLOEXEC);
    char path[32];

    if (ftruncate(fd, (off_t)size) < 0)
        _exit(1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

static struct answer right_hello(const struct wire_header *request) {
    return (struct answer){
        .header = {.op = WIRE_HELLO, .flags = WIRE_REPLY, .serial = request->serial},
        .hello = {.version = WIRE_VERSION, .status_slots = SLOTS},
        .n_fds = 1,
        .memory = SLOTS * UINT64_C(8),
        .open_flags = O_RDONLY,
    };
}

static struct answer right_open(const struct wire_header *request) {
    return (struct answer){
        .header = {.op = WIRE_OPEN, .flags = WIRE_REPLY, .serial = request->serial},
        .open = {.count = 1},
        .attachments = {{
            .region_id = 1,
            .attachment_id = 1,
            .size = SIZE,
            .max_size = SIZE,
            .version = 1,
            .access = WIRE_READ,
            .backing = SHMREG_MEMFD,
        }},
        .n_attachments = 1,
        .n_fds = 1,
        .memory = SIZE,
        .open_flags = O_RDONLY,
    };
}

static int encode(struct answer *answer, void *buffer) {
    static const char sentence[] = "a sentence";
    struct wire_string string = {answer->attachments,
                                 answer->n_attachments * sizeof(answer->attachments[0])};

    if (answer->header.status < 0)
        string = (struct wire_string){.data = sentence};
    return wire_encode(&answer->header, &answer->hello, &string, buffer);
}

static void send_answer(int fd, struct answer *answer) {
    _Alignas(uint64_t) static char buffer[WIRE_MESSAGE_MAX];
    uint16_t flags = answer->header.flags;
    int size;

    answer->header.flags |= WIRE_REPLY;
    size = encode(answer, buffer);
    ((struct wire_header *)buffer)->flags = flags;
    for (size_t i = 0; i < answer->n_fds; i++)
        if (!answer->fds[i])
            answer->fds[i] = make_memory(answer->memory, answer->open_flags);
    packet_send(fd, buffer, (size_t)size - answer->cut, answer->fds, answer->n_fds);
    for (size_t i = 0; i < answer->n_fds; i++)
        close(answer->fds[i]);
}

/* The name in the OPEN that is being answered. */
static const char *asked_name;

/* Until it is killed. DETACH is not answered, as asked. A @spoiled of 0 is every operation. */
static void serve(int listener, enum wire_op spoiled, const struct fault *fault) {
    _Alignas(uint64_t) static char request[WIRE_MESSAGE_MAX];
    const struct wire_header *header = (const struct wire_header *)request;
    struct packet_fds none;

    for (;;) {
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        while (packet_receive(fd, request, sizeof(request), &none) > 0) {
            struct answer answer =
                header->op == WIRE_HELLO ? right_hello(header) : right_open(header);

            if (header->op == WIRE_DETACH)
                continue;
            asked_name = request + sizeof(*header) + sizeof(struct wire_open_request);
            if ((spoiled == 0 || header->op == spoiled) && fault->spoil)
                fault->spoil(&answer);
            if (answer.hang_up)
                break;
            send_answer(fd, &answer);
        }
    }
}

static size_t count_descriptors(void) {
    _cleanup_closedir_ DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(directory))
        count++;
    return count;
}

static pid_t start_peer(struct sockaddr_un *address, enum wire_op spoiled,
                        const struct fault *fault) {
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    char directory[] = "/tmp/shmreg-test-XXXXXX";
    pid_t pid;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/s", directory);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)address, sizeof(*address)), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener, spoiled, fault);
    }
    close(listener);
    return pid;
}

static void stop_peer(struct sockaddr_un *address, pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(address->sun_path);
    *strrchr(address->sun_path, '/') = '\0';
    rmdir(address->sun_path);
}

static int try_open(const char *path) {
    shmreg_region *region;
    shmreg_conn *conn;
    int r = shmreg_connect(path, &conn);

    if (r < 0)
        return r;
    r = shmreg_open(conn, "region", SHMREG_READ, &region);
    if (r == 0)
        shmreg_close(region);
    shmreg_disconnect(conn);
    return r;
}

static void check_fault(enum wire_op spoiled, const struct fault *fault) {
    struct sockaddr_un address;
    pid_t peer = start_peer(&address, spoiled, fault);
    size_t before = count_descriptors();
    int r = try_open(address.sun_path);

    ck_assert_msg(r == fault->result, "%s: %d (%s), not %d", fault->name, r, shmreg_error_message(),
                  fault->result);
    ck_assert_msg(count_descriptors() == before, "%s: descriptors are left over", fault->name);
    stop_peer(&address, peer);
}

#define FAULT(name, result, ...)                                                                   \
    static void spoil_##name(struct answer *answer) {                                              \
        __VA_ARGS__;                                                                               \
    }                                                                                              \
    static const struct fault name = {#name, spoil_##name, result}

FAULT(another_operation, -EPROTO, answer->header.op = WIRE_CREATE);
FAULT(another_serial, -EPROTO, answer->header.serial++);
FAULT(not_a_reply, -EPROTO, answer->header.flags = 0);
FAULT(a_positive_status, -EPROTO, answer->header.status = 1);
FAULT(a_message_cut_short, -EPROTO, answer->cut = 1);
FAULT(half_a_header, -EPROTO,
      answer->cut = 8 + sizeof(answer->open) + sizeof(answer->attachments[0]));
FAULT(an_error_with_a_descriptor, -EPROTO, answer->header.status = -ENOENT);
FAULT(two_regions_for_one, -EPROTO, answer->open.count = 2; answer->n_attachments = 2);
FAULT(no_region_for_one, -EPROTO, answer->open.count = 0; answer->n_attachments = 0);
FAULT(no_attachment_id, -EPROTO, answer->attachments[0].attachment_id = 0);
FAULT(another_access, -EPROTO, answer->attachments[0].access = WIRE_WRITE);
FAULT(no_max_size, -EPROTO, answer->attachments[0].size = answer->attachments[0].max_size = 0);
FAULT(a_size_over_max_size, -EPROTO, answer->attachments[0].size = SIZE + 1);
FAULT(a_max_size_no_memory_has, -EPROTO, answer->attachments[0].max_size = UINT64_MAX);
FAULT(a_slot_past_the_page, -EPROTO, answer->attachments[0].slot = SLOTS);
FAULT(no_descriptor, -EPROTO, answer->n_fds = 0);
FAULT(two_descriptors, -EPROTO, answer->n_fds = 2);
FAULT(a_descriptor_that_cannot_be_read, -EPROTO, answer->open_flags = O_WRONLY);
FAULT(a_descriptor_of_no_memory, -EPROTO, answer->fds[0] = open("/dev/null", O_RDONLY));
FAULT(a_memfd_smaller_than_promised, -EPROTO, answer->memory = SIZE - 1);
FAULT(memory_cut_by_a_writer, -EIO, answer->memory = SIZE - 1;
      answer->attachments[0].backing = SHMREG_SHM);

START_TEST(a_right_answer_opens) {
    static const struct fault none = {.name = "no fault"};

    check_fault(WIRE_OPEN, &none);
}
END_TEST

START_TEST(nonsense_for_open_is_refused) {
    static const struct fault *const faults[] = {
        &another_operation,
        &another_serial,
        &not_a_reply,
        &a_positive_status,
        &a_message_cut_short,
        &half_a_header,
        &an_error_with_a_descriptor,
        &two_regions_for_one,
        &no_region_for_one,
        &no_attachment_id,
        &another_access,
        &no_max_size,
        &a_size_over_max_size,
        &a_max_size_no_memory_has,
        &a_slot_past_the_page,
        &no_descriptor,
        &two_descriptors,
        &a_descriptor_that_cannot_be_read,
        &a_descriptor_of_no_memory,
        &a_memfd_smaller_than_promised,
        &memory_cut_by_a_writer,
    };

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        check_fault(WIRE_OPEN, faults[i]);
}
END_TEST

FAULT(version_zero, -EPROTO, answer->hello.version = 0);
FAULT(a_version_of_tomorrow, -EPROTO, answer->hello.version = WIRE_VERSION + 1);
FAULT(no_status_page, -EPROTO, answer->n_fds = 0);
FAULT(two_status_pages, -EPROTO, answer->n_fds = 2);
FAULT(a_page_without_slots, -EPROTO, answer->hello.status_slots = 0);
FAULT(a_page_smaller_than_its_slots, -EPROTO, answer->memory--);
FAULT(an_answer_to_another_hello, -EPROTO, answer->header.serial++);
FAULT(a_refusal, -EDQUOT, answer->header.status = -EDQUOT; answer->n_fds = 0);

START_TEST(nonsense_for_hello_is_refused) {
    static const struct fault *const faults[] = {
        &version_zero,
        &a_version_of_tomorrow,
        &no_status_page,
        &two_status_pages,
        &a_page_without_slots,
        &a_page_smaller_than_its_slots,
        &an_answer_to_another_hello,
        &a_refusal,
    };

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        check_fault(WIRE_HELLO, faults[i]);
}
END_TEST

static void spoil_second(struct answer *answer) {
    static unsigned n;

    if (++n == 2)
        answer->header.serial++;
}

START_TEST(a_connection_that_heard_nonsense_goes_on) {
    static const struct fault second = {.name = "second", .spoil = spoil_second};
    struct sockaddr_un address;
    pid_t peer = start_peer(&address, WIRE_OPEN, &second);
    shmreg_region *region, *other;
    shmreg_conn *conn;

    ck_assert_int_eq(shmreg_connect(address.sun_path, &conn), 0);
    ck_assert_int_eq(shmreg_open(conn, "region", SHMREG_READ, &region), 0);
    ck_assert_int_eq(shmreg_open(conn, "other", SHMREG_READ, &other), -EPROTO);
    ck_assert_int_eq(shmreg_open(conn, "other", SHMREG_READ, &other), 0);
    ck_assert_uint_eq(shmreg_size(region), SIZE);
    shmreg_close(other);
    shmreg_close(region);
    shmreg_disconnect(conn);
    stop_peer(&address, peer);
}
END_TEST

/* The region comes and goes twice before the value is its content. */
static void answer_put(struct answer *answer) {
    static uint32_t n_asked;

    n_asked++;
    *answer = (struct answer){
        .header = {.op = WIRE_PUT,
                   .flags = WIRE_REPLY,
                   .serial = answer->header.serial,
                   .status = n_asked < 3 ? -ESTALE : 0},
        .put = {.version = n_asked},
    };
}

START_TEST(a_put_is_asked_again_if_the_region_came_or_went_meanwhile) {
    static const struct fault stale = {.name = "stale", .spoil = answer_put};
    struct sockaddr_un address;
    pid_t peer = start_peer(&address, WIRE_PUT, &stale);
    shmreg_conn *conn;

    ck_assert_int_eq(shmreg_connect(address.sun_path, &conn), 0);
    ck_assert_int_eq(shmreg_put(conn, "region", "value", 5, SHMREG_MODE_DEFAULT), 0);
    shmreg_disconnect(conn);
    stop_peer(&address, peer);
}
END_TEST

/* What was opened so far, written by the peer. */
static char *opened;

/* A daemon that is killed twice: as it is asked for c, and in the course of what the library does to
 * restore a and b. The third one knows the client. */
static void die_twice(struct answer *answer) {
    static unsigned n_hellos, n_opens;

    if (answer->header.op == WIRE_HELLO) {
        answer->hello.flags = ++n_hellos == 3 ? WIRE_HELLO_RESUMED : 0;
        return;
    }
    opened[n_opens++] = *asked_name;
    answer->attachments[0].attachment_id = n_opens;
    answer->hang_up = n_opens == 3 || n_opens == 5;
}

START_TEST(what_a_broken_link_has_not_restored_is_restored_by_the_next) {
    static const struct fault killed = {.name = "killed", .spoil = die_twice};
    struct sockaddr_un address;
    shmreg_region *regions[3];
    shmreg_conn *conn;
    pid_t peer;

    opened = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(opened, MAP_FAILED);
    peer = start_peer(&address, 0, &killed);
    ck_assert_int_eq(shmreg_connect(address.sun_path, &conn), 0);
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        ck_assert_int_eq(
            shmreg_open(conn, (const char *[]){"a", "b", "c"}[i], SHMREG_READ, &regions[i]), 0);
    ck_assert_str_eq(opened, "ab"
                             "c"
                             "ab"
                             "bc");
    shmreg_disconnect(conn);
    stop_peer(&address, peer);
    munmap(opened, SIZE);
}
END_TEST

/* The slot, always 0 here, has moved on from what the first answer says of it. */
static void grow_second(struct answer *answer) {
    static unsigned n;
    struct wire_attachment *attachment = &answer->attachments[0];

    attachment->max_size = SIZE * 2;
    answer->memory = SIZE * 2;
    attachment->attachment_id = ++n;
    attachment->slot_version = n == 1;
    if (n > 1)
        attachment->size = SIZE + 1;
}

START_TEST(a_region_that_grew_keeps_its_mapping) {
    static const struct fault grown = {.name = "grown", .spoil = grow_second};
    struct sockaddr_un address;
    pid_t peer = start_peer(&address, WIRE_OPEN, &grown);
    shmreg_region *region, *other;
    shmreg_conn *conn;
    void *data;

    ck_assert_int_eq(shmreg_connect(address.sun_path, &conn), 0);
    ck_assert_int_eq(shmreg_open(conn, "region", SHMREG_READ, &region), 0);
    data = shmreg_data(region);
    ck_assert_uint_eq(shmreg_size(region), SIZE);
    ck_assert(!shmreg_is_current(region));
    ck_assert_int_eq(shmreg_open(conn, "region", SHMREG_READ, &other), 0);
    ck_assert(shmreg_is_current(other));
    ck_assert_ptr_eq(shmreg_data(other), data);
    ck_assert_uint_eq(shmreg_size(region), SIZE + 1);
    /* News to this handle, all the same. */
    ck_assert(!shmreg_is_current(region));
    ck_assert_int_eq(shmreg_refresh(region), 0);
    ck_assert(shmreg_is_current(region));
    ck_assert_ptr_eq(shmreg_data(region), data);
    shmreg_disconnect(conn);
    stop_peer(&address, peer);
}
END_TEST

SUITE_MAIN("client-answers", a_right_answer_opens, nonsense_for_open_is_refused,
           nonsense_for_hello_is_refused, a_connection_that_heard_nonsense_goes_on,
           a_put_is_asked_again_if_the_region_came_or_went_meanwhile,
           what_a_broken_link_has_not_restored_is_restored_by_the_next,
           a_region_that_grew_keeps_its_mapping);
