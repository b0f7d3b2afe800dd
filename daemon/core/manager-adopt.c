/*
 * Manager: regions of memory that a client hands over.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/adopted.h"
#include "daemon/core/sync-block.h"

#include <errno.h>
#include <inttypes.h>

/* The spec with what the memory says itself. */
static int complete_spec(const struct region_spec *spec, const struct adopted *adopted,
                         struct region_spec *ret, struct error *error) {
    *ret = *spec;
    if (spec->backing != 0 || spec->huge_pages != 0 || spec->max_size != 0)
        return error_set(error, -EINVAL,
                         "region '%s': adopted memory is as it is: no backing, maximum or huge "
                         "pages can be chosen",
                         spec->name);
    if (spec->size > adopted->size)
        return error_set(error, -EINVAL,
                         "region '%s': the memory handed over has %" PRIu64 " bytes, not %" PRIu64,
                         spec->name, adopted->size, spec->size);
    if (ret->size == 0)
        ret->size = adopted->size;
    return 0;
}

static int take_memory(struct region *region, const struct region_spec *spec,
                       struct adopted *adopted, struct error *error) {
    struct manager *manager = region->manager;
    struct payer payer = charge_payer(region->charge);
    struct charge *charge;
    int r = quota_charge(manager->quota, &payer, LIMIT_BYTES, adopted->size, &charge, error);

    if (r == 0)
        r = segment_adopt(&manager->places, region->id, spec->size, adopted, charge,
                          &region->segment, error);
    if (r == 0 && spec->sync_block)
        r = sync_block_make(manager, region, error);
    return r;
}

static int make_region(struct manager *manager, struct client *client,
                       const struct region_spec *spec, struct adopted *adopted, struct region **ret,
                       struct error *error) {
    struct payer payer = caller_payer(&client->caller, spec->name);
    struct region *region;
    uint64_t id;
    int r = manager_next_id(manager, &id, error);

    if (r == 0)
        r = manager_new_region(manager, &client->caller, &payer, spec, id, &region, error);
    if (r < 0)
        return r;
    r = take_memory(region, spec, adopted, error);
    if (r == 0)
        r = manager_install(manager, region, client->process, error);
    if (r < 0) {
        manager_discard_region(region);
        return r;
    }
    *ret = region;
    return 0;
}

static int adopt(struct manager *manager, struct client *client, const struct region_spec *spec,
                 int fd, bool attaches, struct region **ret, struct error *error) {
    struct adopted adopted;
    struct region_spec complete;
    int r = adopted_open(fd, &adopted, error);

    if (r == 0)
        r = complete_spec(spec, &adopted, &complete, error);
    if (r == 0)
        r = manager_check_new(manager, &client->caller, client, &complete, attaches, ret, error);
    complete.backing = BACKING_ADOPTED;
    if (r == 0 && !*ret)
        r = make_region(manager, client, &complete, &adopted, ret, error);
    adopted_deinit(&adopted);
    return r;
}

int manager_adopt(struct manager *manager, struct client *client, const struct region_spec *spec,
                  int fd, uint32_t access, struct attachment **ret, struct attachment_fds *ret_fds,
                  struct error *error) {
    /* What the same request has made before stays, whatever becomes of its repetition. */
    bool is_new = !manager_lookup(manager, spec->name);
    struct region *region;
    struct error ignored;
    int r = adopt(manager, client, spec, fd, access != 0, &region, error);

    if (r < 0 || access == 0)
        return r;
    r = manager_attach(manager, client, spec->name, access, ret, ret_fds, error);
    if (r < 0 && is_new) {
        manager_retract(manager);
        manager_end_region(region, &client->caller, REGION_DESTROYED,
                           "its adopter could not attach", &ignored);
    }
    return r;
}
