/*
 * Check: whether registries, segments and status page agree
 *
 * Looks at the directories of a daemon that does not run, which it keeps locked meanwhile, and
 * writes nothing. What the daemon would do at its start about a thing that is wrong is the finding's
 * remedy.
 */
#pragma once

#include "daemon/core/inventory.h"
#include "daemon/core/meta.h"
#include "daemon/fsck/report.h"

/* A region whose record the next daemon would load. */
struct known_region {
    uint64_t id;
    uint32_t version, slot, slot_version;
    bool sealed;
    char *name;
};

enum { VOLATILE, DURABLE, REGISTRIES };

struct checker {
    const char *directories[REGISTRIES];     /* runtime and state */
    struct registry *registries[REGISTRIES]; /* NULL: there is none */
    bool damaged[REGISTRIES];                /* it cannot be read */
    char instance[INSTANCE_MAX];
    struct segment_places places;
    struct inventory inventory;
    void *by_name, *by_id; /* tsearch(3) trees of known regions */
    uint64_t highest_id;
    unsigned n_nameless; /* regions and stages whose memory is the service manager's */
    struct report report;
};

/* Opens what there is. -EBUSY: a daemon uses it; -ENOENT: no daemon ever did; -ENOTSUP: a newer one
 * did. */
int checker_init(struct checker *checker, const char *runtime_directory,
                 const char *state_directory, struct error *error);
void checker_deinit(struct checker *checker);

/* Fills the report. 0 or a negative errno when something could not be looked at. */
int check(struct checker *checker, struct error *error);

/* Applies the remedies of the report's findings, as far as they can be. */
int repair(struct checker *checker, struct error *error);

/* registry_each(), with every record as one of today. */
int checker_each(struct checker *checker, int registry, enum registry_table table,
                 int (*each)(void *data, const char *key, const char *value), void *data);

/* The parts of a check. */
int check_regions(struct checker *checker);
int check_holders(struct checker *checker);
int check_stages(struct checker *checker);
int check_sessions(struct checker *checker);
int check_slots(struct checker *checker);
int check_strays(struct checker *checker, struct error *error);
int check_quarantine(struct checker *checker, struct error *error);

struct known_region *checker_find_name(const struct checker *checker, const char *name);
struct known_region *checker_find_id(const struct checker *checker, uint64_t id);
/* 0 or -ENOMEM. */
int checker_know(struct checker *checker, const struct known_region *region);

/* What segment_check() made of a segment; @subject is what it belongs to: "region 'x'". */
int check_segment(struct checker *checker, const struct segment *segment, const char *subject,
                  const struct finding *finding, int *ret);
