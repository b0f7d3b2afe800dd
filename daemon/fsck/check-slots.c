/*
 * Check: the status page
 *
 * A slot may say less than its region's record, after a kill between record and slot; the next
 * daemon makes up for it. It may have moved on further, since not every move is recorded.
 */
#include "daemon/fsck/check.h"

#include "daemon/ground/status.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

struct user {
    const struct known_region *region;
};

struct slots {
    struct checker *checker;
    struct status_slot *words; /* NULL: there is no page */
    struct user *users;        /* by slot */
    int result;
};

static bool says_so(const struct status_slot *slot, const struct known_region *region) {
    struct status_words words = status_slot_read(slot);
    uint32_t flags = SLOT_LIVE | (region->sealed ? SLOT_SEALED : 0) |
                     region->version << SLOT_REGION_VERSION_SHIFT;

    return (words.flags & ~SLOT_TURN_MASK) == flags &&
           (int32_t)(region->slot_version - words.version) <= 0;
}

static int check_region_slot(struct slots *slots, const struct known_region *region) {
    struct report *report = &slots->checker->report;
    const struct known_region *other;

    if (region->slot >= STATUS_SLOTS)
        return report_add(report, FOUND(.severity = SEVERITY_ERROR, .kind = "slot-conflict"),
                          "region '%s': there is no slot %u on the status page", region->name,
                          region->slot);
    other = slots->users[region->slot].region;
    if (other)
        return report_add(report, FOUND(.severity = SEVERITY_ERROR, .kind = "slot-conflict"),
                          "region '%s' has slot %u of the status page, as region '%s' does",
                          region->name, region->slot, other->name);
    slots->users[region->slot].region = region;
    if (!slots->words || says_so(&slots->words[region->slot], region))
        return 0;
    return report_add(report, FOUND(.severity = SEVERITY_LEFTOVER, .kind = "slot-behind"),
                      "region '%s': its slot on the status page does not say yet what its record "
                      "says",
                      region->name);
}

static void visit(const void *node, VISIT visit, void *data) {
    struct slots *slots = data;

    if ((visit == postorder || visit == leaf) && slots->result == 0)
        slots->result = check_region_slot(slots, *(struct known_region *const *)node);
}

static int check_free_slots(const struct slots *slots) {
    int r = 0;

    for (uint32_t slot = 0; r == 0 && slot < STATUS_SLOTS; slot++)
        if (!slots->users[slot].region && status_slot_read(&slots->words[slot]).flags & SLOT_LIVE)
            r = report_add(&slots->checker->report,
                           FOUND(.severity = SEVERITY_LEFTOVER, .kind = "slot-of-ended"),
                           "slot %u of the status page belongs to no region, and does not say yet "
                           "that its region has ended",
                           slot);
    return r;
}

/* Without a page that can go on, the next daemon makes a new one. */
static int open_page(struct slots *slots) {
    struct checker *checker = slots->checker;
    int r = status_page_copy(checker->directories[VOLATILE], &slots->words);

    if (r == 0 || r == -ENOMEM || !checker->registries[VOLATILE])
        return r == -ENOMEM ? r : 0;
    return report_add(&checker->report, FOUND(.severity = SEVERITY_ERROR, .kind = "page-lost"),
                      "%s/status is %s: who has it mapped learns nothing more from it",
                      checker->directories[VOLATILE],
                      r == -ENOENT ? "missing" : "not a status page");
}

int check_slots(struct checker *checker) {
    _cleanup_free_ struct user *users = calloc(STATUS_SLOTS, sizeof(*users));
    struct slots slots = {.checker = checker, .users = users};

    if (!users)
        return -ENOMEM;
    slots.result = open_page(&slots);
    twalk_r(checker->by_id, visit, &slots);
    /* What a registry that cannot be read says of a slot is not known. */
    if (slots.result == 0 && slots.words && !checker->damaged[VOLATILE] &&
        !checker->damaged[DURABLE])
        slots.result = check_free_slots(&slots);
    free(slots.words);
    return slots.result;
}
