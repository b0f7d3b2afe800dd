/*
 * Declarations: see declare.h. Here they are gone through; declare-keys.c changes a region that is
 * there, declare-content.c loads files.
 */
#include "daemon/core/declare-private.h"

#include "daemon/core/disk.h"
#include "daemon/core/manager-private.h"
#include "daemon/core/policy.h"
#include "daemon/ground/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct problem {
    STAILQ_ENTRY(problem) link;
    char text[];
};

struct region_spec declare_spec(const struct declared *declared) {
    return (struct region_spec){
        .name = declared->name,
        .size = declared->size,
        .max_size = declared->max_size,
        .backing = declared->backing,
        .huge_pages = declared->huge_pages,
        .lifetime = declared->lifetime,
        .seconds = declared->seconds,
        .mode = declared->has_mode ? declared->mode : MODE_UNSET,
        .acl = declared->acl ? declared->acl : "",
        .attributes = declared->attributes ? declared->attributes : "{}",
        .sync_block = declared->sync_block,
        .durability = declared->durability,
        .durability_seconds = declared->durability_seconds,
    };
}

struct caller declare_maker(const struct declared *declared) {
    return (struct caller){.uid = declared->owner, .gid = declared->group, .administrator = true};
}

struct caller declare_changer(void) {
    return (struct caller){
        .uid = getuid(), .gid = getgid(), .pid = getpid(), .administrator = true};
}

int declare_check(const struct config *config, struct error *error) {
    struct error fault;

    for (size_t i = 0; i < config->n_declared; i++) {
        const struct declared *declared = &config->declared[i];
        struct region_spec spec = declare_spec(declared);

        /* How much content there is, its file says. */
        if (spec.size == 0)
            spec.size = 1;
        policy_complete(config, &spec);
        if (manager_check_spec(config, &spec, NULL, false, &fault) < 0)
            return error_set(error, fault.code, "%s:%u: %s", declared->file,
                             declared->lines[DECLARED_NAME], fault.text);
    }
    return 0;
}

int declarations_new(struct manager *manager, struct declarations **ret, struct error *error) {
    struct declarations *declarations = calloc(1, sizeof(*declarations));

    if (!declarations)
        return error_set(error, -ENOMEM, "no memory for declarations");
    declarations->manager = manager;
    LIST_INIT(&declarations->loads);
    LIST_INIT(&declarations->waiters);
    STAILQ_INIT(&declarations->problems);
    *ret = declarations;
    return 0;
}

static void forget_problems(struct declarations *declarations) {
    struct problem *problem;

    while ((problem = STAILQ_FIRST(&declarations->problems))) {
        STAILQ_REMOVE_HEAD(&declarations->problems, link);
        free(problem);
    }
}

void declarations_free(struct declarations *declarations) {
    declare_cancel_loads(declarations);
    if (declarations->wait)
        disk_wait_cancel(declarations->wait);
    cleanup_workers_free(&declarations->workers);
    forget_problems(declarations);
    free(declarations);
}

/* Once, though what the disk has kept waiting may meet it again. */
static void add_problem(struct declarations *declarations, const char *region, const char *text) {
    size_t size = strlen(text) + 1;
    struct problem *problem;

    STAILQ_FOREACH (problem, &declarations->problems, link)
        if (strcmp(problem->text, text) == 0)
            return;
    problem = malloc(sizeof(*problem) + size);
    log_write(LOG_WARNING, ABOUT(.region = region), "%s", text);
    if (!problem)
        return;
    memcpy(problem->text, text, size);
    STAILQ_INSERT_TAIL(&declarations->problems, problem, link);
}

void declare_report(struct declarations *declarations, const struct declared *declared,
                    enum declared_key key, const char *format, ...) {
    unsigned line = declared->lines[key] ? declared->lines[key] : declared->lines[DECLARED_NAME];
    char sentence[ERROR_TEXT_MAX];
    _cleanup_free_ char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    if (asprintf(&text, "%s:%u: %s: %s", declared->file, line, declared_key_word(key), sentence) <
        0)
        text = NULL;
    add_problem(declarations, declared->name, text ? text : sentence);
}

void declarations_each_problem(const struct declarations *declarations,
                               void (*each)(void *data, const char *problem), void *data) {
    const struct problem *problem;

    STAILQ_FOREACH (problem, &declarations->problems, link)
        each(data, problem->text);
}

bool declare_may_change(struct declarations *declarations, const struct region *region,
                        const struct declared *declared) {
    if (!region || region->declared || region->access.owner_uid == declared->owner)
        return true;
    declare_report(declarations, declared, DECLARED_NAME,
                   "region '%s' exists and belongs to user %u, who has made it: it is left alone",
                   region->name, region->access.owner_uid);
    return false;
}

static void create(struct declarations *declarations, const struct declared *declared) {
    struct region_spec spec = declare_spec(declared);
    struct caller maker = declare_maker(declared);
    struct region *region;
    struct error error;

    if (manager_create(declarations->manager, &maker, NULL, &spec, &region, &error) < 0)
        declare_fail(declarations, declared, DECLARED_NAME, &error);
    else
        declare_remember(declarations, region, declared, declared->keys, NULL);
}

static void apply(struct declarations *declarations, const struct declared *declared) {
    struct region *region = manager_lookup(declarations->manager, declared->name);

    if (region)
        declare_keys(declarations, region, declared,
                     declared->content ? DECLARE_BUT_CONTENT : DECLARE_ALL);
    else if (!declared->content)
        create(declarations, declared);
}

/* Once more, in order to do what was not done; content is being loaded all the time. */
static void on_disk_answered(void *data) {
    struct declarations *declarations = data;
    const struct config *config = declarations->manager->config;

    declarations->wait = NULL;
    for (size_t i = 0; i < config->n_declared; i++) {
        const struct declared *declared = &config->declared[i];
        struct region *region = manager_lookup(declarations->manager, declared->name);

        if (declare_may_change(declarations, region, declared))
            apply(declarations, declared);
    }
    declare_settle(declarations);
}

void declare_fail(struct declarations *declarations, const struct declared *declared,
                  enum declared_key key, const struct error *error) {
    if (error->code != -EINPROGRESS ||
        (!declarations->wait && manager_await_disk(declarations->manager, on_disk_answered,
                                                   declarations, &declarations->wait) < 0))
        declare_report(declarations, declared, key, "%s", error->text);
}

static int report_undeclared(void *data, struct region *region) {
    struct declarations *declarations = data;
    char text[ERROR_TEXT_MAX];

    if (!region->declared || declared_find(declarations->manager->config, region->name))
        return 0;
    snprintf(text, sizeof(text),
             "region '%s' is not declared any more, and stays as it is (lifetime %s)", region->name,
             lifetime_to_word(region->lifetime));
    add_problem(declarations, region->name, text);
    return 0;
}

void declarations_apply(struct declarations *declarations) {
    const struct config *config = declarations->manager->config;

    declare_cancel_loads(declarations);
    forget_problems(declarations);
    for (size_t i = 0; i < config->n_declared; i++) {
        const struct declared *declared = &config->declared[i];

        if (!declare_may_change(declarations, manager_lookup(declarations->manager, declared->name),
                                declared))
            continue;
        apply(declarations, declared);
        if (declared->content)
            declare_load(declarations, declared);
    }
    manager_each_region(declarations->manager, report_undeclared, declarations);
    declare_settle(declarations);
}
