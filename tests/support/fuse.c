/*
 * FUSE: see fuse.h.
 */
#include "tests/support/fuse.h"

#include "proto/cleanup.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX (1 << 18) /* the kernel reads no less than it could send */
#define FILE_NODE 2

struct reply {
    struct fuse_out_header header;
    union {
        struct fuse_init_out init;
        struct fuse_entry_out entry;
        struct fuse_attr_out attributes;
        struct fuse_open_out open;
    };
};

static struct fuse_attr attributes_of(uint64_t node) {
    return (struct fuse_attr){
        .ino = node,
        .nlink = 1,
        .mode = node == FILE_NODE ? S_IFREG | 0644 : S_IFDIR | 0755,
        .size = FUSE_FILE_SIZE,
    };
}

/* Fills in the reply and returns the size of what follows its header, or a negative errno. */
static int answer(const struct fuse_in_header *request, struct reply *reply) {
    switch (request->opcode) {
    case FUSE_INIT:
        reply->init = (struct fuse_init_out){.major = 7, .minor = 31, .max_write = 4096};
        return sizeof(reply->init);
    case FUSE_LOOKUP:
        reply->entry.nodeid = FILE_NODE;
        reply->entry.attr = attributes_of(FILE_NODE);
        return sizeof(reply->entry);
    case FUSE_GETATTR:
        reply->attributes.attr = attributes_of(request->nodeid);
        return sizeof(reply->attributes);
    case FUSE_OPEN:
        return sizeof(reply->open);
    default:
        return -ENOSYS;
    }
}

__attribute__((noreturn)) static void serve(int device) {
    static _Alignas(struct fuse_in_header) char request[REQUEST_MAX];
    const struct fuse_in_header *header = (const struct fuse_in_header *)request;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(device, request, sizeof(request)) > 0) {
        struct reply reply = {.header.unique = header->unique};
        int r = header->opcode == FUSE_FLUSH ? 0 : answer(header, &reply);

        if (header->opcode == FUSE_FLUSH || header->opcode == FUSE_FORGET)
            continue;
        reply.header.error = r < 0 ? r : 0;
        reply.header.len = (uint32_t)sizeof(reply.header) + (r > 0 ? (uint32_t)r : 0);
        if (write(device, &reply, reply.header.len) < 0 && errno != ENOENT)
            break;
    }
    _exit(EXIT_SUCCESS);
}

int fuse_start(struct fuse_server *ret) {
    _cleanup_close_ int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    char options[128];

    if (device < 0)
        return -errno;
    *ret = (struct fuse_server){.directory = "/run/fuse-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(ret->directory));
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
             device);
    if (mount("fuse", ret->directory, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        return -errno;
    ret->pid = fork();
    ck_assert_int_ge(ret->pid, 0);
    if (ret->pid == 0)
        serve(device);
    return 0;
}

void fuse_stop(struct fuse_server *server) {
    ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
}

int fuse_open(const struct fuse_server *server) {
    char path[96];
    int fd;

    snprintf(path, sizeof(path), "%s/file", server->directory);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    return fd;
}
