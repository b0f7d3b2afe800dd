/*
 * Ownership in the type of a variable
 *
 * A variable marked with one of these attributes gives up what it owns when its scope ends, on
 * every way out. A function that passes ownership on takes it out of the variable first, with
 * steal_pointer() or steal_fd(). Both ends of the protocol use them.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* Defines cleanup_NAME() for pointers of the given type that are freed by NAME(pointer). */
#define DEFINE_CLEANUP(type, function)                                                             \
    static inline void cleanup_##function(type *pointer) {                                         \
        if (*pointer)                                                                              \
            function(*pointer);                                                                    \
    }                                                                                              \
    struct cleanup_semicolon

#define steal_pointer(pointer)                                                                     \
    ({                                                                                             \
        __typeof__(pointer) _stolen = (pointer);                                                   \
        (pointer) = NULL;                                                                          \
        _stolen;                                                                                   \
    })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline void cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **file) {
    if (*file)
        fclose(*file);
}

static inline void cleanup_closedir(DIR **directory) {
    if (*directory)
        closedir(*directory);
}

static inline int steal_fd(int *fd) {
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* Closes a descriptor that a structure owns and marks it closed. */
static inline void close_fd(int *fd) {
    cleanup_close(fd);
    *fd = -1;
}
