/*
 * The parameters of a call, from what stands on the command line
 *
 * Each function adds one member and returns 0, -EINVAL with what is wrong with the text, or -ENOMEM.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proto/error.h"

/* @value is taken over; NULL is one that could not be made. */
int parameters_set(json_t *parameters, const char *key, json_t *value, struct error *error);

int parameters_set_size(json_t *parameters, const char *key, const char *text, struct error *error);
int parameters_set_seconds(json_t *parameters, const char *text, struct error *error);
/* "none", "interval:30s", "publish" */
int parameters_set_durability(json_t *parameters, const char *text, struct error *error);
int parameters_set_mode(json_t *parameters, const char *text, struct error *error);
int parameters_set_acl(json_t *parameters, const char *list, struct error *error);
int parameters_set_attributes(json_t *parameters, const char *text, struct error *error);
/* @number is what @word stands for among @words, or 0. */
int parameters_set_word(json_t *parameters, const char *key, const char *word, uint32_t number,
                        const char *words, struct error *error);
