/*
 * The keys of a configuration file: see config-parse.h.
 */
#include "daemon/ground/config-parse.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <syslog.h>

#include "daemon/ground/config-reader.h"

#define TIMEOUT_MAX 86400 /* a day, in seconds */

static int read_group(struct reader *reader, const json_t *value, void *target) {
    struct config *config = target;
    const struct group *group;

    if (!json_is_string(value) || !*json_string_value(value))
        return config_mistake(reader, "must be the name of a group");
    errno = 0;
    group = getgrnam(json_string_value(value));
    if (!group && errno == ENOMEM)
        return config_no_memory(reader);
    if (!group)
        return config_mistake(reader, "there is no group '%s'", json_string_value(value));
    config->has_admin_group = true;
    config->admin_group = group->gr_gid;
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
    return config_mistake(reader, "must be one of error, warning, notice, info, debug");
}

static int read_seconds(struct reader *reader, const json_t *value, void *target) {
    json_int_t seconds = json_integer_value(value); /* 0 for what is no number */

    if (seconds < 1 || seconds > TIMEOUT_MAX)
        return config_mistake(reader, "must be a whole number of seconds from 1 to %d",
                              TIMEOUT_MAX);
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

    return config_read_object(reader, value, keys);
}

int config_parse(struct config *config, const char *file, const char *text, struct error *error) {
    struct reader reader = {.config = config, .file = file, .text = text, .error = error};
    const struct key keys[] = {
        {"admin_group", read_group, config},
        {"default_backing", config_read_backing, &config->default_backing},
        {"log_level", read_level, &config->log_level},
        {"timeouts", read_timeouts, &config->timeouts},
        {"limits", config_read_limits, config},
        {"namespaces", config_read_namespaces, config},
        {"memory_pressure", config_read_memory_pressure, &config->memory_pressure},
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
    r = config_read_object(&reader, json, keys);
    json_decref(json);
    return r;
}
