/*
 * Directories: see directories.h.
 */
#include "daemon/ground/directories.h"

#include "proto/socket-path.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_STATE_DIRECTORY "/var/lib/shmregd"

static char *format(const char *template, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *template, ...) {
    va_list arguments;
    char *text;
    int r;

    va_start(arguments, template);
    r = vasprintf(&text, template, arguments);
    va_end(arguments);
    return r < 0 ? NULL : text;
}

/* As systemd says, which may name several directories: the first is ours. */
static char *from_service_manager(const char *variable) {
    const char *value = getenv(variable);

    return value && *value == '/' ? strndup(value, strcspn(value, ":")) : NULL;
}

static char *user_runtime_directory(void) {
    const char *base = getenv("XDG_RUNTIME_DIR");

    return base && *base == '/' ? format("%s/shmregd", base) : NULL;
}

static char *user_state_directory(void) {
    const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (base && *base == '/')
        return format("%s/shmregd", base);
    return home && *home == '/' ? format("%s/.local/state/shmregd", home) : NULL;
}

static char *runtime_directory(bool per_user) {
    char *directory = from_service_manager("RUNTIME_DIRECTORY");

    if (directory)
        return directory;
    return per_user ? user_runtime_directory() : strdup(SYSTEM_RUNTIME_DIRECTORY);
}

static char *state_directory(bool per_user) {
    char *directory = from_service_manager("STATE_DIRECTORY");

    if (directory)
        return directory;
    return per_user ? user_state_directory() : strdup(SYSTEM_STATE_DIRECTORY);
}

int directories_find(bool per_user, char **runtime, char **state, struct error *error) {
    if (!*runtime)
        *runtime = runtime_directory(per_user);
    if (!*runtime)
        return error_set(error, -ENOENT,
                         "no runtime directory: set $XDG_RUNTIME_DIR or --runtime-directory");
    if (!*state)
        *state = state_directory(per_user);
    if (!*state)
        return error_set(error, -ENOENT, "no state directory: set $HOME or --state-directory");
    return 0;
}
