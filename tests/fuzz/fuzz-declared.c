/*
 * Files of declared regions: whatever is in one, it is refused with a line that it has, or it declares a
 * region that can be; and what a region remembers of it means the same.
 */
#include "daemon/core/declare.h"
#include "proto/region-name.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "file"

static void check_place(const struct error *error, unsigned lines) {
    const char *line = error->text + strlen(FILE_NAME ":");

    fuzz_check(error->code == -EINVAL && strncmp(error->text, FILE_NAME ":", 5) == 0);
    fuzz_check(strtoul(line, NULL, 10) >= 1 && strtoul(line, NULL, 10) <= lines);
}

static void check_declared(const struct config *config, unsigned lines) {
    const struct declared *declared = config->declared;

    fuzz_check(!region_name_fault(declared->name));
    fuzz_check(declared_find(config, declared->name) == declared);
    fuzz_check(declared->size > 0 || declared->content);
    fuzz_check(declared->lifetime != LIFETIME_OWNER && declared->lines[DECLARED_NAME] > 0);
    for (enum declared_key key = 0; key < DECLARED_KEY_COUNT; key++)
        fuzz_check(declared->lines[key] <= lines);
}

static void free_declared(struct config *config) {
    for (size_t i = 0; i < config->n_declared; i++)
        declared_deinit(&config->declared[i]);
    free(config->declared);
}

static void check_again(const struct config *config) {
    const struct declared *first = config->declared, *second;
    char *text = json_dumps(first->keys, JSON_COMPACT);
    struct config again = {.default_backing = BACKING_SHM};

    fuzz_check(text && declared_parse(&again, FILE_NAME, text, NULL) == 0);
    second = again.declared;
    fuzz_check(json_equal(first->keys, second->keys) && strcmp(first->name, second->name) == 0);
    fuzz_check(first->owner == second->owner && first->group == second->group);
    fuzz_check(first->size == second->size && first->max_size == second->max_size);
    free_declared(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config = {.default_backing = BACKING_SHM};
    char *text = malloc(size + 1);
    struct error error = {0};
    unsigned lines = 1;

    fuzz_check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    if (declared_parse(&config, FILE_NAME, text, &error) < 0) {
        check_place(&error, lines);
    } else if (config.n_declared > 0) {
        check_declared(&config, lines);
        if (declare_check(&config, &error) < 0)
            check_place(&error, lines);
        check_again(&config);
    }
    free_declared(&config);
    free(text);
    return 0;
}
