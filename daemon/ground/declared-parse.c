/*
 * The keys of a file in regions.d: see declared.h.
 */
#include "daemon/ground/declared.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ground/config-position.h"
#include "daemon/ground/config-reader.h"
#include "proto/region-name.h"

static int read_name(struct reader *reader, const json_t *value, void *target) {
    struct declared *declared = target;
    const char *name = json_is_string(value) ? json_string_value(value) : "";
    const char *fault = region_name_fault(name);

    if (fault)
        return config_mistake(reader, "%s", fault);
    declared->name = strdup(name);
    return declared->name ? 0 : config_no_memory(reader);
}

static int read_owner(struct reader *reader, const json_t *value, void *target) {
    struct declared *declared = target;

    declared->has_owner = true;
    return config_read_owner(reader, value, &declared->owner);
}

static int read_group(struct reader *reader, const json_t *value, void *target) {
    struct declared *declared = target;
    struct subject_id group;

    if (!json_is_string(value))
        return config_mistake(reader, "must be the name of a group, or a gid as a string");
    if (subject_init(&group, SUBJECT_GROUP, json_string_value(value)) < 0)
        return config_mistake(reader, "there is no group '%.80s'", json_string_value(value));
    declared->has_group = true;
    declared->group = group.id;
    return 0;
}

static int read_mode(struct reader *reader, const json_t *value, void *target) {
    struct declared *declared = target;

    declared->has_mode = true;
    return config_read_mode(reader, value, &declared->mode);
}

static int read_attributes(struct reader *reader, const json_t *value, void *target) {
    char **attributes = target;

    if (!json_is_object(value))
        return config_mistake(reader, "must be an object");
    *attributes = json_dumps(value, JSON_COMPACT);
    return *attributes ? 0 : config_no_memory(reader);
}

static int read_size(struct reader *reader, const json_t *value, void *target) {
    uint64_t *size = target;

    if (json_is_integer(value) && json_integer_value(value) > 0)
        *size = (uint64_t)json_integer_value(value);
    else if (!json_is_string(value) || !config_parse_size(json_string_value(value), size) ||
             *size == 0)
        return config_mistake(reader, "must be a whole number of bytes from 1 on, or a size as "
                                      "\"512M\" or \"2G\" (K, M, G, T)");
    return 0;
}

static int read_lifetime(struct reader *reader, const json_t *value, void *target) {
    enum lifetime *lifetime = target;
    int r = config_read_lifetime(reader, value, lifetime);

    if (r == 0 && *lifetime == LIFETIME_OWNER)
        return config_mistake(reader, "there is no process that a declared region could end with");
    return r;
}

static int read_huge_pages(struct reader *reader, const json_t *value, void *target) {
    uint32_t pages = json_is_string(value) ? huge_pages_from_word(json_string_value(value)) : 0;

    if (pages == 0)
        return config_mistake(reader, "must be one of %s", huge_pages_words);
    *(enum huge_pages *)target = pages;
    return 0;
}

static int read_durability(struct reader *reader, const json_t *value, void *target) {
    uint32_t durability =
        json_is_string(value) ? durability_from_word(json_string_value(value)) : 0;

    if (durability == 0)
        return config_mistake(reader, "must be one of %s", durability_words);
    *(enum durability *)target = durability;
    return 0;
}

static int read_content(struct reader *reader, const json_t *value, void *target) {
    const char *path = json_is_string(value) ? json_string_value(value) : "";
    char **content = target;

    if (*path != '/' || strlen(path) >= PATH_MAX)
        return config_mistake(reader, "must be the absolute path of a file");
    *content = strdup(path);
    return *content ? 0 : config_no_memory(reader);
}

static int read_keys(struct reader *reader, const json_t *json, struct declared *declared) {
    const struct key keys[] = {
        {"name", read_name, declared},
        {"owner", read_owner, declared},
        {"group", read_group, declared},
        {"mode", read_mode, declared},
        {"acl", config_read_acl, &declared->acl},
        {"attributes", read_attributes, &declared->attributes},
        {"backing", config_read_backing, &declared->backing},
        {"size", read_size, &declared->size},
        {"max_size", read_size, &declared->max_size},
        {"huge_pages", read_huge_pages, &declared->huge_pages},
        {"sync_block", config_read_bool, &declared->sync_block},
        {"lifetime", read_lifetime, &declared->lifetime},
        {"seconds", config_read_seconds, &declared->seconds},
        {"durability", read_durability, &declared->durability},
        {"durability_seconds", config_read_seconds, &declared->durability_seconds},
        {"content", read_content, &declared->content},
        {NULL},
    };

    return config_read_object(reader, json, keys);
}

/* The owner is the daemon's own user if none is given, the group the owner's. */
static int find_owner(const struct reader *reader, struct declared *declared) {
    const struct passwd *user;

    if (!declared->has_owner)
        declared->owner = getuid();
    if (declared->has_group)
        return 0;
    if (!declared->has_owner) {
        declared->group = getgid();
        return 0;
    }
    user = getpwuid(declared->owner);
    if (!user)
        return config_mistake(reader, "user %u has no account, so the group has to be given",
                              declared->owner);
    declared->group = user->pw_gid;
    return 0;
}

static int check(struct reader *reader, struct declared *declared) {
    if (!declared->name)
        return config_mistake(reader, "the name is missing");
    if (declared->size == 0 && !declared->content)
        return config_mistake(reader, "size or content is missing");
    if (declared->huge_pages && declared->content)
        return config_mistake(reader, "no content can be loaded into huge pages");
    return find_owner(reader, declared);
}

static void find_lines(const struct reader *reader, struct declared *declared) {
    for (enum declared_key key = 0; key < DECLARED_KEY_COUNT; key++) {
        const char *path = declared_key_word(key);

        if (json_object_get(declared->keys, path))
            declared->lines[key] = config_position(reader->text, &path, 1);
    }
}

static int add(struct reader *reader, const struct declared *declared) {
    struct config *config = reader->config;
    struct declared *all = reallocarray(config->declared, config->n_declared + 1, sizeof(*all));

    if (!all)
        return config_no_memory(reader);
    config->declared = all;
    all[config->n_declared++] = *declared;
    return 0;
}

int declared_parse(struct config *config, const char *file, const char *text, struct error *error) {
    struct reader reader = {.config = config, .file = file, .text = text, .error = error};
    struct declared declared = {0};
    json_error_t fault;
    int r;

    if (text[strspn(text, " \t\r\n")] == '\0')
        return 0;
    declared.keys = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
    if (!declared.keys)
        return error_set(error, -EINVAL, "%s:%d: %s", file, fault.line, fault.text);
    r = read_keys(&reader, declared.keys, &declared);
    if (r == 0)
        r = check(&reader, &declared);
    find_lines(&reader, &declared);
    declared.file = strdup(file);
    if (r == 0)
        r = declared.file ? add(&reader, &declared) : config_no_memory(&reader);
    if (r < 0)
        declared_deinit(&declared);
    return r;
}
