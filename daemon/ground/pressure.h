/*
 * Pressure: hears that the host, or the daemon's control group, is short of memory
 *
 * The kernel counts how long processes wait for memory, and tells whoever has set a trigger (Pressure
 * Stall Information, https://docs.kernel.org/accounting/psi.html). Watched is /proc/pressure/memory,
 * and what the service manager names besides in MEMORY_PRESSURE_WATCH, with MEMORY_PRESSURE_WRITE
 * (https://systemd.io/PRESSURE): a file of the kernel's, a FIFO, or a socket; /dev/null: nothing at all.
 * Nothing is polled. What cannot be watched is said in one line of the log, and done without.
 */
#pragma once

#include <event2/event.h>

#include "daemon/ground/config.h"
#include "proto/cleanup.h"

/* A file there is opened for writing each time the settings change. */
#define PRESSURE_DIRECTORY "/proc/pressure"

struct pressure;

/* Watches nothing before it is configured. @felt is called each time, at most once in a window as far as
 * the kernel tells. 0 or -ENOMEM. */
int pressure_new(struct event_base *base, void (*felt)(void *data), void *data,
                 struct pressure **ret);
void pressure_free(struct pressure *pressure);
DEFINE_CLEANUP(struct pressure *, pressure_free);

/* Watches, with these settings from now on; or not. */
void pressure_configure(struct pressure *pressure, const struct memory_pressure *settings);
