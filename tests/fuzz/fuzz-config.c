/*
 * Configuration files: a main file and drop-ins, with NUL bytes between them. Whatever is in them, they
 * are either refused with a file and a line that exist, or all values are ones that a daemon can have;
 * to read the last file once more changes nothing.
 */
#include "daemon/ground/config.h"
#include "daemon/ground/config-parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#define FILES_MAX 4u
#define PATH_SIZE (PLACE_MAX + 32)

static const char *const names[FILES_MAX] = {"main.json", "conf.d/10.json", "conf.d/20-a.json",
                                             "conf.d/30.json"};

static void check_limits(const struct limits *limits) {
    for (enum limit_kind kind = 0; kind < LIMIT_KIND_COUNT; kind++)
        fuzz_check(limits->most[kind] != LIMIT_UNSET);
}

static void check_values(const struct config *config) {
    fuzz_check(backing_can_be_chosen(config->default_backing));
    fuzz_check(config->log_level >= LOG_ERR && config->log_level <= LOG_DEBUG);
    fuzz_check(config->timeouts.hello > 0 && config->timeouts.request > 0 &&
               config->timeouts.reply > 0);
    fuzz_check(config->memory_pressure.stall > 0 &&
               config->memory_pressure.stall <= config->memory_pressure.window &&
               config->memory_pressure.percent <= 100);
    check_limits(&config->total);
    check_limits(&config->user);
    for (size_t i = 0; i < config->n_users; i++) {
        check_limits(&config->users[i].limits);
        fuzz_check(i == 0 || config->users[i - 1].uid < config->users[i].uid);
        fuzz_check(config_user_limits(config, config->users[i].uid) == &config->users[i].limits);
    }
}

static void check_same(const struct config *a, const struct config *b) {
    fuzz_check(a->has_admin_group == b->has_admin_group && a->admin_group == b->admin_group);
    fuzz_check(a->default_backing == b->default_backing && a->log_level == b->log_level);
    fuzz_check(memcmp(&a->total, &b->total, sizeof(a->total)) == 0);
    fuzz_check(memcmp(&a->user, &b->user, sizeof(a->user)) == 0);
    fuzz_check(memcmp(&a->timeouts, &b->timeouts, sizeof(a->timeouts)) == 0);
    fuzz_check(a->memory_pressure.watch == b->memory_pressure.watch &&
               a->memory_pressure.window == b->memory_pressure.window);
    fuzz_check(a->n_users == b->n_users);
    for (size_t i = 0; i < a->n_users; i++) {
        fuzz_check(a->users[i].uid == b->users[i].uid);
        fuzz_check(memcmp(&a->users[i].limits, &b->users[i].limits, sizeof(struct limits)) == 0);
    }
}

static unsigned count_lines(const uint8_t *data, size_t size) {
    unsigned lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines;
}

/* "FILE:LINE: KEY: what is wrong", or a sentence on the whole file. */
static void check_refusal(const char *place, const struct error *error, unsigned lines) {
    size_t length = strlen(place);
    const char *colon;

    fuzz_check(error->code == -EINVAL && strncmp(error->text, place, length) == 0);
    colon = strchr(error->text + length, ':');
    fuzz_check(colon);
    if (colon[1] == ' ')
        return;
    fuzz_check(strtoul(colon + 1, NULL, 10) >= 1 && strtoul(colon + 1, NULL, 10) <= lines);
}

/* Writes the files; returns the last one's text. */
static const uint8_t *write_files(const char *place, const uint8_t *data, size_t size,
                                  size_t *ret_size) {
    char path[PATH_SIZE];

    for (unsigned i = 0; i < FILES_MAX; i++) {
        const uint8_t *end = i + 1 < FILES_MAX ? memchr(data, '\0', size) : NULL;

        *ret_size = end ? (size_t)(end - data) : size;
        snprintf(path, sizeof(path), "%s/%s", place, names[i]);
        place_write(path, data, *ret_size);
        if (!end)
            break;
        size -= *ret_size + 1;
        data = end + 1;
    }
    return data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char place[PLACE_MAX], path[PATH_SIZE], last_path[PATH_SIZE];
    _cleanup_(cleanup_config_free) struct config *config = NULL, *again = NULL;
    struct error error = {0};
    const uint8_t *last;
    size_t last_size;

    place_make(place);
    snprintf(path, sizeof(path), "%s/conf.d", place);
    fuzz_check(mkdir(path, 0755) == 0);
    last = write_files(place, data, size, &last_size);
    snprintf(path, sizeof(path), "%s/%s", place, names[0]);
    snprintf(last_path, sizeof(last_path), "%s/conf.d/90.json", place);
    if (config_load(path, false, &config, &error) == 0) {
        check_values(config);
        place_write(last_path, last, last_size);
        fuzz_check(config_load(path, false, &again, &error) == 0);
        check_same(config, again);
    } else
        check_refusal(place, &error, count_lines(data, size));
    place_remove(place);
    return 0;
}
