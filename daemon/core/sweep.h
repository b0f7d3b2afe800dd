/*
 * Sweep: removes the daemon's own orphans
 *
 * A daemon that is killed may leave segments that no record points to: one that was made but not
 * recorded yet, one whose record was deleted but whose name was not. At start, once every region
 * is loaded, whatever bears this instance's name and belongs to no region and no stage is
 * removed; but not while a record that could tell more about it is in quarantine.
 */
#pragma once

#include "daemon/core/manager.h"

/* 0, or a negative errno when a directory cannot be listed. */
int sweep(struct manager *manager, const struct fdstore *fdstore, struct error *error);
