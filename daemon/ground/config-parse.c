/*
 * The keys of a configuration file: see config-parse.h.
 *
 * A reader knows the path of keys it is at, for the sentence about a mistake. Each object has a
 * table of its keys, so an unknown one is a mistake everywhere.
 */
#include "daemon/ground/config-parse.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "daemon/ground/config-position.h"

#define DEPTH_MAX 4
#define TIMEOUT_MAX 86400 /* a day, in seconds */

struct reader {
    struct config *config;
    const char *file;
    const char *text;
    struct error *error;
    const char *path[DEPTH_MAX];
    size_t depth;
};

struct key {
    const char *name;
    int (*read)(struct reader *reader, const json_t *value, void *target);
    void *target;
};

__attribute__((format(printf, 2, 3))) static int mistake(const struct reader *reader,
                                                         const char *format, ...) {
    char path[ERROR_TEXT_MAX] = "", sentence[ERROR_TEXT_MAX];
    va_list arguments;
    size_t length = 0;

    for (size_t i = 0; i < reader->depth && length < sizeof(path); i++)
        length += (size_t)snprintf(path + length, sizeof(path) - length, "%s%.80s", i ? "." : "",
                                   reader->path[i]);
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    error_set(reader->error, -EINVAL, "%s:%u: %s%s%s", reader->file,
              config_position(reader->text, reader->path, reader->depth), path, *path ? ": " : "",
              sentence);
    return -EINVAL;
}

/* Reads every key of an object by @read_key, with the path leading to it. */
static int read_members(struct reader *reader, const json_t *object,
                        int (*read_key)(struct reader *reader, const char *name,
                                        const json_t *value, const void *data),
                        const void *data) {
    const char *name;
    json_t *value;
    int r = 0;

    if (!json_is_object(object))
        return mistake(reader, "must be an object");
    json_object_foreach ((json_t *)object, name, value) {
        reader->path[reader->depth++] = name;
        r = read_key(reader, name, value, data);
        reader->depth--;
        if (r < 0)
            break;
    }
    return r;
}

static int read_known_key(struct reader *reader, const char *name, const json_t *value,
                          const void *data) {
    for (const struct key *key = data; key->name; key++)
        if (strcmp(key->name, name) == 0)
            return key->read(reader, value, key->target);
    return mistake(reader, "unknown key");
}

static int read_group(struct reader *reader, const json_t *value, void *target) {
    struct config *config = target;
    const struct group *group;

    if (!json_is_string(value) || !*json_string_value(value))
        return mistake(reader, "must be the name of a group");
    errno = 0;
    group = getgrnam(json_string_value(value));
    if (!group && errno == ENOMEM)
        return error_set(reader->error, -ENOMEM, "no memory");
    if (!group)
        return mistake(reader, "there is no group '%s'", json_string_value(value));
    config->has_admin_group = true;
    config->admin_group = group->gr_gid;
    return 0;
}

static int read_backing(struct reader *reader, const json_t *value, void *target) {
    uint32_t backing = json_is_string(value) ? backing_from_word(json_string_value(value)) : 0;

    if (!backing_can_be_chosen(backing))
        return mistake(reader, "must be one of %s", backing_words);
    *(enum backing *)target = backing;
    return 0;
}

