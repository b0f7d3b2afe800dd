/*
 * Reconcile: see reconcile.h.
 */
#include "daemon/core/reconcile.h"

#include "daemon/core/cache.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/reaper.h"
#include "daemon/core/restore.h"
#include "daemon/core/sweep.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_ID_MAX 40

/* A region that no rule keeps any more; collected, because the tree of names is not changed while it is
 * walked. */
struct doomed {
    STAILQ_ENTRY(doomed) link;
    struct region *region;
};

struct starter {
    struct manager *manager;
    bool rebooted; /* deadlines of the last boot mean nothing in this one */
    STAILQ_HEAD(, doomed) doomed;
    struct error *error;
};

static int doom(struct starter *starter, struct region *region) {
    struct doomed *doomed = calloc(1, sizeof(*doomed));

    if (!doomed)
        return error_set(starter->error, -ENOMEM, "no memory");
    doomed->region = region;
    STAILQ_INSERT_TAIL(&starter->doomed, doomed, link);
    return 0;
}

/* The lifetime goes on where it was; a lease that crosses a reboot starts anew. */
static int start_lifetime(void *data, struct region *region) {
    _cleanup_(cleanup_process_unref) struct process *owner = NULL;
    struct starter *starter = data;
    bool anew = starter->rebooted && region->lifetime == LIFETIME_LEASE;
    int r = 0;

    if (region->lifetime == LIFETIME_OWNER)
        r = process_find(starter->manager->processes, &region->owner_identity, &owner);
    if (r == -ESRCH)
        return doom(starter, region);
    /* Not known to have ended: nobody is reaped for a lack of descriptors. */
    if (r < 0)
        return error_set(starter->error, r, "cannot watch process %d, the owner of '%s': %s",
                         region->owner_identity.pid, region->name, strerror(-r));
    if (anew)
        region->deadline = 0;
    r = reaper_start(region, owner, starter->error);
    return r == 0 && anew ? manager_record(starter->manager, region, starter->error) : r;
}

static void reap_doomed(struct starter *starter) {
    struct doomed *doomed;
    struct error error;

    while ((doomed = STAILQ_FIRST(&starter->doomed))) {
        STAILQ_REMOVE_HEAD(&starter->doomed, link);
        if (manager_end_region(doomed->region, NULL, REGION_REAPED,
                               "its owner's process ended while the daemon was away", &error) < 0)
            log_write(LOG_ERR, ABOUT(.region = doomed->region->name), "cannot reap region '%s': %s",
                      doomed->region->name, error.text);
        free(doomed);
    }
}

static int read_boot_id(char ret[static BOOT_ID_MAX], struct error *error) {
    _cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || !fgets(ret, BOOT_ID_MAX, file))
        return error_set(error, -errno, "cannot read the boot id: %s", strerror(errno));
    ret[strcspn(ret, "\n")] = '\0';
    return 0;
}

static int start_lifetimes(struct manager *manager, struct error *error) {
    struct starter starter = {.manager = manager, .error = error};
    _cleanup_free_ char *recorded = NULL;
    char boot_id[BOOT_ID_MAX];
    int r = read_boot_id(boot_id, error);

    if (r < 0)
        return r;
    STAILQ_INIT(&starter.doomed);
    registry_get(manager->durable_registry, REGISTRY_META, "boot_id", &recorded);
    starter.rebooted = !recorded || strcmp(recorded, boot_id) != 0;
    r = manager_each_region(manager, start_lifetime, &starter);
    reap_doomed(&starter);
    /* Last, so that a kill before this point finds the reboot again. */
    if (r == 0 && starter.rebooted)
        r = registry_put(manager->durable_registry, REGISTRY_META, "boot_id", boot_id, error);
    return r;
}

int reconcile(struct manager *manager, struct fdstore *fdstore, struct error *error) {
    int r = restore_regions(manager, fdstore, error);

    if (r == 0)
        r = restore_holders(manager, error);
    if (r == 0)
        r = restore_stages(manager, fdstore, error);
    if (r == 0)
        r = restore_sessions(manager, error);
    if (r == 0)
        r = start_lifetimes(manager, error);
    if (r == 0)
        r = cache_settle(manager, error);
    if (r == 0)
        r = sweep(manager, fdstore, error);
    if (r == 0)
        status_page_settle(manager->status);
    return r;
}
