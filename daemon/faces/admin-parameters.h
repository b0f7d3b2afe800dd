/*
 * Parameters: what a method takes, and the check of what came
 *
 * The tables say in C what the interface text says to clients. A handler runs only when everything
 * it takes is there and of its type, and nothing else is.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum parameter_type {
    PARAMETER_NONE = 0,
    PARAMETER_TEXT,
    PARAMETER_TEXTS,
    PARAMETER_NUMBER,  /* not negative */
    PARAMETER_SECONDS, /* 32 bits */
    PARAMETER_VERSION, /* 32 bits */
    PARAMETER_OBJECT,
    PARAMETER_BOOL,
    PARAMETER_BACKING,
    PARAMETER_LIFETIME,
    PARAMETER_HUGE_PAGES,
    PARAMETER_DURABILITY,
};

struct parameter {
    const char *name;
    enum parameter_type type;
    bool optional; /* may be absent or null */
};

/* The name of a parameter that is missing, unknown or of the wrong type; NULL if all is well.
 * @taken ends with a PARAMETER_NONE. */
const char *parameters_fault(const json_t *parameters, const struct parameter *taken);

/* The values of checked parameters; the default where one is absent. */
const char *parameter_text(const json_t *parameters, const char *name, const char *otherwise);
uint64_t parameter_number(const json_t *parameters, const char *name, uint64_t otherwise);
json_t *parameter_json(const json_t *parameters, const char *name); /* NULL if absent */
