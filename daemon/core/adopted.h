/*
 * Adopted memory: what a client has handed over
 *
 * A descriptor from a client may lead to anything. It is taken only if it is memory that can be read
 * through it, and if nothing that is done with it can wait: what can be told without asking the file
 * system comes first. The daemon then has an open file description of its own, which carries no
 * more rights than the one handed over, and neither resizes the memory nor writes to it, ever.
 */
#pragma once

#include "daemon/core/segment.h"

struct adopted {
    int fd; /* O_RDWR if the memory may be offered for writing, else O_RDONLY */
    uint64_t size;
    enum huge_pages huge_pages; /* a memfd of such */
};

/* Looks at what was handed over, which stays the caller's. -EACCES: it carries too few rights, or
 * the daemon's user has too few. -EINVAL: it is no memory. -EOPNOTSUPP: its file system. -EAGAIN:
 * somebody has a lease on it (fcntl(2), F_SETLEASE). */
int adopted_open(int handed_over, struct adopted *ret, struct error *error);

static inline void adopted_deinit(struct adopted *adopted) {
    close_fd(&adopted->fd);
}

/* A segment of it, @size bytes of which are offered; the descriptor becomes the segment's, and so
 * does @charge. It is kept in the FD store, too. On error the charge is released. */
int segment_adopt(const struct segment_places *places, uint64_t id, uint64_t size,
                  struct adopted *adopted, struct charge *charge, struct segment **ret,
                  struct error *error);
