/*
 * The grammar of units in access rules: see unit-pattern.h.
 */
#include "proto/unit-pattern.h"

#include "proto/cleanup.h"

#include <string.h>

/* What systemd.unit(5) allows, but for the colon, which ends a name in a rule; a name that has one
 * is reached by its template. */
static const char unit_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.\\-";
static const char user_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$-";

static bool consists_of(const char *text, size_t length, const char *letters) {
    for (size_t i = 0; i < length; i++)
        if (!text[i] || !strchr(letters, text[i]))
            return false;
    return true;
}

/* Bytes of the name without its kind; 0 if it has none that holds processes. */
static size_t stem_length(const char *name, size_t length) {
    static const char *const kinds[] = {".service", ".scope"};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t kind = strlen(kinds[i]);

        if (length > kind && memcmp(name + length - kind, kinds[i], kind) == 0)
            return length - kind;
    }
    return 0;
}

static bool is_unit(const char *name, size_t length) {
    size_t stem = stem_length(name, length), instance;
    const char *at = memchr(name, '@', stem);

    if (stem == 0 || length >= UNIT_NAME_MAX)
        return false;
    if (!at)
        return consists_of(name, stem, unit_letters);
    instance = stem - (size_t)(at - name) - 1;
    return at > name && consists_of(name, (size_t)(at - name), unit_letters) && instance > 0 &&
           ((instance == 1 && at[1] == '*') || consists_of(at + 1, instance, unit_letters));
}

bool unit_pattern_is_valid(const char *text, size_t length) {
    const char *slash = memchr(text, '/', length);
    size_t user = slash ? (size_t)(slash - text) : 0;

    if (!slash)
        return is_unit(text, length);
    return user > 0 && consists_of(text, user, user_letters) &&
           is_unit(slash + 1, length - user - 1);
}

const char *unit_pattern_unit(const char *pattern) {
    const char *slash = strchr(pattern, '/');

    return slash ? slash + 1 : pattern;
}

bool unit_pattern_matches(const char *pattern, const char *unit) {
    const char *asterisk = strchr(pattern, '*');
    size_t before, after, length = strlen(unit);

    if (!asterisk)
        return strcmp(pattern, unit) == 0;
    before = (size_t)(asterisk - pattern);
    after = strlen(asterisk + 1);
    return length > before + after && memcmp(unit, pattern, before) == 0 &&
           strcmp(unit + length - after, asterisk + 1) == 0;
}
