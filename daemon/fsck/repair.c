/*
 * Repair: what the daemon would do at its start about what was found, and nothing else
 *
 * A segment is removed only if nothing about it is in doubt, which the check has seen to. The
 * registries stay locked from the check on, so what it found still holds.
 */
#include "daemon/fsck/check.h"

#include <errno.h>
#include <string.h>

static int apply(const struct finding *finding) {
    switch (finding->remedy) {
    case REMEDY_SET_ASIDE:
        return registry_quarantine(finding->registry, finding->table, finding->key, finding->text);
    case REMEDY_DELETE_RECORD:
        return registry_delete(finding->registry, finding->table, finding->key, NULL);
    case REMEDY_REMOVE_SEGMENT:
        return unlinkat(finding->directory, finding->key, 0) < 0 ? -errno : 0;
    case REMEDY_NEW_REGISTRY: /* it was made when the registries were opened for writing */
    case REMEDY_NONE:
        break;
    }
    return 0;
}

int repair(struct checker *checker, struct error *error) {
    struct finding *finding;
    int r = 0;

    for (int i = 0; r == 0 && i < REGISTRIES; i++)
        if (checker->registries[i])
            r = registry_begin_repair(checker->registries[i], error);
    if (r < 0)
        return r;
    STAILQ_FOREACH (finding, &checker->report.findings, link) {
        if (finding->remedy == REMEDY_NONE)
            continue;
        r = apply(finding);
        if (r < 0)
            return error_set(error, r, "cannot repair this: %s: %s", finding->text, strerror(-r));
        finding->repaired = true;
    }
    return 0;
}
