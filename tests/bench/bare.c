/*
 * Bare: see bare.h.
 */
#include "tests/bench/bare.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/packet.h"
#include "tests/bench/measure.h"

#define NAME_MAX_BYTES 256

void bare_serve(int channel, void *data) {
    int socket = *(int *)data;
    struct packet_fds none;
    char name[NAME_MAX_BYTES];

    (void)channel;
    while (packet_receive(socket, name, sizeof(name), &none) > 0) {
        int fd = shm_open(name, O_RDONLY, 0);

        must(fd >= 0);
        must(packet_send(socket, "", 1, &fd, 1) == 0);
        close(fd);
    }
}

void *bare_open(int socket, const char *name, size_t *ret_size, int *ret_fd) {
    struct packet_fds fds;
    struct stat status;
    char reply;
    void *data;

    must(packet_send(socket, name, strlen(name) + 1, NULL, 0) == 0);
    must(packet_receive(socket, &reply, 1, &fds) == 1);
    must(fds.count == 1);
    must(fstat(fds.fd[0], &status) == 0);
    *ret_size = (size_t)status.st_size;
    data = mmap(NULL, *ret_size, PROT_READ, MAP_SHARED, fds.fd[0], 0);
    must(data != MAP_FAILED);
    *ret_fd = fds.fd[0];
    return data;
}

void bare_close(void *data, size_t size, int fd) {
    munmap(data, size);
    close(fd);
}
