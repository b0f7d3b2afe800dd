/*
 * Smaps: see smaps.h.
 */
#include "tests/support/smaps.h"

#include "proto/cleanup.h"

#include <check.h>
#include <inttypes.h>
#include <string.h>

#define LINE_MAX_ 512

/* Copies what follows "NAME:" in the lines of a mapping. */
static bool find_value(const void *address, const char *name, char ret[static LINE_MAX_]) {
    _cleanup_fclose_ FILE *file = fopen("/proc/self/smaps", "re");
    char line[LINE_MAX_];
    size_t length = strlen(name);
    bool inside = false;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        uintptr_t start, end;

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
            inside = start == (uintptr_t)address;
        else if (inside && strncmp(line, name, length) == 0 && line[length] == ':') {
            strcpy(ret, line + length + 1);
            return true;
        }
    }
    return false;
}

bool smaps_has_flag(const void *address, const char *flag) {
    char value[LINE_MAX_], *rest = value;
    const char *word;

    if (!find_value(address, "VmFlags", value))
        return false;
    while ((word = strsep(&rest, " \n")))
        if (strcmp(word, flag) == 0)
            return true;
    return false;
}

unsigned long smaps_number(const void *address, const char *name) {
    char value[LINE_MAX_];

    return find_value(address, name, value) ? strtoul(value, NULL, 10) : 0;
}

unsigned smaps_count(const char *directory) {
    _cleanup_fclose_ FILE *file = fopen("/proc/self/maps", "re");
    unsigned count = 0;
    char line[512];

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, directory) != NULL;
    return count;
}
