/*
 * How the keys of a configuration file are read
 *
 * A reader knows the path of keys it is at, for the sentence about a mistake. Each object has a
 * table of its keys, so an unknown one is a mistake everywhere.
 */
#pragma once

#include <jansson.h>

#include "daemon/ground/config.h"

#define CONFIG_DEPTH_MAX 5

struct reader {
    struct config *config;
    const char *file;
    const char *text;
    struct error *error;
    const char *path[CONFIG_DEPTH_MAX];
    size_t depth;
};

struct key {
    const char *name;
    int (*read)(struct reader *reader, const json_t *value, void *target);
    void *target;
};

/* Sets the sentence "FILE:LINE: KEY: what is wrong"; returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int config_mistake(const struct reader *reader,
                                                         const char *format, ...);

/* The sentence and code of that. */
int config_no_memory(const struct reader *reader);

/* Reads every key of an object by @read_key, with the path leading to it. */
int config_read_members(struct reader *reader, const json_t *object,
                        int (*read_key)(struct reader *reader, const char *name,
                                        const json_t *value, const void *data),
                        const void *data);

/* Reads an object by a table of keys that ends with one without a name. */
int config_read_object(struct reader *reader, const json_t *object, const struct key *keys);

/* The value of one key: for an enum backing, an enum lifetime, a uint32_t, a uid_t, and a list of access rules
 * that replaces what the char * points to. */
int config_read_backing(struct reader *reader, const json_t *value, void *target);
int config_read_lifetime(struct reader *reader, const json_t *value, void *target);
int config_read_mode(struct reader *reader, const json_t *value, void *target);
int config_read_seconds(struct reader *reader, const json_t *value, void *target);
int config_read_bool(struct reader *reader, const json_t *value, void *target);
int config_read_owner(struct reader *reader, const json_t *value, void *target);
int config_read_acl(struct reader *reader, const json_t *value, void *target);

int config_read_user(struct reader *reader, const char *name, uid_t *ret);
/* @target is a struct limits *, NULL before the first. */
int config_read_namespace_limits(struct reader *reader, const json_t *value, void *target);

/* "512M": digits and one letter, powers of 1024. */
bool config_parse_size(const char *text, uint64_t *ret);

/* "limits" and "namespaces". @target is the struct config. */
int config_read_limits(struct reader *reader, const json_t *value, void *target);
int config_read_namespaces(struct reader *reader, const json_t *value, void *target);

/* "memory_pressure", into the struct of that name. */
int config_read_memory_pressure(struct reader *reader, const json_t *value, void *target);
