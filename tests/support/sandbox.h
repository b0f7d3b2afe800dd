/*
 * Sandbox: the place a test program runs in
 *
 * A mount namespace of its own with an empty tmpfs on /dev/shm and on /run: a test counts every
 * segment there is, meets nobody else's, and whatever it leaves behind is gone with it.
 */
#pragma once

#include <check.h>
#include <stdint.h>

#define SANDBOX_DIRECTORY "/run"
#define SANDBOX_SKIPPED 77 /* meson's word for a test that cannot run here */

/* Runs the cases in a sandbox and returns the exit status of the program. Needs root, for the
 * namespace and for other users' processes. */
int sandbox_run(const char *name, TCase *const cases[], size_t n_cases);

/* An empty tmpfs of @size bytes (0: as large as it gets) on @path, for the calling process alone. */
void sandbox_mount(const char *path, uint64_t size);
