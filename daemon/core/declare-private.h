/*
 * What the files of declarations share.
 */
#pragma once

#include "daemon/core/declare.h"
#include "daemon/ground/declared.h"
#include "daemon/ground/worker.h"

struct load;

struct declarations {
    struct manager *manager;
    struct workers *workers; /* may be stuck with somebody's file; NULL before there is content */
    LIST_HEAD(, load) loads;
    struct disk_wait *wait; /* for what only changes regions; NULL: nothing has to */
    STAILQ_HEAD(, problem) problems;
    LIST_HEAD(, declare_waiter) waiters;
};

/* What the declaration asks for, as for a new region; texts are its own. */
struct region_spec declare_spec(const struct declared *declared);

/* Who makes a declared region: its owner, who may do so anywhere; and who changes it. */
struct caller declare_maker(const struct declared *declared);
struct caller declare_changer(void);

/* Adds a problem with that key of the declaration. */
__attribute__((format(printf, 4, 5))) void declare_report(struct declarations *declarations,
                                                          const struct declared *declared,
                                                          enum declared_key key, const char *format,
                                                          ...);

/* The key could not be applied. What the disk keeps from it is tried again when that has answered. */
void declare_fail(struct declarations *declarations, const struct declared *declared,
                  enum declared_key key, const struct error *error);

/* Whether the region, NULL for none, is the declaration's to change; else it is a problem. */
bool declare_may_change(struct declarations *declarations, const struct region *region,
                        const struct declared *declared);

/* Which keys: those that go with the content, if the declaration has any, wait for that. */
enum declare_scope { DECLARE_ALL, DECLARE_BUT_CONTENT, DECLARE_CONTENT };

/* Applies keys that differ from the declaration that the region remembers. */
void declare_keys(struct declarations *declarations, struct region *region,
                  const struct declared *declared, enum declare_scope scope);

/* The region remembers these keys, and that it has the content that @stamp tells of. NULL: as before. */
void declare_remember(struct declarations *declarations, struct region *region,
                      const struct declared *declared, const json_t *keys, const char *stamp);

/* Loads the content into a region that is there or not, if it is another than the region has. */
void declare_load(struct declarations *declarations, const struct declared *declared);
void declare_cancel_loads(struct declarations *declarations);

/* Tells those who wait, if nothing is being loaded. */
void declare_settle(struct declarations *declarations);
