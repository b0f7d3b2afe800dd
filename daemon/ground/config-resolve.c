/*
 * Which limits hold for whom, once all files are read
 *
 * What no file has set is as for everybody: for a user as in "user", for a unit as in its template if
 * that is configured, too, and then as in "unit".
 */
#include "daemon/ground/config-parse.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/ground/unit.h"
#include "proto/unit-pattern.h"

static const struct limits no_limits = {
    .most = {[0 ... LIMIT_KIND_COUNT - 1] = LIMIT_NONE},
};

void limits_unset(struct limits *limits) {
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        limits->most[kind] = LIMIT_UNSET;
    limits->rate = limits->burst = LIMIT_UNSET;
}

static void inherit(struct limits *limits, const struct limits *from) {
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        if (limits->most[kind] == LIMIT_UNSET)
            limits->most[kind] = from->most[kind];
    /* How many at once belongs to how many a second. */
    if (limits->burst == LIMIT_UNSET)
        limits->burst = limits->rate == LIMIT_UNSET ? from->burst : 0;
    if (limits->rate == LIMIT_UNSET)
        limits->rate = from->rate;
}

static int compare_users(const void *a, const void *b) {
    const struct user_limits *left = a, *right = b;

    return left->uid < right->uid ? -1 : left->uid > right->uid;
}

static bool is_template(const struct unit_limits *unit) {
    return strchr(unit->unit.unit, '*');
}

/* So that a unit comes before the templates it is an instance of. */
static int compare_units(const void *a, const void *b) {
    return is_template(a) - is_template(b);
}

static bool is_of(const struct subject_id *pattern, uid_t owner, const char *unit) {
    return pattern->id == owner && unit_pattern_matches(pattern->unit, unit);
}

static void resolve_unit(const struct config *config, struct unit_limits *unit) {
    for (size_t i = 0; i < config->n_units && !is_template(unit); i++) {
        const struct unit_limits *template = &config->units[i];

        if (template != unit && is_of(&template->unit, unit->unit.id, unit->unit.unit))
            inherit(&unit->limits, &template->limits);
    }
    inherit(&unit->limits, &config->unit);
}

void config_resolve_limits(struct config *config) {
    for (size_t i = 0; i < config->n_users; i++)
        inherit(&config->users[i].limits, &config->user);
    if (config->n_users > 0)
        qsort(config->users, config->n_users, sizeof(*config->users), compare_users);
    if (config->n_units > 0)
        qsort(config->units, config->n_units, sizeof(*config->units), compare_units);
    for (size_t i = 0; i < config->n_units; i++)
        resolve_unit(config, &config->units[i]);
    for (size_t i = 0; i < config->n_namespaces; i++)
        if (config->namespaces[i].limits)
            inherit(config->namespaces[i].limits, &no_limits);
}

const struct limits *config_user_limits(const struct config *config, uid_t uid) {
    const struct user_limits key = {.uid = uid};
    const struct user_limits *user =
        config->n_users > 0
            ? bsearch(&key, config->users, config->n_users, sizeof(key), compare_users)
            : NULL;

    return user ? &user->limits : &config->user;
}

const struct limits *config_unit_limits(const struct config *config, const char *unit) {
    const char *name = unit_pattern_unit(unit);
    uid_t owner = name == unit ? UNIT_OF_SYSTEM : (uid_t)strtoul(unit, NULL, 10);

    for (size_t i = 0; i < config->n_units; i++)
        if (is_of(&config->units[i].unit, owner, name))
            return &config->units[i].limits;
    return &config->unit;
}
