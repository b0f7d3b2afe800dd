/*
 * Writes the corpus of fuzz-wire into a directory: a valid message of every shape that WIRE_OPS has.
 * Run it again when an operation is added:
 *
 *     make-corpus tests/fuzz/corpus/wire
 */
#include "proto/cleanup.h"
#include "tests/unit/wire-shapes.h"

#include <fcntl.h>

static _Alignas(8) unsigned char message[WIRE_MESSAGE_MAX];

static int write_shape(int directory, const struct wire_shape *shape) {
    int fd = openat(directory, shape->name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    _cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    size_t size = (size_t)wire_shape_message(shape, message);

    if (!file)
        return -1;
    fputc(shape->side == WIRE_REPLY_SIDE, file);
    fputc((int)shape->n_fds, file);
    return fwrite(message, 1, size, file) == size ? 0 : -1;
}

int main(int argc, char **argv) {
    _cleanup_close_ int directory = argc == 2 ? open(argv[1], O_DIRECTORY | O_CLOEXEC) : -1;

    if (directory < 0) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < ARRAY_SIZE(wire_shapes); i++)
        if (write_shape(directory, &wire_shapes[i]) < 0)
            return 1;
    return 0;
}
