/*
 * How the keys of a configuration file are read: see config-reader.h.
 */
#include "daemon/ground/config-reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ground/config-position.h"

int config_mistake(const struct reader *reader, const char *format, ...) {
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

int config_no_memory(const struct reader *reader) {
    return error_set(reader->error, -ENOMEM, "no memory");
}

int config_read_members(struct reader *reader, const json_t *object,
                        int (*read_key)(struct reader *reader, const char *name,
                                        const json_t *value, const void *data),
                        const void *data) {
    const char *name;
    json_t *value;
    int r = 0;

    if (!json_is_object(object))
        return config_mistake(reader, "must be an object");
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
    return config_mistake(reader, "unknown key");
}

int config_read_object(struct reader *reader, const json_t *object, const struct key *keys) {
    return config_read_members(reader, object, read_known_key, keys);
}
