/*
 * Confinement: what the daemon gives up by itself
 *
 * Its unit takes away all that it does not need; this holds without one, too. Nothing of it can be
 * taken back. What the kernel does not have is said in the log and done without.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* No capability and no way to gain one. Before any thread, and before anything is opened: what the
 * daemon needs a capability for fails at its start, then, and not while it serves. */
void confine_privileges(void);

/*
 * What of the file system and of other processes this thread and those that it starts can change:
 * they run no program, and they make, remove and cut files, and open them for writing, only below
 * these directories (those that are there); with @writes_anywhere they open files for writing wherever their user may. No
 * devices, no TCP, and no signals and no abstract sockets (where NOTIFY_SOCKET is none) of others.
 * What is open already stays as it is, and what can be read is left to permissions. After
 * confine_privileges().
 */
void confine_files(const char *const *directories, size_t count, bool writes_anywhere);
