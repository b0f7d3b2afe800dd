/*
 * Where in a JSON text a key is: see config-position.h.
 */
#include "daemon/ground/config-position.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

struct cursor {
    const char *at;
    unsigned line;
};

static void skip_space(struct cursor *cursor) {
    while (*cursor->at && strchr(" \t\r\n,:", *cursor->at)) {
        if (*cursor->at == '\n')
            cursor->line++;
        cursor->at++;
    }
}

/* From a string's first quote to behind its last. */
static void skip_string(struct cursor *cursor) {
    for (cursor->at++; *cursor->at && *cursor->at != '"'; cursor->at++)
        if (*cursor->at == '\\' && cursor->at[1])
            cursor->at++;
    if (*cursor->at)
        cursor->at++;
}

/* Any value, with everything in it. */
static void skip_value(struct cursor *cursor) {
    size_t depth = 0;

    do {
        skip_space(cursor);
        if (*cursor->at == '"')
            skip_string(cursor);
        else if (*cursor->at == '{' || *cursor->at == '[') {
            depth++;
            cursor->at++;
        } else if (*cursor->at == '}' || *cursor->at == ']') {
            depth--;
            cursor->at++;
        } else
            cursor->at += strcspn(cursor->at, " \t\r\n,:{}[]");
        if (depth > 0)
            skip_space(cursor);
    } while (depth > 0 && *cursor->at);
}

/* Whether the string from @start on, with its quotes and escapes, is @key. */
static bool is_key(const char *start, size_t length, const char *key) {
    json_t *string = json_loadb(start, length, JSON_DECODE_ANY, NULL);
    bool same = string && strcmp(json_string_value(string), key) == 0;

    json_decref(string);
    return same;
}

/* Goes into the object at the cursor, to the value of @key; false if there is none. */
static bool enter(struct cursor *cursor, const char *key, unsigned *ret_line) {
    skip_space(cursor);
    if (*cursor->at != '{')
        return false;
    cursor->at++;
    for (;;) {
        const char *start;

        skip_space(cursor);
        if (*cursor->at != '"')
            return false;
        start = cursor->at;
        skip_string(cursor);
        if (is_key(start, (size_t)(cursor->at - start), key)) {
            *ret_line = cursor->line;
            return true;
        }
        skip_value(cursor);
    }
}

unsigned config_position(const char *text, const char *const *path, size_t depth) {
    struct cursor cursor = {.at = text, .line = 1};
    unsigned line = 1;

    for (size_t i = 0; i < depth; i++)
        if (!enter(&cursor, path[i], &line))
            break;
    return line;
}
