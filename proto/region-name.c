/*
 * The grammar of region names: see region-name.h.
 */
#include "proto/region-name.h"

#include <stdbool.h>
#include <string.h>

/* Not <ctype.h>: what a name may be does not depend on the locale. */
static bool starts_component(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool continues_component(char c) {
    return starts_component(c) || (c != '\0' && strchr(".@:+-", c));
}

const char *region_name_fault(const char *name) {
    bool at_start = true;
    size_t length = strnlen(name, REGION_NAME_MAX + 1);

    if (length == 0)
        return "a region name is never empty";
    if (length > REGION_NAME_MAX)
        return "a region name has at most 200 bytes";

    for (const char *c = name; *c; c++) {
        if (at_start && *c == '/')
            return "a region name has no empty component ('/' at its start, or twice in a row)";
        if (at_start && !starts_component(*c))
            return "a component of a region name starts with a letter, a digit or '_'";
        if (!at_start && *c != '/' && !continues_component(*c))
            return "a region name is made of letters, digits and _ . @ : + - /";
        at_start = *c == '/';
    }
    return at_start ? "a region name does not end with '/'" : NULL;
}
