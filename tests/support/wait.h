/*
 * Waiting with a deadline
 *
 * A test waits for what it expects, never for time to pass, and fails when the expected has not
 * come by a deadline that no working machine needs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEADLINE_MSEC 10000

uint64_t monotonic_usec(void);

/* Milliseconds left until @deadline_usec, as poll(2) takes them. */
int msec_until(uint64_t deadline_usec);

/* Until the descriptor is readable, its other end closed, or its process ended (pidfd). */
void wait_readable(int fd);
bool is_readable_within(int fd, int msec);

/* Until the condition holds; it is asked again and again. */
void wait_until(bool (*condition)(void *data), void *data);

/* Reaps a child that is expected to end by itself, and returns what waitpid(2) says of it. */
int wait_for_end(pid_t pid);
