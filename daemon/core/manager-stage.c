/*
 * Manager: stages, and which clients have them.
 *
 * A stage's segment is made before its record and removed after it, so what a kill leaves behind is
 * a segment without a record, which the next start removes.
 */
#include "daemon/core/manager-private.h"

#include "daemon/core/policy.h"
#include "daemon/core/record.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <fcntl.h>

/* All is known to be good before anybody fills memory. */
static int check_new_region(const struct manager *manager, const struct caller *caller,
                            const struct client *client, struct region_spec *spec,
                            struct error *error) {
    int r;

    policy_complete(manager->config, spec);
    r = manager_check_spec(manager->config, spec, client, client != NULL, error);
    return r < 0 ? r : policy_check_create(manager->config, caller, spec->name, error);
}

static int check_version(const struct manager *manager, const struct region_spec *spec,
                         struct error *error) {
    const struct region_spec version = {
        .name = spec->name,
        .size = spec->size,
        .max_size = spec->max_size,
        .acl = "",
        .attributes = spec->attributes,
    };

    return manager_check_spec(manager->config, &version, NULL, true, error);
}

/* For a region that exists, the spec becomes what its next version is: the content, and attributes that
 * come with it. All else stays with the region, whatever was asked for. */
static void follow_region(const struct region *region, struct region_spec *spec) {
    const struct segment *old = region->segment;
    uint64_t max_size = spec->size > old->max_size ? spec->size : old->max_size;

    *spec = (struct region_spec){
        .name = spec->name,
        .size = spec->size,
        .max_size = spec->max_size ? spec->max_size : max_size,
        .backing = old->backing,
        .huge_pages = old->huge_pages,
        .mode = region->access.mode,
        .acl = "",
        .attributes = spec->attributes,
        .tag = spec->tag,
    };
}

static void fill_defaults(const struct manager *manager, struct region_spec *spec) {
    spec->backing = manager_backing(manager, spec);
    if (spec->lifetime == 0)
        spec->lifetime = LIFETIME_PERSISTENT;
    if (spec->max_size == 0)
        spec->max_size = spec->size;
}

static int try_stage(struct manager *manager, const struct payer *payer, struct region *region,
                     const struct region_spec *spec, struct stage **ret, struct error *error) {
    _cleanup_(cleanup_stage_free) struct stage *stage = NULL;
    uint64_t id;
    int r = manager_next_id(manager, &id, error);

    if (r < 0)
        return r;
    r = stage_new(manager, id, spec, &stage);
    if (r < 0)
        return error_set(error, r, "no memory for a stage");
    if (region)
        stage_aim(stage, region);
    r = manager_new_segment(manager, payer, spec->backing, spec->huge_pages, id, 1, spec->size,
                            spec->max_size, &stage->segment, error);
    if (r < 0)
        return r;
    *ret = steal_pointer(stage);
    return 0;
}

static int make_stage(struct manager *manager, const struct payer *payer, struct region *region,
                      const struct region_spec *spec, struct stage **ret, struct error *error) {
    unsigned attempts = 0;
    int r;

    do
        r = try_stage(manager, payer, region, spec, ret, error);
    while (r == -EEXIST && manager_skip_ids(manager, &attempts));
    return r;
}

/* @client: NULL for an operator. */
static int stage(struct manager *manager, const struct caller *caller, const struct client *client,
                 const struct region_spec *wanted, struct stage **ret, struct error *error) {
    /* A writable descriptor can be read, too, also when it has become the region's. */
    uint32_t rights = client ? RIGHT_READ | RIGHT_WRITE : RIGHT_WRITE;
    struct region_spec spec = *wanted;
    struct region *region = NULL;
    struct payer payer;
    int r;

    if (*spec.attributes)
        rights |= RIGHT_MANAGE;
    r = manager_find_with(manager, caller, spec.name, rights, &region, error);
    if (r < 0 && r != -ENOENT)
        return r;
    if (region && region->segment->backing == BACKING_ADOPTED)
        return error_set(error, -EOPNOTSUPP,
                         "region '%s' is of adopted memory, which nothing can replace", spec.name);
    if (spec.size == 0)
        return error_set(error, -EINVAL,
                         "region '%s': its size is 0, which what is published cannot have",
                         spec.name);
    r = region ? check_version(manager, &spec, error)
               : check_new_region(manager, caller, client, &spec, error);
    if (r < 0)
        return r;
    if (region)
        follow_region(region, &spec);
    fill_defaults(manager, &spec);
    payer = region ? charge_payer(region->charge) : caller_payer(caller, spec.name);
    return make_stage(manager, &payer, region, &spec, ret, error);
}

int manager_stage(struct manager *manager, const struct caller *caller,
                  const struct region_spec *spec, struct stage **ret, struct error *error) {
    return stage(manager, caller, NULL, spec, ret, error);
}

/* So that after a restart of the daemon the client still has it. */
static int record_stage(struct manager *manager, const struct stage *stage, struct error *error) {
    _cleanup_free_ char *text = NULL;
    char key[RECORD_KEY_MAX];

    if (!stage->client->process)
        return 0;
    text = stage_record_format(stage);
    if (!text)
        return error_set(error, -ENOMEM, "no memory for the record of a stage");
    stage_record_key(stage, key);
    return registry_put(manager->volatile_registry, REGISTRY_STAGES, key, text, error);
}

void manager_forget_stage(struct stage *stage) {
    struct error error = {0};
    char key[RECORD_KEY_MAX];

    stage_record_key(stage, key);
    /* The next start finds no segment for it, or no process. */
    if (registry_delete(stage->manager->volatile_registry, REGISTRY_STAGES, key, &error) < 0)
        log_warning("cannot delete the record of a stage: %s", error.text);
    stage_forget(stage);
}

void manager_end_stage(struct stage *stage) {
    struct segment *segment = segment_ref(stage->segment);

    manager_forget_stage(stage);
    segment_remove(segment);
    segment_unref(segment);
}

static int new_client_stage(struct manager *manager, struct client *client,
                            const struct region_spec *spec, struct stage **ret,
                            struct error *error) {
    _cleanup_(cleanup_charge_release) struct charge *charge = NULL;
    struct payer payer = caller_payer(&client->caller, spec->name);
    int r = quota_charge(manager->quota, &payer, LIMIT_ATTACHMENTS, 1, &charge, error);

    if (r == 0)
        r = stage(manager, &client->caller, client, spec, ret, error);
    if (r < 0)
        return r;
    (*ret)->charge = steal_pointer(charge);
    stage_give(*ret, client);
    r = record_stage(manager, *ret, error);
    if (r < 0)
        stage_free(*ret);
    return r;
}

/* The same request again, after its answer was lost. */
static struct stage *find_repeated(const struct client *client, const struct request_tag *tag) {
    struct stage *stage;

    LIST_FOREACH (stage, &client->stages, link)
        if (tag->client_id != 0 && stage->spec.tag.client_id == tag->client_id &&
            stage->spec.tag.serial == tag->serial)
            return stage;
    return NULL;
}

int manager_stage_as_client(struct manager *manager, struct client *client,
                            const struct region_spec *spec, struct stage **ret, int *ret_fd,
                            struct error *error) {
    int fd, r = 0;

    *ret = find_repeated(client, &spec->tag);
    if (!*ret)
        r = new_client_stage(manager, client, spec, ret, error);
    if (r < 0)
        return r;
    fd = segment_open((*ret)->segment, O_RDWR, error);
    if (fd < 0) {
        manager_end_stage(*ret);
        return fd;
    }
    *ret_fd = fd;
    return 0;
}
