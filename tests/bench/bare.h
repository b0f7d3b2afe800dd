/*
 * Bare: the least that can hand out shared memory
 *
 * A server that opens the object a packet names with shm_open(3) and sends the descriptor back
 * (SCM_RIGHTS), one blocking loop for one client. It knows no rights, no limits, no holders and no
 * sizes: what shmregd does beyond it is what the benchmark weighs.
 */
#pragma once

#include <stddef.h>

#include "tests/support/child.h"

/* Serves the other end of the channel until it is closed. */
void bare_serve(int channel, void *data);

/* Asks for an object, learns its size (fstat(2)) and maps it for reading. */
void *bare_open(int socket, const char *name, size_t *ret_size, int *ret_fd);
void bare_close(void *data, size_t size, int fd);
