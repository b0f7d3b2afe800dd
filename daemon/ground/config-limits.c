/*
 * The key "limits" of a configuration file, and that of a namespace
 */
#include "daemon/ground/config-parse.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ground/config-reader.h"
#include "proto/unit-pattern.h"

static int read_limit(struct reader *reader, const json_t *value, void *target) {
    uint64_t *most = target;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        *most = (uint64_t)json_integer_value(value);
    else if (json_is_string(value) && strcmp(json_string_value(value), "none") == 0)
        *most = LIMIT_NONE;
    else
        return config_mistake(reader, "must be a whole number from 0 on, or \"none\"");
    return 0;
}

static int read_bytes(struct reader *reader, const json_t *value, void *target) {
    if (json_is_string(value) && config_parse_size(json_string_value(value), target))
        return 0;
    if (json_is_string(value) && strcmp(json_string_value(value), "none") != 0)
        return config_mistake(reader,
                              "must be a whole number of bytes, a size as \"512M\" or \"2G\" (K, "
                              "M, G, T), or \"none\"");
    return read_limit(reader, value, target);
}

/* So many that a bucket of them can be told by the clock. */
#define REQUESTS_MAX 1000000

static int read_requests(struct reader *reader, const json_t *value, void *target) {
    uint64_t *requests = target;

    if (json_is_integer(value) && json_integer_value(value) > 0 &&
        json_integer_value(value) <= REQUESTS_MAX)
        *requests = (uint64_t)json_integer_value(value);
    else if (json_is_string(value) && strcmp(json_string_value(value), "none") == 0)
        *requests = 0;
    else
        return config_mistake(reader, "must be a whole number from 1 to %d, or \"none\"",
                              REQUESTS_MAX);
    return 0;
}

/* The kinds in @kinds, a bit for each, are the keys. */
static int read_kinds(struct reader *reader, const json_t *value, struct limits *limits,
                      unsigned kinds) {
    struct key keys[LIMIT_KIND_COUNT + 3] = {0};
    size_t count = 0;

    /* They come by connections. */
    if (kinds & (1u << LIMIT_CONNECTIONS)) {
        keys[count++] = (struct key){"requests_per_second", read_requests, &limits->rate};
        keys[count++] = (struct key){"requests_at_once", read_requests, &limits->burst};
    }

    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        if (kinds & (1u << kind))
            keys[count++] =
                (struct key){limit_word(kind), kind == LIMIT_BYTES ? read_bytes : read_limit,
                             &limits->most[kind]};
    return config_read_object(reader, value, keys);
}

static int read_limits(struct reader *reader, const json_t *value, void *target) {
    return read_kinds(reader, value, target, ~0u);
}

/* Of a name, and not of whoever uses it. */
int config_read_namespace_limits(struct reader *reader, const json_t *value, void *target) {
    struct limits **limits = target;

    if (!*limits) {
        *limits = malloc(sizeof(**limits));
        if (!*limits)
            return config_no_memory(reader);
        limits_unset(*limits);
    }
    return read_kinds(reader, value, *limits,
                      1u << LIMIT_REGIONS | 1u << LIMIT_BYTES | 1u << LIMIT_ATTACHMENTS);
}

int config_read_user(struct reader *reader, const char *name, uid_t *ret) {
    const struct passwd *user;
    unsigned long number;
    char *end;

    if (*name && name[strspn(name, "0123456789")] == '\0') {
        errno = 0;
        number = strtoul(name, &end, 10);
        if (errno != 0 || number >= (uid_t)-1)
            return config_mistake(reader, "no user has this number");
        *ret = (uid_t)number;
        return 0;
    }
    errno = 0;
    user = getpwnam(name);
    if (!user && errno == ENOMEM)
        return config_no_memory(reader);
    if (!user)
        return config_mistake(reader, "there is no user '%.80s'", name);
    *ret = user->pw_uid;
    return 0;
}

static int limits_of_user(struct config *config, uid_t uid, struct limits **ret) {
    struct user_limits *users;

    for (size_t i = 0; i < config->n_users; i++)
        if (config->users[i].uid == uid) {
            *ret = &config->users[i].limits;
            return 0;
        }
    users = reallocarray(config->users, config->n_users + 1, sizeof(*users));
    if (!users)
        return -ENOMEM;
    config->users = users;
    users[config->n_users].uid = uid;
    *ret = &users[config->n_users++].limits;
    limits_unset(*ret);
    return 0;
}

/* One entry of "users"; @data is the object. */
static int read_user(struct reader *reader, const char *name, const json_t *value,
                     const void *data) {
    struct limits *limits = NULL;
    const char *other;
    json_t *ignored;
    uid_t uid = 0, other_uid = 0;
    int r = config_read_user(reader, name, &uid);

    if (r < 0)
        return r;
    json_object_foreach ((json_t *)data, other, ignored) {
        if (other == name)
            break;
        r = config_read_user(reader, other, &other_uid);
        if (r < 0)
            return r;
        if (other_uid == uid)
            return config_mistake(reader, "is the same user as '%.80s'", other);
    }
    if (limits_of_user(reader->config, uid, &limits) < 0)
        return config_no_memory(reader);
    return read_limits(reader, value, limits);
}

static int read_users(struct reader *reader, const json_t *value, void *target) {
    (void)target;
    return config_read_members(reader, value, read_user, value);
}

static bool is_same_unit(const struct subject_id *a, const struct subject_id *b) {
    return a->id == b->id && strcmp(a->unit, b->unit) == 0;
}

/* Takes the unit over. */
static int limits_of_unit(struct config *config, struct subject_id *unit, struct limits **ret) {
    struct unit_limits *units;

    for (size_t i = 0; i < config->n_units; i++)
        if (is_same_unit(&config->units[i].unit, unit)) {
            subject_deinit(unit);
            *ret = &config->units[i].limits;
            return 0;
        }
    units = reallocarray(config->units, config->n_units + 1, sizeof(*units));
    if (!units) {
        subject_deinit(unit);
        return -ENOMEM;
    }
    config->units = units;
    units[config->n_units].unit = *unit;
    *ret = &units[config->n_units++].limits;
    limits_unset(*ret);
    return 0;
}

/* One entry of "units". */
static int read_unit(struct reader *reader, const char *name, const json_t *value,
                     const void *data) {
    struct limits *limits = NULL;
    struct subject_id unit;
    int r;

    (void)data;
    if (!unit_pattern_is_valid(name, strlen(name)))
        return config_mistake(reader, "is no unit such as nginx.service, worker@*.service or "
                                      "alice/sync.service");
    r = subject_init(&unit, SUBJECT_UNIT, name);
    if (r == -ENOENT)
        return config_mistake(reader, "there is no user for unit '%.80s'", name);
    if (r == 0)
        r = limits_of_unit(reader->config, &unit, &limits);
    return r < 0 ? config_no_memory(reader) : read_limits(reader, value, limits);
}

static int read_units(struct reader *reader, const json_t *value, void *target) {
    (void)target;
    return config_read_members(reader, value, read_unit, NULL);
}

int config_read_limits(struct reader *reader, const json_t *value, void *target) {
    struct config *config = target;
    const struct key keys[] = {
        {"total", read_limits, &config->total},
        {"user", read_limits, &config->user},
        {"users", read_users, NULL},
        {"unit", read_limits, &config->unit},
        {"units", read_units, NULL},
        {NULL},
    };

    return config_read_object(reader, value, keys);
}
