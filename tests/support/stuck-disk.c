/*
 * Stuck disk: see stuck-disk.h.
 */
#include "tests/support/stuck-disk.h"

#include "proto/cleanup.h"
#include "tests/support/wait.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define IMAGE "/run/disk"
#define MOUNT_POINT "/run/disk-server"
#define SIZE (64u << 20)
#define WRITE_MAX (128u << 10)
#define FILE_NODE 2

/* Shared with the server. */
struct stuck_disk_state {
    _Atomic bool held;
};

struct server {
    int device;
    char *image;
    const struct stuck_disk *disk;
};

union body {
    struct fuse_init_out init;
    struct fuse_entry_out entry;
    struct fuse_attr_out attributes;
    struct fuse_open_out open;
    struct fuse_write_out write;
};

static struct fuse_attr attributes_of(uint64_t node) {
    return (struct fuse_attr){
        .ino = node,
        .nlink = 1,
        .mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0755,
        .size = SIZE,
        .blocks = SIZE / 512,
        .blksize = 4096,
    };
}

static void reply(const struct server *server, uint64_t unique, int error, const void *data,
                  size_t size) {
    struct fuse_out_header header = {
        .unique = unique, .error = error, .len = (uint32_t)(sizeof(header) + size)};
    struct iovec parts[] = {{&header, sizeof(header)}, {(void *)data, size}};

    if (writev(server->device, parts, 2) < 0 && errno != ENOENT)
        _exit(EXIT_FAILURE);
}

/* Whoever asked waits for the disk, and so does everybody else; but when a test has failed, not for
 * ever. */
static void get_stuck(const struct server *server) {
    eventfd_t count;

    if (!atomic_load(&server->disk->state->held))
        return;
    eventfd_write(server->disk->stuck, 1);
    if (is_readable_within(server->disk->release, 2 * DEADLINE_MSEC))
        eventfd_read(server->disk->release, &count);
    else
        atomic_store(&server->disk->state->held, false);
}

static size_t answer(const struct server *server, const struct fuse_in_header *header,
                     union body *body) {
    const struct fuse_write_in *write = (const struct fuse_write_in *)(header + 1);

    switch (header->opcode) {
    case FUSE_INIT:
        body->init = (struct fuse_init_out){.major = 7,
                                            .minor = 31,
                                            .flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES,
                                            .max_pages = WRITE_MAX / 4096,
                                            .max_write = WRITE_MAX};
        return sizeof(body->init);
    case FUSE_LOOKUP:
        body->entry = (struct fuse_entry_out){
            .nodeid = FILE_NODE, .attr_valid = 3600, .attr = attributes_of(FILE_NODE)};
        return sizeof(body->entry);
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        body->attributes =
            (struct fuse_attr_out){.attr_valid = 3600, .attr = attributes_of(header->nodeid)};
        return sizeof(body->attributes);
    case FUSE_OPEN:
        body->open = (struct fuse_open_out){0};
        return sizeof(body->open);
    default: /* FUSE_WRITE */
        memcpy(server->image + write->offset, write + 1, write->size);
        body->write = (struct fuse_write_out){.size = write->size};
        return sizeof(body->write);
    }
}

static void serve_one(const struct server *server, const struct fuse_in_header *header) {
    const struct fuse_read_in *read_in = (const struct fuse_read_in *)(header + 1);
    union body body;

    switch (header->opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return;
    case FUSE_READ:
        reply(server, header->unique, 0, server->image + read_in->offset, read_in->size);
        return;
    case FUSE_FSYNC:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        get_stuck(server);
        reply(server, header->unique, 0, NULL, 0);
        return;
    case FUSE_WRITE:
        get_stuck(server);
        break;
    case FUSE_INIT:
    case FUSE_LOOKUP:
    case FUSE_GETATTR:
    case FUSE_SETATTR:
    case FUSE_OPEN:
        break;
    default:
        reply(server, header->unique, -ENOSYS, NULL, 0);
        return;
    }
    reply(server, header->unique, 0, &body, answer(server, header, &body));
}

/* In a mount namespace in which nothing is on the disk: whoever is the last to leave such a one needs
 * an answer. */
__attribute__((noreturn)) static void serve(const struct server *server) {
    static _Alignas(struct fuse_in_header) char request[WRITE_MAX + (64u << 10)];
    eventfd_t count;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || unshare(CLONE_NEWNS) < 0)
        _exit(EXIT_FAILURE);
    eventfd_write(server->disk->release, 1);
    eventfd_read(server->disk->stuck, &count);
    while (read(server->device, request, sizeof(request)) > 0)
        serve_one(server, (const struct fuse_in_header *)request);
    _exit(EXIT_SUCCESS);
}

static void start_server(struct stuck_disk *disk) {
    _cleanup_close_ int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    _cleanup_close_ int image = open(IMAGE, O_RDWR | O_CLOEXEC);
    struct server server = {.device = device, .disk = disk};
    char options[128];
    eventfd_t count;

    ck_assert(device >= 0 && image >= 0);
    server.image = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, image, 0);
    ck_assert_ptr_ne(server.image, MAP_FAILED);
    ck_assert(mkdir(MOUNT_POINT, 0755) == 0 || errno == EEXIST);
    disk->pid = fork();
    ck_assert_int_ge(disk->pid, 0);
    if (disk->pid == 0)
        serve(&server);
    munmap(server.image, SIZE);
    wait_readable(disk->release);
    eventfd_read(disk->release, &count);
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    ck_assert_int_eq(mount("fuse", MOUNT_POINT, "fuse", MS_NOSUID | MS_NODEV, options), 0);
    eventfd_write(disk->stuck, 1);
}

bool stuck_disk_can_be(void) {
    return access("/dev/fuse", R_OK | W_OK) == 0 && access("/dev/loop-control", R_OK | W_OK) == 0 &&
           system("command -v mkfs.ext4 > /dev/null") == 0;
}

void stuck_disk_mount(struct stuck_disk *ret, const char *path) {
    char command[256];

    ret->state =
        mmap(NULL, sizeof(*ret->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(ret->state, MAP_FAILED);
    ret->stuck = eventfd(0, EFD_CLOEXEC);
    ret->release = eventfd(0, EFD_CLOEXEC);
    snprintf(command, sizeof(command), "truncate -s %u " IMAGE " && mkfs.ext4 -q -F " IMAGE, SIZE);
    ck_assert_int_eq(system(command), 0);
    start_server(ret);
    snprintf(command, sizeof(command), "mount -o loop " MOUNT_POINT "/disk %s", path);
    ck_assert_int_eq(system(command), 0);
}

void stuck_disk_hold(const struct stuck_disk *disk) {
    atomic_store(&disk->state->held, true);
}

void stuck_disk_wait_stuck(const struct stuck_disk *disk) {
    wait_readable(disk->stuck);
}

void stuck_disk_release(const struct stuck_disk *disk) {
    eventfd_t count;

    atomic_store(&disk->state->held, false);
    if (is_readable_within(disk->stuck, 0)) {
        eventfd_read(disk->stuck, &count);
        eventfd_write(disk->release, 1);
    }
}
