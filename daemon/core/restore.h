/*
 * Restore: from records back to regions, holders, stages and sessions
 */
#pragma once

#include "daemon/core/manager.h"

/*
 * Loads every region record of both registries, and then every holder, stage and session whose process still lives. A
 * record that does not parse, or whose segment is gone, is set aside in quarantine; a region
 * whose memory could not outlive the last daemon (a memfd that nobody stored) loses its record.
 */
int restore_regions(struct manager *manager, struct fdstore *fdstore, struct error *error);
int restore_holders(struct manager *manager, struct error *error);
int restore_stages(struct manager *manager, struct fdstore *fdstore, struct error *error);
int restore_sessions(struct manager *manager, struct error *error);