static int read_level(struct reader *reader, const json_t *value, void *target) {
    static const struct {
        const char *word;
        int level;
    } levels[] = {
        {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
        {"info", LOG_INFO}, {"debug", LOG_DEBUG},
    };

    for (size_t i = 0; json_is_string(value) && i < ARRAY_SIZE(levels); i++)
        if (strcmp(levels[i].word, json_string_value(value)) == 0) {
            *(int *)target = levels[i].level;
            return 0;
        }
    return mistake(reader, "must be one of error, warning, notice, info, debug");
}

/* "512M": digits and one letter, powers of 1024. */
static bool parse_size(const char *text, uint64_t *ret) {
    static const char units[] = "KMGT";
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;

    if (digits == 0 || !unit || text[digits + 1])
        return false;
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return false;
    if (__builtin_mul_overflow(number, (uint64_t)1 << (10 * (unit - units + 1)), &number) ||
        number > INT64_MAX)
        return false;
    *ret = number;
    return true;
}

static int read_limit(struct reader *reader, const json_t *value, void *target) {
    uint64_t *most = target;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        *most = (uint64_t)json_integer_value(value);
    else if (json_is_string(value) && strcmp(json_string_value(value), "none") == 0)
        *most = LIMIT_NONE;
    else
        return mistake(reader, "must be a whole number from 0 on, or \"none\"");
    return 0;
}

static int read_bytes(struct reader *reader, const json_t *value, void *target) {
    if (json_is_string(value) && parse_size(json_string_value(value), target))
        return 0;
    if (json_is_string(value) && strcmp(json_string_value(value), "none") != 0)
        return mistake(reader, "must be a whole number of bytes, a size as \"512M\" or \"2G\" (K, "
                               "M, G, T), or \"none\"");
    return read_limit(reader, value, target);
}

static int read_limits(struct reader *reader, const json_t *value, void *target) {
    struct limits *limits = target;
    struct key keys[LIMIT_KIND_COUNT + 1] = {0};

    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        keys[kind] = (struct key){limit_word(kind), kind == LIMIT_BYTES ? read_bytes : read_limit,
                                  &limits->most[kind]};
    return read_members(reader, value, read_known_key, keys);
}

void limits_unset(struct limits *limits) {
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        limits->most[kind] = LIMIT_UNSET;
}

static int find_user(struct reader *reader, const char *name, uid_t *ret) {
    const struct passwd *user;
    unsigned long number;
    char *end;

    if (*name && name[strspn(name, "0123456789")] == '\0') {
        errno = 0;
        number = strtoul(name, &end, 10);
        if (errno != 0 || number >= (uid_t)-1)
            return mistake(reader, "no user has this number");
        *ret = (uid_t)number;
        return 0;
    }
    errno = 0;
    user = getpwnam(name);
    if (!user && errno == ENOMEM)
        return error_set(reader->error, -ENOMEM, "no memory");
    if (!user)
        return mistake(reader, "there is no user '%.80s'", name);
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
    int r = find_user(reader, name, &uid);

    if (r < 0)
        return r;
    json_object_foreach ((json_t *)data, other, ignored) {
        if (other == name)
            break;
        r = find_user(reader, other, &other_uid);
        if (r < 0)
            return r;
        if (other_uid == uid)
            return mistake(reader, "is the same user as '%.80s'", other);
    }
    if (limits_of_user(reader->config, uid, &limits) < 0)
        return error_set(reader->error, -ENOMEM, "no memory");
    return read_limits(reader, value, limits);
}

static int read_users(struct reader *reader, const json_t *value, void *target) {
    (void)target;
    return read_members(reader, value, read_user, value);
}

static int read_all_limits(struct reader *reader, const json_t *value, void *target) {
    struct config *config = target;
    const struct key keys[] = {
        {"total", read_limits, &config->total},
        {"user", read_limits, &config->user},
        {"users", read_users, NULL},
        {NULL},
    };

    return read_members(reader, value, read_known_key, keys);
}

static int read_seconds(struct reader *reader, const json_t *value, void *target) {
    json_int_t seconds = json_integer_value(value); /* 0 for what is no number */

    if (seconds < 1 || seconds > TIMEOUT_MAX)
        return mistake(reader, "must be a whole number of seconds from 1 to %d", TIMEOUT_MAX);
    *(uint32_t *)target = (uint32_t)seconds;
    return 0;
}

static int read_timeouts(struct reader *reader, const json_t *value, void *target) {
    struct timeouts *timeouts = target;
    const struct key keys[] = {
        {"hello", read_seconds, &timeouts->hello},
        {"request", read_seconds, &timeouts->request},
        {"reply", read_seconds, &timeouts->reply},
        {NULL},
    };

    return read_members(reader, value, read_known_key, keys);
}

int config_parse(struct config *config, const char *file, const char *text, struct error *error) {
    struct reader reader = {.config = config, .file = file, .text = text, .error = error};
    const struct key keys[] = {
        {"admin_group", read_group, config},
        {"default_backing", read_backing, &config->default_backing},
        {"log_level", read_level, &config->log_level},
        {"limits", read_all_limits, config},
        {"timeouts", read_timeouts, &config->timeouts},
        {NULL},
    };
    json_error_t fault;
    json_t *json;
    int r;

    if (text[strspn(text, " \t\r\n")] == '\0')
        return 0;
    json = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
    if (!json)
        return error_set(error, -EINVAL, "%s:%d: %s", file, fault.line, fault.text);
    r = read_members(&reader, json, read_known_key, keys);
    json_decref(json);
    return r;
}
